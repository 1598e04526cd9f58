"""Runs a whole compiled program on the machine and compares every value that it computes.

One run, from start to interrupt; nothing in between is done by the testbench. What the machine
writes to its feature memory is recorded on the way and afterwards put together, layer by layer.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from hw.isa import Engine, Instruction, Opcode, disassemble, read_program
from sim.driver import Driver
from sim.rtl.machine import FeatureWrites, Machine
from sw.program import LayerTable, Program, StripePlace

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
_WRITERS = {
    Opcode.POST: Engine.POST,
    Opcode.MAX_POOL: Engine.POOL,
    Opcode.MEAN: Engine.POOL,
}
NEVER = -1


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A value that differs.

    Attributes:
        where: (y, x, channel) of the layer's output.
        expected: by the functional model.
        got: from the hardware; None if it never wrote the value.
        cycle: in which the hardware wrote it, from power-on.
        instruction: number of the instruction that should have, and its text.
    """

    where: tuple[int, int, int]
    expected: int
    got: int | None
    cycle: int
    instruction: tuple[int, str]


@dataclasses.dataclass(frozen=True)
class LayerResult:
    """How one layer of the program went.

    Attributes:
        name: operations of the layer.
        shape: of its output (height, width, channels).
        values: values compared.
        mismatches: values that differ or were not written exactly once.
        cycles: from the last write of the layers before to its own last one.
        macs: multiply-accumulates.
        first: the first mismatch in time.
    """

    name: str
    shape: tuple[int, int, int]
    values: int
    mismatches: int
    cycles: int
    macs: int
    first: Mismatch | None


