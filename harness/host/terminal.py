"""Progress bars on the terminal; they go when the work is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextlib.contextmanager
def counted(console: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with the time that is left; what it yields takes how many more are done."""
    with _bar(console, TimeRemainingColumn()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


@contextlib.contextmanager
def staged(console: Console, first: str, total: int) -> Iterator[Callable[[str, int], None]]:
    """A bar for work in stages; what it yields takes the stage and how many are done in it."""
    with _bar(console, TimeElapsedColumn()) as bar:
        task = bar.add_task(first, total=total)

        def report(stage: str, done: int) -> None:
            bar.update(task, description=stage, completed=done)

        yield report


def _bar(console: Console, clock: ProgressColumn) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), clock)
    return Progress(*columns, console=console, transient=True)
