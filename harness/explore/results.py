"""From outcomes to rows that can be compared, and which of them nothing beats."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from harness.explore.evaluate import Outcome
from harness.hardware.area import Area, area
from harness.hardware.timing.clock import Clock
from hw.config import DnaConfig
from sim.memory.presets import IDEAL


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration at a clock. All times are modelled, the area is estimated.

    Attributes:
        clock: with what proves it.
        memory: its name.
        refused: why it cannot run; then there are no figures.
        latency_ms, throughput_per_s, utilization: of one image from start to interrupt.
        dram_gb_per_s: that the memory is asked for on average.
        mj: energy of an image, estimated.
        luts: the area in one figure (:attr:`harness.hardware.area.Area.luts`).
        front, area_front: whether it is on the Pareto front of latency, area and energy; of latency
            and area alone.
    """

    name: str
    parameters: DnaConfig | None
    clock: Clock
    memory: str = IDEAL
    refused: str | None = None
    cycles: int = 0
    latency_ms: float = 0
    throughput_per_s: float = 0
    utilization: float = 0
    dram_gb_per_s: float = 0
    mj: float = 0
    luts: float = 0
    area: Area | None = None
    front: bool = False
    area_front: bool = False


def row(config: DnaConfig, outcome: Outcome, clock: Clock, memory: str = IDEAL) -> Row:
    """The figures of ``config`` with the memory of that name."""
    base = Row(name=config.name, parameters=config, clock=clock, memory=memory)
    if outcome.refused is not None:
        return msgspec.structs.replace(base, refused=outcome.refused)
    size = area(config)
    latency = outcome.cycles / (clock.mhz * 1e3)
    return msgspec.structs.replace(
        base,
        cycles=outcome.cycles,
        latency_ms=latency,
        throughput_per_s=1e3 / latency,
        utilization=outcome.macs / (config.macs * outcome.cycles),
        dram_gb_per_s=outcome.dram_bytes / (latency * 1e6),
        mj=outcome.mj,
        luts=size.luts,
        area=size,
    )


def ranked(rows: Sequence[Row]) -> list[Row]:
    """The quickest first, those refused last, and the Pareto fronts marked.

    On the front are the rows to which no other is better in latency, area or energy and at least as
    good in the others; of equals one. On that of latency and area energy does not count.
    """
    ordered = sorted(
        rows, key=lambda row: (row.refused is not None, row.latency_ms, row.luts, row.mj)
    )
    marked: list[Row] = []
    for row in ordered:
        runs = row.refused is None
        smaller = [one for one in marked if one.refused is None and one.luts <= row.luts]
        front = runs and not any(one.mj <= row.mj for one in smaller)
        marked.append(msgspec.structs.replace(row, front=front, area_front=runs and not smaller))
    return marked
