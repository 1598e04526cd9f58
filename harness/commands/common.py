"""Options and output that the commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sw.errors import DnaError

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


def config_option(function: F) -> F:
    """Adds ``--config NAME``, passed as ``config_name``: the machine."""
    return click.option(
        "--config",
        "config_name",
        required=True,
        metavar="NAME",
        help="nano, micro, small, f100, f200, or a JSON file with the parameters of a machine.",
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
        write_text(path, json.dumps(figures, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``.

    Raises:
        DnaError: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error
