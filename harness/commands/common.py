"""Options and output that the commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hw.config import PRESETS
from sw.errors import DnaError
from sw.host import files
from sw.preprocessing import NAMES

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


def json_option(function: F) -> F:
    """Adds ``--json FILE``, passed as ``json_file``."""
    return click.option(
        "--json", "json_file", type=PATH, metavar="FILE", help="Also write the figures as JSON."
    )(function)


def data_dir_option(function: F) -> F:
    """Adds ``--data-dir DIR``: photographs with their labels."""
    return click.option(
        "--data-dir",
        type=PATH,
        metavar="DIR",
        help="Photographs with val_map.txt. Default: $DATA_DIR, else those of `dna fetch`.",
    )(function)


def preprocessing_option(default: str | None, help_text: str) -> Callable[[F], F]:
    """Adds ``--preprocessing NAME``: a named preprocessing or a JSON file with the fields of one.

    Args:
        default: what it is if nobody says.
        help_text: what it is for; the choices are added.
    """
    return click.option(
        "--preprocessing",
        default=default,
        show_default=default is not None,
        metavar="NAME",
        help=f"{help_text} {', '.join(sorted(NAMES))}, or a JSON file with a resize, crop and "
        "normalisation of your own.",
    )


def complete_config(
    _context: click.Context, _option: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What the shell offers where a machine is asked for: presets, then files."""
    names = [CompletionItem(name) for name in PRESETS if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def config_option(function: F) -> F:
    """Adds ``--config NAME``, passed as ``config_name``: the machine."""
    return click.option(
        "--config",
        "config_name",
        required=True,
        metavar="NAME",
        shell_complete=complete_config,
        help="nano, ulx3s, micro, small, f100, f200, or a JSON file with a machine's parameters.",
    )(function)


def check_writable(path: Path | None) -> None:
    """Fail before the work starts, not after it, if ``path`` cannot be written.

    Raises:
        DnaError: the file cannot be created or opened for writing.
    """
    if path is None:
        return
    existed = path.exists()
    try:
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path | None, figures: dict[str, Any]) -> None:
    """Write ``figures`` to ``path`` if one was asked for.

    Raises:
        DnaError: the file cannot be written.
    """
    if path is not None:
        files.write(path, json.dumps(figures, indent=1) + "\n")


def say_written(*paths: Path | None) -> None:
    """Print which files were written, where a command may write several.

    Args:
        paths: the files; None: one that nobody asked for.
    """
    from harness.host.terminal import Console

    written = [str(path) for path in paths if path is not None]
    if written:
        Console().print(f"wrote {', '.join(written)}")
