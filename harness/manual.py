"""The reference pages in ``docs/``, written from what they describe: ``python -m harness.manual``.

``docs/commands.md`` is every command's ``--help``; ``docs/registers.md`` the registers of the
machine (:mod:`harness.hardware.register_manual`); within ``docs/models.md`` stands the table of
operators (:mod:`harness.operator_manual`), within ``docs/memory.md`` that of the memories
(:mod:`harness.hardware.memory_manual`); ``docs/pictures/machine.svg`` is drawn from the
configuration of f200 (:mod:`harness.hardware.machine_picture`). A test says when they are old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from harness import operator_manual
from harness.cli import dna
from harness.hardware import machine_picture, memory_manual, register_manual
from hw.config import PRESETS

FOLDER = Path(__file__).parent.parent / "docs"
HELP_COLUMNS = 100
_WRITTEN = "<!-- Written by `python -m harness.manual`; do not edit. -->"
_END = "<!-- So far. -->"


def pages() -> dict[str, str]:
    """The content of each page by the name of its file in ``docs/``."""
    whole = {name: _marked(page()) for name, page in PAGES.items()}
    parts = {name: _within(name, part()) for name, part in PARTS.items()}
    return whole | parts | {name: picture() for name, picture in PICTURES.items()}


def _within(name: str, part: str) -> str:
    """A page by hand, with ``part`` between its two marks."""
    front, _, rest = (FOLDER / name).read_text().partition(f"{_WRITTEN}\n")
    _, _, back = rest.partition(f"{_END}\n")
    return f"{front}{_WRITTEN}\n\n{part}\n{_END}\n{back}"


def _marked(page: str) -> str:
    """``page`` with a line below its title that says where it comes from."""
    title, rest = page.split("\n", 1)
    return f"{title}\n\n{_WRITTEN}\n{rest}"


def commands() -> str:
    """Every command's ``--help``."""
    root = _context(dna, "dna", None)
    parts = [
        "# Commands",
        "What `--help` says of each. Exit codes, unless a command says otherwise: 0 is success, 2 "
        "bad input (one line\nsays what is wrong, where, and what to do), 130 an interruption.",
    ]
    for context in _walk(root):
        parts.append(f"## {context.command_path}\n\n```text\n{context.get_help()}\n```")
    return "\n\n".join(parts) + "\n"


def _walk(context: click.Context) -> Iterator[click.Context]:
    """``context``, then those of its command's subcommands, in their order in the help."""
    yield context
    group = context.command
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if command is not None:
                yield from _walk(_context(command, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    """A context whose help has the same columns on every terminal."""
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=HELP_COLUMNS,
        help_option_names=["-h", "--help"],
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "registers.md": register_manual.page,
}
"""What writes each page, by the name of its file in ``docs/``."""

PARTS: Mapping[str, Callable[[], str]] = {
    "memory.md": memory_manual.table,
    "models.md": operator_manual.tables,
}
"""What writes a part of a page, between marks."""

PICTURES: Mapping[str, Callable[[], str]] = {
    "pictures/machine.svg": lambda: machine_picture.picture(PRESETS["f200"]),
}
"""What draws each picture that needs no run."""


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
