"""How well a finished run kept to the machine that it modelled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from harness.loadgen import logs
from harness.loadgen.machine import ModelledMachine
from harness.loadgen.systems.modelled import ModelledSystem

TOLERANCE = 0.01
PERCENTILES = ("50.00", "90.00", "95.00", "97.00", "99.00", "99.90")


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
    machine: ModelledMachine,
    system: ModelledSystem,
    folder: Path,
    figure_of_merit: float,
    overhead: float,
) -> Pace:
    """Hold a finished performance run against the model.

    Args:
        machine: that was modelled.
        system: that ran.
        folder: with LoadGen's logs.
        figure_of_merit: LoadGen's: ms, in Offline images per second.
        overhead: that ``system`` was given.
    """
    detail = logs.Detail(folder)
    samples = detail["effective_samples_per_query"]
    latency = machine.latency(samples)
    late = np.frombuffer(system.late)
    errors: dict[str, float] = {}
    if detail["effective_scenario"] == "Offline":
        # The steady state has a restart with every program.
        modelled = machine.throughput
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
