"""A board as LoadGen's system under test: each answer is the board's own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from harness.board.opened import OnBoard
from harness.loadgen.systems.sut import Answer, Found, Int8Array, Model
from harness.loadgen.systems.tasks import Classes, Judged
from sim.functional import FunctionalModel
from sim.host import HostTime


class Counted(msgspec.Struct, frozen=True):
    """What the machine's counter says of the runs of a test.

    Attributes:
        runs: how many.
        median, p90, most: cycles from start to interrupt.
        p90_ms: at the board's clock.
    """

    runs: int
    median: float
    p90: float
    most: int
    p90_ms: float

    def __str__(self) -> str:
        return (
            f"{self.runs:,} runs, {self.median:,.0f} cycles (median), {self.p90:,.0f} (90th "
            f"percentile, {self.p90_ms:.3f} ms), at most {self.most:,}"
        )


class BoardTask:
    """A classifier that runs on a board; a task (:mod:`harness.loadgen.systems.tasks`).

    Args:
        task: the same network with its photographs.
        board: that runs it.
        functional: what every answer is held against, in the query's time; None: nothing.

    Attributes:
        cycles: of the machine, from start to interrupt, of each run; warm-up included.
        values, differing: that were held against the functional model's.
    """

    def __init__(self, task: Classes, board: OnBoard, functional: FunctionalModel | None) -> None:
        self.benchmark, self.paths = task.benchmark, task.paths
        self.cycles: list[int] = []
        self.values = self.differing = 0
        self._task, self._board, self._functional = task, board, functional

    def load(self, path: Path) -> Int8Array:
        """As the task."""
        return self._task.load(path)

    def model(self, threads: int) -> Model:
        """The board, whatever threads this computer has.

        Raises:
            DnaError: when it runs: the board does not answer, or the machine stops.
        """
        return self._run

    def answer(self, path: Path, found: Found) -> Answer:
        """As the task."""
        return self._task.answer(path, found)

    def judge(self, folder: Path) -> Judged:
        """As the task."""
        return self._task.judge(folder)

    def host_time(self) -> HostTime | None:
        """Nothing: what a host runs beside the machine is a part of each query here."""
        return None

    def counted(self, runs: int) -> Counted:
        """Of so many runs, the last ones: a warm-up comes before."""
        cycles = self.cycles[-runs:]
        p90 = float(np.percentile(cycles, 90))
        return Counted(
            len(cycles), float(np.median(cycles)), p90, max(cycles), self._board.milliseconds(p90)
        )

    def _run(self, images: Int8Array) -> Found:
        driver = self._board.driver
        found: Found = driver.run(images[0])
        self.cycles.append(driver.cycles)
        if self._functional is not None:
            right = self._functional.outputs(images[0])[0]
            self.values += found.size
            self.differing += int(np.count_nonzero(found.ravel() != right.ravel()))
        return found.reshape(1, -1)
