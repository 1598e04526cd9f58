"""What the terminal shows while a test runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from harness.host.terminal import Console, told
from harness.loadgen.systems.modelled import ModelledSystem
from harness.loadgen.systems.qsl import SampleLibrary
from harness.loadgen.systems.sut import System


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
    paced = isinstance(system, ModelledSystem)
    total = len(library.paths) if accuracy else None
    with told(Console(stderr=True), "starting", total, by_itself=not paced) as tell:

        def show() -> None:
            if system.completed == 0:
                text = f"{library.loaded} photographs loaded"
            else:
                text = f"{system.completed} images answered"
            tell(text, system.completed)

        def tick() -> None:
            if not paced or system.completed == 0:
                show()

        if isinstance(system, ModelledSystem):
            system.idle = show
        yield tick
