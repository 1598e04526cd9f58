"""One contender in a process of its own: its thread pool disturbs nobody and holds one setting."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError
from sw.host import children

Int8 = npt.NDArray[np.int8]

WARM_UP_IMAGES = 5


class Timing(NamedTuple):
    """Seconds of each image, and processor seconds of all threads over all of them."""

    seconds: list[float]
    processor_seconds: float


class Worker:
    """The parent's end of a contender's process."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    def _ask(self, request: str, argument: Any = None) -> Any:
        try:
            self._connection.send((request, argument))
            return self._answer()
        except (EOFError, OSError) as error:
            raise DnaError(f"the process of {self._name} died") from error

    def _answer(self) -> Any:
        failure, answer = self._connection.recv()
        if failure:
            raise DnaError(f"{self._name}: {failure}")
        return answer

    def load(self) -> None:
        """Wait until the contender has loaded the network.

        Raises:
            DnaError: it failed to; the contender's own words.
        """
        try:
            self._answer()
        except EOFError as error:
            raise DnaError(f"the process of {self._name} died while loading") from error

    def logits(self, images: Int8) -> Int8:
        """int8 [images, classes] of int8 [images, height, width, channels]; also warms up."""
        answer: Int8 = self._ask("logits", images)
        return answer

    def kernels(self) -> list[str]:
        """What the engine itself says that it computes convolutions with, after ``logits``."""
        names: list[str] = self._ask("kernels")
        return names

    def exact(self) -> bool:
        """Whether its sums of products are right where they are largest."""
        right: bool = self._ask("exact")
        return right

    def time(self, images: int) -> Timing:
        """Time so many runs on the first image that ``logits`` got."""
        seconds, processor_seconds = self._ask("time", images)
        return Timing(seconds, processor_seconds)


@contextlib.contextmanager
def started(artifact: Path, contender: str, variant: str, threads: int) -> Iterator[Worker]:
    """A worker, alive for the length of a ``with`` block.

    Raises:
        DnaError: the contender cannot load the network.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(theirs, artifact, contender, variant, threads), daemon=True
    )
    process.start()
    theirs.close()
    try:
        worker = Worker(ours, f"{contender} {variant}".strip())
        worker.load()
        yield worker
    finally:
        ours.close()
        process.join(timeout=10)
        if process.is_alive():
            process.kill()


def _serve(
    connection: Connection, artifact: Path, contender: str, variant: str, threads: int
) -> None:
    """The child: load, then answer until the parent hangs up."""
    children.end_with_parent()
    # Contenders log to stderr behind Python's back; what goes wrong is said over the connection.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    from harness.bench import limits
    from harness.bench.contenders import CONTENDERS
    from sw.artifact import load

    try:
        make = CONTENDERS[contender][variant]
        session = make(load(artifact).graph, threads)
    except Exception as error:  # whatever a foreign library raises belongs in the parent's report
        connection.send((f"{type(error).__name__}: {error}", None))
        return
    connection.send(("", None))
    prepared: list[Any] = []
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            request, argument = connection.recv()
            try:
                if request == "logits":
                    prepared = [session.prepare(image) for image in argument]
                    answer: Any = np.stack(
                        [session.decode(session.infer(image)).copy() for image in prepared]
                    )
                    for _ in range(WARM_UP_IMAGES):
                        session.infer(prepared[0])
                elif request == "kernels":
                    answer = session.kernels()
                elif request == "exact":
                    answer = limits.exact(make)
                else:
                    answer = _time(session.infer, prepared[0], argument)
            except Exception as error:  # as above
                connection.send((f"{type(error).__name__}: {error}", None))
            else:
                connection.send(("", answer))


def _time(infer: Any, image: Any, count: int) -> tuple[list[float], float]:
    infer(image)  # the caches are another contender's
    seconds = []
    processor = time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        infer(image)
        seconds.append(time.perf_counter() - start)
    return seconds, time.process_time() - processor
