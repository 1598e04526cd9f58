"""Where the cycles of a prediction go, layer by layer."""

from __future__ import annotations

import dataclasses

from hw.isa import Engine
from hw.status import Activity
from sim.cycles.prediction import Prediction, Span
from sw.program import Program

COMPUTING = (Engine.CONV, Engine.DEPTHWISE, Engine.POOL)
"""Engines of which each layer has one."""


@dataclasses.dataclass(frozen=True)
class LayerTime:
    """A layer in time.

    Attributes:
        number, name: as in :class:`sw.program.LayerTable`.
        start, end: first and last cycle of work for it, of any engine but LOAD and WEIGHTS, which
            run ahead.
        cycles: its share of the whole: from the end of the layers before to its own. They add up to
            the cycle of the last end.
        macs: multiply-accumulates.
        bound: the engine that was at work, or had a transfer under way, longest with the layer.
            If it is POST, CONV waits for it
            as WAIT_WEIGHTS: the parameters of the tile after next have no room, and the weights
            are behind them.
        stalls: cycles in which CONV (DEPTHWISE or POOL, if the layer has no CONV) had the layer's
            instruction and did not work, by cause.
    """

    number: int
    name: str
    start: int
    end: int
    cycles: int
    macs: int
    bound: Engine
    stalls: dict[Activity, int]


def layer_times(program: Program, prediction: Prediction) -> list[LayerTime]:
    """Every layer of ``program``, in its order."""
    times, before = [], -1
    for layer in program.layers:
        spans = [span for span in prediction.spans if span.layer == layer.number]
        spans = [span for span in spans if span.engine is not Engine.CONTROL]
        work = [span for span in spans if span.engine not in (Engine.LOAD, Engine.WEIGHTS)]
        start, end = min(span.start for span in work), max(span.end for span in work)
        engine = next(one for one in COMPUTING if any(span.engine is one for span in work))
        times.append(
            LayerTime(
                number=layer.number,
                name=layer.name,
                start=start,
                end=end,
                cycles=max(0, end - before),
                macs=layer.macs,
                bound=max(Engine, key=lambda one: _at_work(spans, one)),
                stalls={
                    activity: count
                    for activity, count in _cycles(spans, engine).items()
                    if activity not in (Activity.IDLE, Activity.BUSY) and count
                },
            )
        )
        before = max(before, end)
    return times


def _at_work(spans: list[Span], engine: Engine) -> int:
    """Cycles in which ``engine`` computes, or has a transfer under way."""
    cycles = _cycles(spans, engine)
    return cycles[Activity.BUSY] + cycles[Activity.WAIT_DRAM]


def _cycles(spans: list[Span], engine: Engine) -> dict[Activity, int]:
    """Cycles of ``engine`` by activity."""
    return {
        activity: sum(span.activity[activity] for span in spans if span.engine is engine)
        for activity in Activity
    }
