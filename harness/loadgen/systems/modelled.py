"""A system under test with the speed of a machine that is not there yet.

Its answers are those of the functional model, worked out while LoadGen loads the samples, which is
not timed. What is timed is a wait: a sample is complete when
:class:`harness.loadgen.machine.ModelledMachine` says, by what the cycle model (:mod:`sim.cycles`)
predicts for one run of a program from start to interrupt.
"""

from __future__ import annotations

import array
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from harness.loadgen import logs
from harness.loadgen.binding import mlperf_loadgen
from harness.loadgen.systems import runner
from harness.loadgen.systems.qsl import SampleLibrary
from harness.loadgen.systems.sut import Answer

SPIN_SECONDS = 300e-6
"""A sleep wakes up late, so the last stretch before a deadline is spent looking at the clock."""

IDLE_SECONDS = 1.0
PRIORITY = 1  # of the real-time class; the lowest is above every ordinary process
OVERHEAD_SECONDS = 0.3


class ModelledSystem:
    """Completes every sample when the modelled machine would.

    :mod:`harness.loadgen.systems.sut` says what a system is.

    Attributes:
        completed: how many samples have been answered.
        failure: what went wrong, if anything did.
        late: seconds by which each query was completed after its modelled time (negative: before).
        idle: called at most once a second in the pause behind a completed sample, which is not
            timed in SingleStream and MultiStream: a progress display must not disturb the clock.
        real_time: whether the system gave the waiting thread real-time priority.
    """

    def __init__(
        self,
        answers: Mapping[int, Answer],
        latency: Callable[[int, int], float],
        overhead: float = 0.0,
    ) -> None:
        """Set up; the library must have the answers when LoadGen issues its first query.

        Args:
            answers: of every loaded sample, by its index.
            latency: seconds from issue to the answer of the n-th sample, n from 1, of a query of
                so many.
            overhead: seconds that LoadGen sees beyond those that this class does
                (:func:`binding_overhead`).
        """
        self.completed = 0
        self.failure: Exception | None = None
        self.late = array.array("d")
        self.idle: Callable[[], None] = lambda: None
        self.real_time = False
        self._answers = answers
        self._latency = latency
        self._overhead = overhead
        self._stopped = threading.Event()
        self._idle_after = 0.0

    def start(self) -> None:
        """Nothing to start: queries are answered where they arrive."""

    def close(self) -> None:
        """Nothing to end."""

    def stop(self) -> None:
        """Give up: answer everything that is left at once."""
        self._stopped.set()

    def issue(self, query: Sequence[mlperf_loadgen.QuerySample]) -> None:
        """Complete each sample of a query at its time."""
        issued = time.perf_counter() - self._overhead
        if not self.completed:
            self.real_time = _prefer_this_thread()
        together: list[mlperf_loadgen.QuerySampleResponse] = []
        due = 0.0
        for number, sample in enumerate(query, 1):
            address = size = 0
            if not self._stopped.is_set():
                try:
                    answer = self._answers[sample.index]
                    address, size = answer.ctypes.data, answer.nbytes
                    latency = self._latency(number, len(query))
                    if together and latency != due:
                        self._complete(together, issued + due)
                        together = []
                    due = latency
                except Exception as error:
                    # An exception must not unwind LoadGen's C++; it is raised once LoadGen is done.
                    self.failure = error
                    self.stop()
            together.append(mlperf_loadgen.QuerySampleResponse(sample.id, address, size))
        self.late.append(self._complete(together, issued + due))

    def _complete(
        self, responses: list[mlperf_loadgen.QuerySampleResponse], deadline: float
    ) -> float:
        """Complete samples that are done at the same time; seconds by which that was late."""
        if not self._stopped.is_set():
            _wait_until(deadline, self._stopped)
        now = time.perf_counter()
        mlperf_loadgen.QuerySamplesComplete(responses)
        self.completed += len(responses)
        if now > self._idle_after:
            self._idle_after = now + IDLE_SECONDS
            self.idle()
        return now - deadline


def _prefer_this_thread() -> bool:
    """Ask for real-time priority, so that other work does not delay the end of a sleep."""
    if sys.platform != "linux":
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:  # not allowed; the errors that are measured say what it costs
        return False
    return True


def _wait_until(deadline: float, stopped: threading.Event) -> None:
    """Return at ``deadline`` of the performance counter: a sleep, then a look at the clock."""
    while (rest := deadline - SPIN_SECONDS - time.perf_counter()) > 0 and not stopped.is_set():
        time.sleep(min(rest, IDLE_SECONDS))
    while time.perf_counter() < deadline and not stopped.is_set():
        pass


def binding_overhead() -> float:
    """Seconds that LoadGen counts for a query that is completed where it arrives.

    Measured with LoadGen itself and its Python bindings: the median of some ten thousand queries.

    Raises:
        DnaError: LoadGen could not run.
    """
    settings = mlperf_loadgen.TestSettings()
    settings.scenario = mlperf_loadgen.TestScenario.SingleStream
    settings.mode = mlperf_loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = round(OVERHEAD_SECONDS * 1e3)
    settings.single_stream_expected_latency_ns = 2000
    settings.performance_sample_count_override = 1
    library = SampleLibrary([Path()], lambda path: np.zeros(1, np.float32), cpus=1)
    system = ModelledSystem(library.samples, lambda number, samples: 0.0)
    with tempfile.TemporaryDirectory() as folder:
        runner.run(settings, library, system, Path(folder), lambda: None, audit="")
        median = logs.Detail(Path(folder))["result_50.00_percentile_latency_ns"]
    return float(median) * 1e-9
