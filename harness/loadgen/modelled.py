"""A system under test with the speed of a machine that is not there yet.

Its answers are those of the functional model, worked out while LoadGen loads the samples, which is
not timed. What is timed is a wait: sample i of a query (i from 0) is complete ``(i + 1) * cycles +
i * RESTART_CYCLES`` cycles after the query was issued, where ``cycles`` is what the cycle model
(:mod:`sim.cycles`) predicts for one run of the program from start to interrupt. The machine runs
one program per image, one after the other: no image overlaps another.
"""

from __future__ import annotations

import array
import dataclasses
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlperf_loadgen
import numpy as np
import numpy.typing as npt

from harness.loadgen import logs, runner
from harness.loadgen.qsl import SampleLibrary
from sim.memory.model import MemoryModel
from sw.errors import DnaError

Answer = npt.NDArray[np.float32]

DRIVER_ACCESSES = 4
"""Register accesses of ``sim.driver`` between an interrupt and the next start: it clears the
interrupt, reads the status, reads it again before the next run, and starts."""

ACCESS_CYCLES = 64
"""Cycles that one of them takes: assumed as long as a memory access of the default memory model."""

RESTART_CYCLES = DRIVER_ACCESSES * ACCESS_CYCLES
TOLERANCE = 0.01
SPIN_SECONDS = 300e-6
"""A sleep wakes up late, so the last stretch before a deadline is spent looking at the clock."""

IDLE_SECONDS = 1.0
PRIORITY = 1  # of the real-time class; the lowest is above every ordinary process
OVERHEAD_SECONDS = 0.3
PERCENTILES = ("50.00", "90.00", "95.00", "97.00", "99.00", "99.90")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Device:
    """The machine that is modelled.

    Attributes:
        config: name of its configuration.
        macs: multipliers of its arrays.
        clock_mhz: its clock.
        cycles: of one program, from start to interrupt.
        memory: the memory behind it.
        dram_bytes_per_cycle: width of the path to that memory.
    """

    config: str
    macs: int
    clock_mhz: float
    cycles: int
    memory: MemoryModel
    dram_bytes_per_cycle: int

    def latency(self, samples: int = 1) -> float:
        """Seconds from the issue of a query of so many samples to its last answer."""
        cycles = samples * self.cycles + max(0, samples - 1) * RESTART_CYCLES
        return cycles / (self.clock_mhz * 1e6)

    @property
    def throughput(self) -> float:
        """Images per second, one program after the other."""
        return self.clock_mhz * 1e6 / (self.cycles + RESTART_CYCLES)

    def figures(self) -> dict[str, Any]:
        """What is assumed of the machine, for JSON."""
        return {
            "config": self.config,
            "macs": self.macs,
            "clock_mhz": self.clock_mhz,
            "cycles": self.cycles,
            "restart_cycles": RESTART_CYCLES,
            "latency_ms": self.latency() * 1e3,
            "throughput_per_s": self.throughput,
            "memory": {
                "latency_cycles": self.memory.latency,
                "words_per_cycle": self.memory.bandwidth,
                "bytes_per_cycle": self.memory.bandwidth * self.dram_bytes_per_cycle,
            },
        }

    def __str__(self) -> str:
        return (
            f"modelled, not measured: configuration {self.config}, {self.macs} MACs, "
            f"{self.clock_mhz:g} MHz, {self.cycles} cycles a program and {RESTART_CYCLES} to "
            f"restart; memory {self.memory.bandwidth * self.dram_bytes_per_cycle:g} B a cycle, "
            f"latency {self.memory.latency} cycles"
        )


