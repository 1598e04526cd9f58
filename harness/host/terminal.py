"""All that commands write for people, and the only module that knows Rich.

Text is text: a name is shown as it is, whatever brackets, tags or colons are in it. Nothing is
cut, either: a line or a table that is wider than the terminal goes on in its next line. Progress
goes when the work is done.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import rich.console
import rich.status
import rich.table
from rich.box import HEAVY_HEAD, SIMPLE
from rich.console import ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDE = 10_000
"""Columns that no table has."""


def visible(text: str) -> str:
    """``text`` with its control characters written out, but for line breaks."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def marked(text: str) -> Text:
    """A cell or a line that stands out."""
    return Text(visible(text), style="bold red")


class Console(rich.console.Console):
    """Where text goes: stdout, or stderr. Strings are never taken for markup or emoji codes."""

    def __init__(
        self,
        *,
        stderr: bool = False,
        file: IO[str] | None = None,
        quiet: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__(
            stderr=stderr,
            file=file,
            quiet=quiet,
            width=width,
            soft_wrap=True,
            markup=False,
            highlight=False,
            emoji=False,
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """As Rich does it, control characters made visible."""
        return super().render_str(visible(text), **options)

    def status(self, status: RenderableType, **options: Any) -> Status:
        """A line under which work goes on; ``update`` of what it returns changes it."""
        return Status(status, console=self, **options)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.print(Text.assemble(("warning:", "yellow"), " ", visible(text)))

    def fail(self, text: str) -> None:
        """Print an error."""
        self.print(Text.assemble(("error:", "bold red"), " ", visible(text)))


class Status(rich.status.Status):
    """Rich's, with plain text."""

    def __init__(self, status: RenderableType, **options: Any) -> None:
        super().__init__(_plain(status), **options)

    def update(self, status: RenderableType | None = None, **options: Any) -> None:
        """Change the text."""
        super().update(None if status is None else _plain(status), **options)


def _plain(text: RenderableType) -> RenderableType:
    return Text(visible(text)) if isinstance(text, str) else text


class Table(rich.table.Table):
    """A table under its title, as wide as what is in it."""

    def __init__(
        self, *headings: str, title: str = "", lines: bool = False, prose: bool = False
    ) -> None:
        """Set up.

        Args:
            headings: of columns to the left; :meth:`add_columns` adds others. None: no headings.
            title: above the table.
            lines: whether every cell has a frame.
            prose: its cells hold sentences, which may be folded to the width of the terminal.
        """
        frame = HEAVY_HEAD if lines else SIMPLE
        super().__init__(
            box=frame,
            pad_edge=lines,
            padding=(0, 1) if lines else (0, 1, 0, 0),
            show_lines=lines,
            show_header=False,
        )
        self._heading = title
        self._prose = prose
        self.add_columns(*headings)

    def add_columns(self, *headings: RenderableType, right: bool = False) -> None:
        """Add columns, to the left or to the right."""
        for heading in headings:
            self.show_header = True
            self.add_column(heading, justify="right" if right else "left", overflow="fold")

    def __rich_console__(
        self, console: rich.console.Console, options: ConsoleOptions
    ) -> Iterator[Any]:
        if self._heading:
            yield Text(visible(self._heading), style="table.title")
        options = options.update(no_wrap=False, overflow="fold")
        if not self._prose:
            wide = options.update(max_width=_WIDE)
            options = options.update(max_width=self.__rich_measure__(console, wide).maximum)
        yield from super().__rich_console__(console, options)


def any_text_on(*streams: Any) -> None:
    """Let streams take every character: what their encoding lacks is escaped.

    A name that is no Unicode on this system is written with the very bytes that it has there.
    """
    codecs.register_error("open-dna", _escaped)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="open-dna")


def _escaped(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    code = ord(error.object[error.start])
    byte = code - 0xDC00  # of a surrogate that stands for it
    if 0x80 <= byte <= 0xFF:
        return bytes([byte]), error.start + 1
    return (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"), error.start + 1


@contextlib.contextmanager
def counted(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with the time that is left; what it yields takes how many more are done."""
    with _bar(console, (MofNCompleteColumn(), TimeRemainingColumn())) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def measured(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with a share of the whole; what it yields takes how much of it is done."""
    with _bar(console, (TaskProgressColumn(), TimeRemainingColumn())) as bar:
        task = bar.add_task(what, total=total)
        yield lambda amount: bar.update(task, completed=amount)


@contextlib.contextmanager
def staged(console: Console, first: str, total: int) -> Iterator[Callable[[str, int], None]]:
    """A bar for work in stages; what it yields takes the stage and how many are done in it."""
    with _bar(console, (MofNCompleteColumn(), TimeElapsedColumn())) as bar:
        task = bar.add_task(first, total=total)

        def report(stage: str, done: int) -> None:
            bar.update(task, description=stage, completed=done)

        yield report


@contextlib.contextmanager
def told(
    console: Console, first: str, total: int | None, *, by_itself: bool
) -> Iterator[Callable[[str, int], None]]:
    """A bar beside a text; what it yields takes the text and how many are done.

    Args:
        console: where.
        first: the text at first.
        total: of all; None: nobody knows.
        by_itself: a thread keeps it moving. False: only what is told is shown, and nothing else
            disturbs who measures time.
    """
    clock = TimeElapsedColumn() if total is None else TimeRemainingColumn()
    with _bar(console, (clock,), auto_refresh=by_itself) as bar:
        task = bar.add_task(first, total=total)

        def tell(text: str, done: int) -> None:
            bar.update(task, description=text, completed=done, refresh=not by_itself)

        yield tell


def _bar(
    console: Console, columns: Iterable[ProgressColumn], *, auto_refresh: bool = True
) -> Progress:
    text = TextColumn("{task.description}", markup=False)
    return Progress(
        text, BarColumn(), *columns, console=console, transient=True, auto_refresh=auto_refresh
    )
