"""From a program and its predicted run to the figures of the report."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from harness.hardware.area import Area, area
from harness.hardware.energy import Energy, energy
from harness.hardware.energy_constants import DEFAULT
from harness.hardware.timing.clock import Clock
from harness.hardware.timing.result import Timing
from harness.host.between import ACCESS_NS, BetweenImages, between_images
from harness.report.memory_use import Block, blocks, most_words
from hw.config import DnaConfig
from hw.isa import Engine, read_program
from hw.status import Activity
from sim.cycles import LayerTime, Prediction, layer_times
from sim.host import HostTime
from sim.memory.model import MemoryModel
from sw.program import LayerTable, Program


class Use(enum.StrEnum):
    """What became of the cycles of an engine."""

    MACS = "macs"
    SHAPE = "shape"
    POOL = "pool"
    WEIGHTS = "weights"
    POST = "post"
    FEATURE = "feature"
    DRAM = "dram"
    OUTPUT = "output"
    ORDER = "order"
    IDLE = "idle"


MEANINGS = {
    Use.MACS: "every MAC works: multiply-accumulates / MACs of the machine",
    Use.SHAPE: "the arrays work, but the layer does not fill their rows and columns",
    Use.POOL: "max-pool, mean or depthwise",
    Use.WEIGHTS: "waiting for the next weights",
    Use.POST: "waiting for a free accumulation tile, which POST drains",
    Use.FEATURE: "waiting for the feature memory",
    Use.DRAM: "waiting for the external memory",
    Use.OUTPUT: "the block behind is not ready",
    Use.ORDER: "the next instruction waits for another engine",
    Use.IDLE: "no instruction has reached CONV: others are in front of it, or none is left",
}
OVER = 1.0005
"""A share of more than this is more than 100.0 %, and says why."""

_USES = {
    Activity.IDLE: Use.IDLE,
    Activity.BUSY: Use.POOL,
    Activity.WAIT_TOKEN: Use.ORDER,
    Activity.WAIT_DRAM: Use.DRAM,
    Activity.WAIT_WEIGHTS: Use.WEIGHTS,
    Activity.WAIT_ACCUMULATION: Use.POST,
    Activity.WAIT_FEATURE: Use.FEATURE,
    Activity.WAIT_OUTPUT: Use.OUTPUT,
}


class LayerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of the modelled run.

    Attributes:
        number, name, kind, shape, macs: as in the program's table.
        split, neighbours: k and p; 0 if it is no convolution.
        start, end: first cycle of work for it, and the first one after, from the start of the
            program; loads and weights run ahead. Layers overlap.
        cycles: from the end of the layers before to its own; they add up to the end of the last.
        early: cycles that it had worked before these, beside the layers before.
        utilization: ``macs`` / (MACs of the machine x ``cycles``), which is more than 1 if much of
            it was done early; 0 if it took none.
        uses: cycles of CONV by what became of them: with this layer's instruction, or waiting for
            it; and idle ones in ``cycles``. Over all layers they add up to those of the report.
        lost: of them those in which CONV did less than all MACs can.
        pool: of a layer without CONV, cycles of POOL or DEPTHWISE by what became of them, but for
            the wait for their turn.
        bound: the engine that is at work longest with it, in lower case.
        dram_bytes: to and from DRAM.
    """

    number: int
    name: str
    kind: str
    shape: tuple[int, int, int]
    macs: int
    split: int
    neighbours: int
    start: int
    end: int
    cycles: int
    early: int
    utilization: float
    uses: dict[str, int]
    lost: int
    pool: dict[str, int]
    bound: str
    dram_bytes: int


class SpanFigures(msgspec.Struct, frozen=True):
    """One instruction in the modelled run: its first cycle of work, and the first one after."""

    index: int
    engine: str
    opcode: str
    layer: int
    start: int
    end: int


class BatchFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The program of several images, which overlap.

    Attributes:
        images: that it computes.
        cycles: from start to interrupt.
        cycles_per_image: ``cycles`` / ``images``.
        utilization: of the whole program.
        latency_ms: until all of its images are there.
    """

    images: int
    cycles: int
    cycles_per_image: float
    utilization: float
    latency_ms: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the report shows. All times are modelled, but for the host's.

    Attributes:
        model: what the network is called.
        config: name of the configuration.
        parameters: all of its parameters.
        clock: of the machine, and what proves it.
        memory: the memory model's parameters (:meth:`MemoryModel.figures`).
        cycles: from start to interrupt.
        tail_cycles: of them after the end of the last layer: the interrupt. CONV is idle then.
        macs, utilization, latency_ms: of one image.
        throughput_per_s: with one program after the other: of several images, if there is one.
        utilization_all: of all multipliers, the depthwise engine's too.
        beside_conv: part of the cycles of the depthwise engine's work in which CONV worked, too;
            None if it has none.
        dram_read_bytes, dram_written_bytes: whole DRAM words.
        uses: cycles of CONV by what became of them; they add up to ``cycles``.
        engines: cycles by engine and activity.
        most_feature_words: most words of the feature memory in use at a time.
        area: an estimate, by arithmetic on the configuration.
        proved_area: by block, in the units of the target, from the run that proves the clock;
            empty if there is none.
        energy: an estimate, of one image.
        between: what the host does between two images, in none of the other figures.
        batch: of the program of several images; None if there is none. All other figures are of
            that of one image, but for the throughput.
        host: what the host runs beside the machine, measured here; None if there is nothing.
    """

    modelled: bool
    model: str
    config: str
    parameters: DnaConfig
    clock: Clock
    memory: dict[str, Any]
    cycles: int
    tail_cycles: int
    macs: int
    utilization: float
    utilization_all: float
    beside_conv: float | None
    latency_ms: float
    throughput_per_s: float
    dram_read_bytes: int
    dram_written_bytes: int
    uses: dict[str, int]
    engines: dict[str, dict[str, int]]
    layers: list[LayerFigures]
    spans: list[SpanFigures]
    feature_memory: list[Block]
    most_feature_words: int
    area: Area
    proved_area: dict[str, dict[str, float]]
    energy: Energy
    between: BetweenImages
    batch: BatchFigures | None = None
    host: HostTime | None = None


def batch_figures(program: Program, prediction: Prediction, clock: Clock) -> BatchFigures:
    """The figures of ``prediction``, a run of ``program``, which computes several images."""
    macs = sum(table.macs for table in program.layers)
    return BatchFigures(
        images=program.images,
        cycles=prediction.cycles,
        cycles_per_image=prediction.cycles / program.images,
        utilization=macs / (program.config.macs * prediction.cycles),
        latency_ms=prediction.cycles / (clock.mhz * 1e3),
    )


def report(
    program: Program,
    prediction: Prediction,
    *,
    memory: MemoryModel,
    clock: Clock,
    timing: Timing | None = None,
    model: str,
    technology: str = DEFAULT,
    access_ns: float = ACCESS_NS,
    copy_gb_per_s: float | None = None,
    batch: BatchFigures | None = None,
    host: HostTime | None = None,
) -> Report:
    """The figures of ``prediction``, a run of ``program`` with ``memory``.

    Args:
        clock: of the machine.
        timing: what proves it, if anything does.
        model: what the network is called.
        technology: for which energy is estimated (:mod:`harness.hardware.energy_constants`).
        access_ns, copy_gb_per_s: as of :func:`harness.host.between.between_images`.
        batch: of the program of several images, if there is one.
        host: what the host runs, if it does.
    """
    config = program.config
    instructions = read_program(program.code)
    macs = sum(table.macs for table in program.layers)
    layers = _layers(program, prediction)
    held = blocks(program, prediction.spans)
    latency = prediction.cycles / (clock.mhz * 1e3)
    conv = prediction.activity[Engine.CONV].sum(axis=0)
    depthwise = prediction.counters[Engine.DEPTHWISE][Activity.BUSY]
    return Report(
        modelled=True,
        model=model,
        config=config.name,
        parameters=config,
        clock=clock,
        memory=memory.figures(config.dram_bytes_per_cycle),
        cycles=prediction.cycles,
        tail_cycles=prediction.cycles - max(layer.end for layer in layers),
        macs=macs,
        utilization=macs / (config.macs * prediction.cycles),
        utilization_all=macs / ((config.macs + config.depthwise_macs) * prediction.cycles),
        beside_conv=prediction.both_busy / depthwise if depthwise else None,
        latency_ms=latency,
        throughput_per_s=1e3 * (batch.images / batch.latency_ms if batch else 1 / latency),
        batch=batch,
        host=host,
        dram_read_bytes=sum(prediction.words_read.values()) * config.dram_bytes_per_cycle,
        dram_written_bytes=prediction.words_written * config.dram_bytes_per_cycle,
        uses=_uses(conv, sum(map(_conv_macs, program.layers)) / config.macs),
        engines={
            engine.name: {
                activity.name: int(prediction.activity[engine, :, activity].sum())
                for activity in Activity
            }
            for engine in Engine
        },
        layers=layers,
        spans=[
            SpanFigures(
                index=span.index,
                engine=Engine(span.engine).name,
                opcode=instructions[span.index].opcode.name,
                layer=span.layer,
                start=span.start,
                end=span.end + 1,
            )
            for span in prediction.spans
        ],
        feature_memory=held,
        most_feature_words=most_words(held, config.feature_words),
        area=area(config),
        energy=energy(
            program,
            prediction,
            memory=memory.name,
            clock_mhz=clock.mhz,
            technology=technology,
        ),
        between=between_images(program, latency, access_ns=access_ns, copy_gb_per_s=copy_gb_per_s),
        proved_area={} if timing is None else timing.area,
    )