@dataclasses.dataclass(frozen=True)
class ProgramResult:
    """How a run went.

    Attributes:
        layers: in program order.
        logits: how many logits in memory differ from the last layer's expected output.
        cycles: from start to interrupt, as the machine counted them.
        macs: multiply-accumulates of all layers.
        utilization: ``macs`` / (MACs of the machine x ``cycles``).
        activity: cycles by engine and activity, from the machine's registers.
    """

    layers: list[LayerResult]
    logits: int
    cycles: int
    macs: int
    utilization: float
    activity: dict[str, dict[str, int]]

    @property
    def values(self) -> int:
        """Values compared."""
        return sum(layer.values for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Values that differ, logits in memory included."""
        return sum(layer.mismatches for layer in self.layers) + self.logits


def verify_program(
    machine: Machine,
    program: Program,
    image: Int8,
    expected: Mapping[str, Int8],
    *,
    progress: Callable[[int], None] | None = None,
) -> ProgramResult:
    """Run ``program`` once and compare every layer's output.

    Args:
        machine: opened with ``record_writes`` and enough memory.
        image: int8, the network's input.
        expected: the right tensors by name, ``memory.operands`` among them.
        progress: called with the cycles run so far.

    Raises:
        MachineError: the machine stopped.
    """
    driver = Driver(machine, program)
    first_cycle = machine.cycle
    operands = {tensor.tensor: expected[tensor.tensor] for tensor in program.memory.operands}
    logits = driver.run(image, operands=operands, progress=progress)
    cycles = driver.cycles
    outputs = written_outputs(program, machine.feature_writes())
    layers, end = [], first_cycle
    for table in program.layers:
        output = outputs[table.number]
        layer_end = max(end, int(output.cycle.max(initial=NEVER)))
        layers.append(_compare(table, output, expected[table.output], layer_end - end))
        end = layer_end
    macs = sum(table.macs for table in program.layers)
    right = expected[program.memory.output.tensor]
    return ProgramResult(
        layers=layers,
        logits=int(np.count_nonzero(logits.reshape(-1) != right.reshape(-1))),
        cycles=cycles,
        macs=macs,
        utilization=macs / (program.config.macs * cycles),
        activity={
            engine.name: {activity.name: count for activity, count in counts.items()}
            for engine, counts in machine.counters().items()
        },
    )


@dataclasses.dataclass
class WrittenOutput:
    """What one layer wrote.

    Attributes:
        values: int8 [height, width, words x rows].
        cycle: int64 [height, width, words]: when the word was written last, ``NEVER`` if not.
        times: int64 [height, width, words]: how often.
        instructions: by output row, the number and text of the instruction that writes it.
    """

    values: Int8
    cycle: Int64
    times: Int64
    instructions: list[tuple[int, str]]


def written_outputs(program: Program, writes: FeatureWrites) -> dict[int, WrittenOutput]:
    """Put the layers' outputs together from all writes of a run, by layer number."""
    words = _words_by_source(writes)
    outputs = {
        table.number: WrittenOutput(
            values=np.zeros((*table.shape[:2], table.words * program.config.rows), np.int8),
            cycle=np.full((*table.shape[:2], table.words), NEVER, np.int64),
            times=np.zeros((*table.shape[:2], table.words), np.int64),
            instructions=[(0, "")] * table.shape[0],
        )
        for table in program.layers
    }
    tables = {table.number: table for table in program.layers}
    stripes: dict[int, int] = defaultdict(int)
    position: dict[Engine, int] = defaultdict(int)
    for number, instruction in enumerate(read_program(program.code)):
        if instruction.opcode not in _WRITERS:
            continue
        source, table = _WRITERS[instruction.opcode], tables[instruction["layer"]]
        if instruction.opcode is Opcode.MEAN:
            # Some words of the only pixel of a mean, or all of the next pixel of an average-pool.
            count = instruction["in_words"]
            row = stripes[table.number] // table.shape[1] if table.kind == "average_pool" else 0
            place = next(p for p in table.stripes if row < p.row + p.rows)
            rows = range(row, row + 1)
        else:
            place = table.stripes[stripes[table.number]]
            count = place.rows * table.shape[1] * table.words
            rows = range(place.row, place.row + place.rows)
        stripes[table.number] += 1
        start = position[source]
        position[source] += count
        output = outputs[table.number]
        _place(output, table, place, words[source].slice(start, start + count))
        for row in rows:
            output.instructions[row] = (number, _text(instruction))
    return outputs


def _text(instruction: Instruction) -> str:
    return next(disassemble([instruction]))


@dataclasses.dataclass(frozen=True)
class _Words:
    """Words as one engine wrote them, in order: address, content [n, rows], cycle."""

    address: Int64
    content: Int8
    cycle: Int64

    def slice(self, start: int, stop: int) -> _Words:
        return _Words(self.address[start:stop], self.content[start:stop], self.cycle[start:stop])


def _words_by_source(writes: FeatureWrites) -> dict[Engine, _Words]:
    lanes = np.arange(writes.words.shape[1])
    enabled = (writes.enable[:, None] >> lanes) & 1 == 1
    result = {}
    for source in (Engine.POST, Engine.POOL):
        rows = writes.source == source
        chosen = enabled & rows[:, None]
        addresses = (writes.address.astype(np.int64)[:, None] + lanes)[chosen]
        cycles = np.broadcast_to(writes.cycle[:, None], enabled.shape)[chosen]
        result[source] = _Words(addresses, writes.words[chosen], cycles)
    return result


def _place(output: WrittenOutput, table: LayerTable, place: StripePlace, words: _Words) -> None:
    """Put the words of one instruction where they belong; words that belong nowhere are dropped."""
    height, width, _ = table.shape
    offset = words.address - place.base
    row, rest = np.divmod(offset, place.pitch if place.rows > 1 else width * table.words)
    column, word = np.divmod(rest, table.words)
    row += place.row
    inside = (offset >= 0) & (row < min(height, place.row + place.rows)) & (column < width)
    row, column, word = row[inside], column[inside], word[inside]
    rows = words.content.shape[1]
    values = output.values.reshape(height, width, table.words, rows)
    values[row, column, word] = words.content[inside]
    output.cycle[row, column, word] = words.cycle[inside]
    np.add.at(output.times, (row, column, word), 1)


def _compare(table: LayerTable, output: WrittenOutput, expected: Int8, cycles: int) -> LayerResult:
    height, width, channels = table.shape
    right = expected.reshape(table.shape)
    got = output.values[:, :, :channels]
    per_word = output.values.shape[2] // table.words
    once = np.repeat(output.times == 1, per_word, axis=2)[:, :, :channels]
    wrong = (got != right) | ~once
    first = None
    if wrong.any():
        when = np.repeat(output.cycle, per_word, axis=2)[:, :, :channels]
        index = int(np.where(wrong, when, np.iinfo(np.int64).max).argmin())
        y, x, channel = (int(i) for i in np.unravel_index(index, table.shape))
        written = bool(output.times[y, x, channel // per_word])
        first = Mismatch(
            where=(y, x, channel),
            expected=int(right[y, x, channel]),
            got=int(got[y, x, channel]) if written else None,
            cycle=int(when[y, x, channel]),
            instruction=output.instructions[y],
        )
    return LayerResult(
        name=table.name,
        shape=table.shape,
        values=height * width * channels,
        mismatches=int(np.count_nonzero(wrong)),
        cycles=cycles,
        macs=table.macs,
        first=first,
    )
