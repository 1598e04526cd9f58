"""The reference pages in ``docs/``, written from what they describe: ``python -m harness.manual``.

``docs/commands.md`` is every command's ``--help``; ``docs/registers.md`` the map of
``hw/bus/registers.py``, with the codes of ``hw.status.Fault``. A test says when they are old.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from harness.cli import dna
from hw.bus import registers
from hw.status import Fault

FOLDER = Path(__file__).parent.parent / "docs"
HELP_COLUMNS = 100
_WRITTEN = "<!-- Written by `python -m harness.manual`; do not edit. -->"


def pages() -> dict[str, str]:
    """The content of each page by the name of its file in ``docs/``."""
    return {"commands.md": _commands(), "registers.md": _registers()}


def _commands() -> str:
    root = _context(dna, "dna", None)
    parts = [
        "# Commands",
        _WRITTEN,
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


def _registers() -> str:
    title, rest = registers.document().split("\n", 1)
    faults = [f"| {fault.value} | `{fault.name}` |" for fault in Fault]
    return "\n".join(
        [
            f"{title}\n\n{_WRITTEN}\n{rest}",
            "## Codes of `error_code`",
            "",
            "| code | fault |",
            "|---|---|",
            *faults,
            "",
        ]
    )


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
