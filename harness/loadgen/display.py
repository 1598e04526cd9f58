"""What the terminal shows while a test runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.loadgen.modelled import ModelledSystem
from harness.loadgen.qsl import SampleLibrary
from harness.loadgen.sut import System


@contextlib.contextmanager
def progress(
    library: SampleLibrary[Any], system: System, accuracy: bool
) -> Iterator[Callable[[], None]]:
    """A bar on stderr; what it yields is to be called a few times a second.

    A modelled system is not disturbed while it keeps time: it says itself when it is idle.

    Args:
        library: of the test.
        system: under test.
        accuracy: whether the test ends when every photograph was answered; its rest is then known.
    """
    clock = TimeRemainingColumn() if accuracy else TimeElapsedColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), clock)
    paced = isinstance(system, ModelledSystem)
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=not paced) as bar:
        task = bar.add_task("starting", total=len(library.paths) if accuracy else None)

        def show() -> None:
            if system.completed == 0:
                text = f"{library.loaded} photographs loaded"
            else:
                text = f"{system.completed} images answered"
            bar.update(task, description=text, completed=system.completed, refresh=paced)

        def tick() -> None:
            if not paced or system.completed == 0:
                show()

        if isinstance(system, ModelledSystem):
            system.idle = show
        yield tick
