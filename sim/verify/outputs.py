"""Puts the layers' outputs together from what the instructions wrote to the feature memory."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hw.isa import FORMATS, Engine, Instruction, Opcode, disassemble, read_program
from sim.verify.results import LayerResult, Mismatch
from sw.errors import DnaError
from sw.program import LayerTable, MemoryMap, Program, StripePlace

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]

WRITING_ENGINES = (Engine.POST, Engine.POOL, Engine.DEPTHWISE)
WRITERS = tuple(opcode for opcode, form in FORMATS.items() if form.engine in WRITING_ENGINES)
"""Instructions that write the output of a layer."""

NEVER = -1


@dataclasses.dataclass(frozen=True)
class Words:
    """Words written to the feature memory, in order.

    Attributes:
        address: int64 [n].
        content: int8 [n, rows].
        time: int64 [n], when: cycles or steps, whatever counts up.
    """

    address: Int64
    content: Int8
    time: Int64

    def part(self, start: int, stop: int) -> Words:
        """The words from ``start`` to ``stop``."""
        return Words(self.address[start:stop], self.content[start:stop], self.time[start:stop])


@dataclasses.dataclass(frozen=True)
class Target:
    """What one instruction writes.

    Attributes:
        number: of the instruction in the program.
        instruction: itself.
        table: its layer.
        place: the stripe of the layer's output.
        rows: the rows of the output that get a value from it.
        words: how many words.
    """

    number: int
    instruction: Instruction
    table: LayerTable
    place: StripePlace
    rows: range
    words: int


def targets(program: Program) -> Iterator[Target]:
    """Each of :data:`WRITERS` in ``program``, in order.

    Raises:
        DnaError: one belongs to no layer of the program's table, or to no stripe of its layer.
    """
    tables = {table.number: table for table in program.layers}
    seen: dict[int, int] = defaultdict(int)
    writers = [
        (number, instruction)
        for number, instruction in enumerate(read_program(program.code))
        if instruction.opcode in WRITERS
    ]
    parts = Counter(instruction["layer"] for _, instruction in writers)
    copied = {
        instruction["layer"]
        for _, instruction in writers
        if instruction.opcode is Opcode.MAX_POOL
        and instruction["layer"] in tables
        and tables[instruction["layer"]].kind != "max_pool"
    }
    for number, instruction in writers:
        layer = instruction["layer"]
        if layer not in tables:
            raise DnaError(f"instruction {number} is of layer {layer}, which the program lacks")
        table, index = tables[layer], seen[layer]
        seen[layer] += 1
        if instruction.opcode is Opcode.MEAN:
            # Some words of the only pixel of a mean, or all of the next pixel of an average-pool.
            words = instruction["in_words"]
            pixels = table.shape[0] * table.shape[1]
            row = index // max(1, parts[layer] // pixels) // table.shape[1]
            rows = range(row, row + 1)
            places = [place for place in table.stripes if row < place.row + place.rows][:1]
        else:
            # Copies write some words each, of the output or of what a convolution reads.
            each = max(1, parts[layer] // len(table.stripes)) if layer in copied else 1
            places = table.stripes[index // each : index // each + 1]
            rows = range(places[0].row, places[0].row + places[0].rows) if places else range(0)
            words = len(rows) * table.shape[1] * table.words
            if instruction.opcode is Opcode.MAX_POOL:
                words = math.prod(instruction[n] for n in ("out_height", "out_width", "in_words"))
        if not places:
            raise DnaError(f"instruction {number} is one too many for {table.name}")
        yield Target(number, instruction, table, places[0], rows, words)


class Output:
    """What one layer wrote.

    Attributes:
        table: the layer.
        values: int8 [height, width, words x rows].
        time: int64 [height, width, words]: when the word was written last, ``NEVER`` if not.
        times: int64 [height, width, words]: how often.
        instructions: by output row, the number and text of the instruction that writes it.
    """

    def __init__(self, table: LayerTable, word_bytes: int) -> None:
        height, width, _ = table.shape
        self.table = table
        self.values: Int8 = np.zeros((height, width, table.words * word_bytes), np.int8)
        self.time: Int64 = np.full((height, width, table.words), NEVER, np.int64)
        self.times: Int64 = np.zeros((height, width, table.words), np.int64)
        self.instructions = [(0, "")] * height

    def add(self, target: Target, words: Words) -> None:
        """Put the words of one instruction where they belong; others are dropped."""
        height, width, _ = self.table.shape
        place, count = target.place, self.table.words
        offset = words.address - place.base
        row, rest = np.divmod(offset, place.pitch if place.rows > 1 else width * count)
        column, word = np.divmod(rest, count)
        row += place.row
        inside = (offset >= 0) & (row < min(height, place.row + place.rows)) & (column < width)
        row, column, word = row[inside], column[inside], word[inside]
        values = self.values.reshape(height, width, count, -1)
        values[row, column, word] = words.content[inside]
        self.time[row, column, word] = words.time[inside]
        np.add.at(self.times, (row, column, word), 1)
        text = next(disassemble([target.instruction]))
        for y in target.rows:
            self.instructions[y] = (target.number, text)

    def compare(self, expected: Int8, *, cycles: int | None) -> LayerResult:
        """Compare every value.

        Args:
            expected: int8, the layer's output.
            cycles: that the layer took, for the result; None if ``time`` does not count cycles.
        """
        height, width, channels = self.table.shape
        right = expected.reshape(self.table.shape)
        got = self.values[:, :, :channels]
        per_word = self.values.shape[2] // self.table.words
        once = np.repeat(self.times == 1, per_word, axis=2)[:, :, :channels]
        wrong = (got != right) | ~once
        first = None
        if wrong.any():
            when = np.repeat(self.time, per_word, axis=2)[:, :, :channels]
            index = int(np.where(wrong, when, np.iinfo(np.int64).max).argmin())
            y, x, channel = (int(i) for i in np.unravel_index(index, self.table.shape))
            written = bool(self.times[y, x, channel // per_word])
            first = Mismatch(
                where=(y, x, channel),
                expected=int(right[y, x, channel]),
                got=int(got[y, x, channel]) if written else None,
                cycle=None if cycles is None else int(when[y, x, channel]),
                instruction=self.instructions[y],
            )
        return LayerResult(
            name=self.table.name,
            shape=self.table.shape,
            values=height * width * channels,
            mismatches=int(np.count_nonzero(wrong)),
            cycles=cycles,
            macs=self.table.macs,
            first=first,
        )


def together(runs: Sequence[Mapping[str, Int8]]) -> Mapping[str, Int8]:
    """The tensors of the images that one program computes, from those of each."""
    if len(runs) == 1:
        return runs[0]
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def differing(memory: MemoryMap, dram: npt.NDArray[np.uint8], expected: Mapping[str, Int8]) -> int:
    """How many values that the host reads after a run are wrong.

    Args:
        memory: of the program.
        dram: uint8, the memory window behind the run.
        expected: the right tensors by name.
    """
    return sum(
        int(np.count_nonzero(each.read(dram).reshape(-1) != expected[each.tensor].reshape(-1)))
        for each in memory.outputs
    )


def outputs_of(program: Program) -> dict[int, Output]:
    """The outputs of all layers by number, nothing written yet."""
    return {table.number: Output(table, program.config.rows) for table in program.layers}