def _uses(activity: Sequence[int] | npt.NDArray[np.int64], ideal: float) -> dict[str, int]:
    """Cycles by use, from cycles by :class:`Activity`; ``ideal`` of the busy ones use every MAC."""
    uses = {_USES[kind]: int(activity[kind]) for kind in Activity}
    if ideal:
        busy = uses.pop(Use.POOL)
        uses[Use.MACS] = min(round(ideal), busy)
        uses[Use.SHAPE] = busy - uses[Use.MACS]
    return {use: uses[use] for use in Use if uses.get(use)}


def _conv_macs(table: LayerTable) -> int:
    """Multiply-accumulates of a layer, if CONV makes them."""
    return table.macs if table.split else 0


def _layers(program: Program, prediction: Prediction) -> list[LayerFigures]:
    activity = np.zeros_like(prediction.activity)
    for span in prediction.spans:
        activity[span.engine, span.layer] += span.activity
    times = layer_times(program, prediction)
    idle = _idle(prediction, times)
    return [
        _layer(program, table, time, activity, idle[table.number])
        for table, time in zip(program.layers, times, strict=True)
    ]


def _idle(prediction: Prediction, times: Sequence[LayerTime]) -> dict[int, int]:
    """Cycles without an instruction in CONV, by the layer in whose time they are."""
    idle, free = dict.fromkeys((time.number for time in times), 0), 0
    conv = [span for span in prediction.spans if span.engine is Engine.CONV]
    taken = [(span.end + 1 - sum(span.activity), span.end + 1) for span in conv]
    for start, end in [*taken, (prediction.cycles, prediction.cycles)]:
        for time in times:
            first = time.end + 1 - time.cycles
            idle[time.number] += max(0, min(start, time.end + 1) - max(free, first))
        free = end
    return idle


def _layer(
    program: Program,
    table: LayerTable,
    time: LayerTime,
    activity: npt.NDArray[np.int64],
    idle: int,
) -> LayerFigures:
    config = program.config
    conv = activity[Engine.CONV, table.number].copy()
    other = activity[[Engine.POOL, Engine.DEPTHWISE], table.number].sum(axis=0)
    conv[Activity.IDLE] += idle
    uses = _uses(conv, _conv_macs(table) / config.macs)
    return LayerFigures(
        number=table.number,
        name=table.name,
        kind=table.kind,
        shape=table.shape,
        macs=table.macs,
        split=table.split,
        neighbours=table.neighbours,
        start=time.start,
        end=time.end + 1,
        cycles=time.cycles,
        early=max(0, time.end + 1 - time.cycles - time.start) if time.cycles else 0,
        utilization=table.macs / (config.macs * time.cycles) if time.cycles else 0.0,
        uses=uses,
        lost=sum(uses.values()) - uses.get(Use.MACS, 0),
        # They wait for their turn, beside CONV, for most of the run, and nobody minds.
        pool={} if table.split else {k: n for k, n in _uses(other, 0).items() if k != Use.ORDER},
        bound=time.bound.name.lower(),
        dram_bytes=table.weight_bytes + table.load_bytes + table.store_bytes,
    )
