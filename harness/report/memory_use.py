"""What is in the feature memory when: followed instruction by instruction through a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from hw.isa import Engine, Instruction, Opcode, read_program
from sim.cycles import Span
from sw.program import Program


class Block(msgspec.Struct, frozen=True):
    """Words that one instruction wrote.

    Attributes:
        layer: of the instruction.
        engine: that wrote them: LOAD, POST or POOL.
        tensor: what they are part of.
        base, words: from the first to the last; gaps between rows are counted.
        start: cycle in which the instruction started.
        end: first cycle after the last instruction that reads any of them.
    """

    layer: int
    engine: str
    tensor: str
    base: int
    words: int
    start: int
    end: int


def _rows(base: int, pitch: int, rows: int, row_words: int) -> range:
    """Words from the first to the last of some rows."""
    return range(base, base + (rows - 1) * pitch + row_words)


def written(op: Instruction) -> range | None:
    """The words of feature memory that ``op`` writes, from the first to the last."""
    match op.opcode:
        case Opcode.LOAD:
            row_words = op["windows"] * op["window_words"]
            return _rows(op["out_base"], op["out_pitch"], op["rows"], row_words)
        case Opcode.POST:
            return _post(op, "out")
        case Opcode.MAX_POOL:
            row_words = op["out_width"] * op["in_words"]
            return _rows(op["out_base"], op["out_pitch"], op["out_height"], row_words)
        case Opcode.MEAN:
            return _rows(op["out_base"], 0, 1, op["in_words"])
    return None


def read(op: Instruction) -> Iterator[range]:
    """The words of feature memory that ``op`` reads."""
    match op.opcode:
        case Opcode.CONV | Opcode.MAX_POOL | Opcode.MEAN:
            row_words = op["in_width"] * op["in_words"]
            yield _rows(op["in_base"], op["in_pitch"], op["in_height"], row_words)
        case Opcode.POST if op["residual"]:
            yield _post(op, "res")
        case Opcode.STORE:
            yield _rows(op["in_base"], op["in_pitch"], op["rows"], op["row_words"])


def _post(op: Instruction, side: str) -> range:
    pixels = (op["pixel_tiles"] - 1) * op["tile_pixels"] + op["last_pixels"]
    rows = -(-pixels // op["out_width"])
    row_words = op["out_width"] * op["out_words"]
    return _rows(op[f"{side}_base"], op[f"{side}_pitch"], rows, row_words)


class _Live:
    """A block whose end is not known yet, and which of its words nothing has overwritten."""

    def __init__(self, op: Instruction, tensor: str, words: range, span: Span) -> None:
        self.op, self.tensor, self.words = op, tensor, words
        self.start, self.end = span.start, span.end + 1
        self.rest = [words]

    def overwrite(self, words: range) -> bool:
        """Whether anything is left of it."""
        rest = []
        for part in self.rest:
            before = range(part.start, min(part.stop, words.start))
            behind = range(max(part.start, words.stop), part.stop)
            rest += [piece for piece in (before, behind) if piece]
        self.rest = rest
        return bool(rest)

    def holds(self, words: range) -> bool:
        return any(part.start < words.stop and words.start < part.stop for part in self.rest)

    def block(self) -> Block:
        return Block(
            layer=self.op["layer"],
            engine=Engine(self.op.engine).name,
            tensor=self.tensor,
            base=self.words.start,
            words=len(self.words),
            start=self.start,
            end=self.end,
        )


def blocks(program: Program, spans: Sequence[Span]) -> list[Block]:
    """What the instructions of ``program`` wrote to feature memory, in program order.

    Args:
        spans: when each instruction ran.
    """
    when = {span.index: span for span in spans}
    outputs = {table.number: table.output for table in program.layers}
    every: list[_Live] = []
    live: list[_Live] = []
    for index, op in enumerate(read_program(program.code)):
        if index not in when:
            continue
        for words in read(op):
            for block in live:
                if block.holds(words):
                    block.end = max(block.end, when[index].end + 1)
        target = written(op)
        if target is not None:
            live = [block for block in live if block.overwrite(target)]
            name = outputs[op["layer"]]
            tensor = f"input of {name}" if op.opcode is Opcode.LOAD else name
            live.append(_Live(op, tensor, target, when[index]))
            every.append(live[-1])
    return [block.block() for block in every]


def most_words(held: Sequence[Block], feature_words: int) -> int:
    """The most words of the feature memory that ``held`` has in use at a time."""
    users = np.zeros(feature_words, np.int32)
    ends = [(block.end, -1, block) for block in held]
    starts = [(block.start, 1, block) for block in held]
    most = 0
    for _, change, block in sorted(ends + starts, key=lambda event: event[:2]):
        users[block.base : block.base + block.words] += change
        if change > 0:
            most = max(most, int(np.count_nonzero(users)))
    return most
