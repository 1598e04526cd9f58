"""What the cycle model tells about a program."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hw.isa import Engine, Opcode, read_program
from hw.status import Activity
from sim.cycles.model import NEVER, Model, Verdict
from sim.memory.model import MemoryModel
from sw.errors import DnaError
from sw.program import Program

FIRST_CYCLE = 46
"""Cycle from power-on in which the first run of a :class:`sim.driver.Driver` begins."""

DEFAULT_MEMORY = MemoryModel()

BUDGET = 1 << 22
"""Cycles between two reports of progress: a fraction of a second."""


@dataclasses.dataclass(frozen=True)
class Span:
    """One instruction in its engine. Cycles count from the start of the program.

    Attributes:
        index: number in the program.
        engine: who executes it.
        layer: number of its layer.
        dispatched: cycle in which it was first offered to the engine, with all its tokens.
        start: first cycle of work: of a WEIGHTS that of its first word, of a CONV that of its first
            pixel.
        end: cycle in which it was done.
        activity: cycles by :class:`hw.status.Activity` that the engine spent on it or waiting
            for it, from the one in which it had it in front, but for those in which it still
            worked on the one before.
    """

    index: int
    engine: Engine
    layer: int
    dispatched: int
    start: int
    end: int
    activity: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What the machine does in time.

    Attributes:
        cycles: from start to interrupt, as the machine's own counter counts.
        activity: cycles, int64 [engine, layer, activity], as
            :meth:`sim.rtl.simulator.Simulator.layer_activity` gives them.
        spans: every instruction but HEADER that was done by then, in program order.
        words_read: DRAM words read, by who asked for them: CONTROL (the program), LOAD, WEIGHTS.
        words_written: DRAM words written.
        most_weights: DRAM words that the weight FIFO held at most.
        weights_empty: cycles in which CONV would have taken a DRAM word and the FIFO had none.
        both_busy: cycles in which CONV and DEPTHWISE worked.
    """

    cycles: int
    activity: npt.NDArray[np.int64]
    spans: tuple[Span, ...]
    words_read: dict[Engine, int]
    words_written: int
    most_weights: int
    weights_empty: int
    both_busy: int

    @property
    def dram_busy(self) -> float:
        """Words moved per cycle, read and written: the part of the port's width that is used."""
        return (sum(self.words_read.values()) + self.words_written) / self.cycles

    @property
    def counters(self) -> dict[Engine, dict[Activity, int]]:
        """Cycles by engine and activity, as :meth:`sim.rtl.simulator.Simulator.counters`."""
        totals = self.activity.sum(axis=1)
        return {e: {a: int(totals[e, a]) for a in Activity} for e in Engine}


def predict(
    program: Program,
    memory: MemoryModel = DEFAULT_MEMORY,
    progress: Callable[[int], None] | None = None,
    *,
    first_cycle: int = FIRST_CYCLE,
) -> Prediction:
    """What the machine does with ``program`` in time.

    Args:
        program: what the compiler made.
        memory: how the external memory behaves.
        progress: called a few times a second with the cycles up to then.
        first_cycle: of the run, from power-on; only the memory's random stalls depend on it.

    Raises:
        DnaError: the program does not end, gives a token too many, or ``memory`` answers with
            errors, which end a run in time but not in order.
    """
    if memory.errors:
        raise DnaError("the cycle model knows no bus errors; give a memory without")
    instructions = read_program(program.code)
    layers = 1 + max(instruction["layer"] for instruction in instructions)
    offset = program.memory.program.offset
    patience = memory.patience(program.config.dram_bytes_per_cycle)
    model = Model(program.config, instructions, offset, layers, memory, first_cycle, patience)
    try:
        while (verdict := model.run(BUDGET)) is Verdict.RUNNING:
            if progress is not None:
                progress(model.result.cycles)
        result = model.result
        if verdict is Verdict.STANDS_STILL:
            raise DnaError(f"the program stands still in cycle {result.cycles}: it has no end")
        if verdict is Verdict.TOKEN_OVERFLOW:
            raise DnaError(f"the program gives a token too many in cycle {result.cycles}")
        histogram = np.array(model.histogram(), np.int64)
        spans = tuple(
            Span(
                index,
                instruction.engine,
                instruction["layer"],
                trace.dispatched,
                trace.start,
                trace.end,
                tuple(trace.activity),
            )
            for index, (instruction, trace) in enumerate(
                zip(instructions, model.traces(), strict=True)
            )
            if instruction.opcode is not Opcode.HEADER and trace.end != NEVER
        )
    finally:
        model.close()
    return Prediction(
        result.cycles,
        histogram.reshape(len(Engine), layers, len(Activity)),
        spans,
        dict(zip((Engine.CONTROL, Engine.LOAD, Engine.WEIGHTS), result.words_read, strict=True)),
        result.words_written,
        result.most_weights,
        result.weights_empty,
        result.both_busy,
    )