class ModelledSystem:
    """Completes every sample when the modelled machine would; see :class:`harness.loadgen.sut`.

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
        latency: Callable[[int], float],
        overhead: float = 0.0,
    ) -> None:
        """Set up; the library must have the answers when LoadGen issues its first query.

        Args:
            answers: float32 [1] of every loaded sample, by its index.
            latency: seconds from issue to the answer of the n-th sample of a query, n from 1.
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
        deadline = issued
        for number, sample in enumerate(query, 1):
            address = size = 0
            if not self._stopped.is_set():
                try:
                    answer = self._answers[sample.index]
                    address, size = answer.ctypes.data, answer.nbytes
                    deadline = issued + self._latency(number)
                except Exception as error:
                    # An exception must not unwind LoadGen's C++; it is raised once LoadGen is done.
                    self.failure = error
                    self.stop()
            response = [mlperf_loadgen.QuerySampleResponse(sample.id, address, size)]
            if not self._stopped.is_set():
                _wait_until(deadline, self._stopped)
            now = time.perf_counter()
            mlperf_loadgen.QuerySamplesComplete(response)
            self.completed += 1
            if number == len(query):
                self.late.append(now - deadline)
            if now > self._idle_after:
                self._idle_after = now + IDLE_SECONDS
                self.idle()


def _prefer_this_thread() -> bool:
    """Ask for real-time priority, so that other work does not delay the end of a sleep."""
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
    system = ModelledSystem(library.samples, lambda samples: 0.0)
    with tempfile.TemporaryDirectory() as folder:
        runner.run(settings, library, system, Path(folder), lambda: None, audit="")
        median = logs.Detail(Path(folder))["result_50.00_percentile_latency_ns"]
    return float(median) * 1e-9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pace:
    """How well a run kept to the model.

    Attributes:
        kept: whether the run's figure of merit is within ``TOLERANCE`` of the model.
        modelled: the figure of merit as the model has it: ms, in Offline images per second.
        error: of LoadGen's figure of merit, relative to ``modelled``.
        queries: completed.
        outside: queries that were completed more than ``TOLERANCE`` off their modelled latency.
        errors: relative to the modelled latency of a query, by LoadGen's measurement: ``min``,
            ``mean``, ``max`` and percentiles; empty in accuracy mode, which LoadGen does not time.
        overhead_us: of LoadGen's Python bindings, compensated.
        real_time: whether the waiting thread had real-time priority.
    """

    kept: bool
    modelled: float
    error: float
    queries: int
    outside: int
    errors: dict[str, float]
    overhead_us: float
    real_time: bool


def pace(
    device: Device, system: ModelledSystem, folder: Path, figure_of_merit: float, overhead: float
) -> Pace:
    """Hold a finished performance run against the model.

    Args:
        device: the machine.
        system: that ran.
        folder: with LoadGen's logs.
        figure_of_merit: LoadGen's: ms, in Offline images per second.
        overhead: that ``system`` was given.
    """
    detail = logs.Detail(folder)
    samples = detail["effective_samples_per_query"]
    latency = device.latency(samples)
    late = np.frombuffer(system.late)
    errors: dict[str, float] = {}
    if detail["effective_scenario"] == "Offline":
        # The steady state has a restart with every image.
        modelled = device.throughput
    else:
        modelled = latency * 1e3
        query = ("query", "percentile_per_query") if samples > 1 else ("", "percentile")
        keys = {name: "_".join(filter(None, (name, query[0]))) for name in ("min", "mean", "max")}
        keys |= {name: f"{name}_{query[1]}" for name in PERCENTILES}
        errors = {
            name: detail[f"result_{key}_latency_ns"] * 1e-9 / latency - 1
            for name, key in keys.items()
        }
    error = figure_of_merit / modelled - 1
    return Pace(
        kept=abs(error) <= TOLERANCE,
        modelled=modelled,
        error=error,
        queries=len(late),
        outside=int(np.count_nonzero(np.abs(late) > TOLERANCE * latency)),
        errors=errors,
        overhead_us=overhead * 1e6,
        real_time=system.real_time,
    )


def mark(folder: Path, device: Device) -> None:
    """Say in LoadGen's summary and detail that their times are modelled.

    The line is added at the end, in the form of the file, under a key of our own; what LoadGen
    wrote stays as it is.

    Raises:
        DnaError: a file cannot be written.
    """
    line = {"key": logs.TIMING, "value": str(device), "metadata": {"is_error": False}}
    entries = {
        logs.SUMMARY: f"\nAdded by dna loadgen, not by LoadGen:\nTiming : {device}\n",
        logs.DETAIL: logs.entry(line),
    }
    try:
        for name, text in entries.items():
            with (folder / name).open("a") as file:
                file.write(text)
    except OSError as error:
        raise DnaError(f"cannot write the logs in {folder}: {error.strerror}") from error
