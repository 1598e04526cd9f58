"""What is in the feature memory when: followed instruction by instruction through a run."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from hw.isa import Engine, Instruction, Opcode, read_program
from hw.isa.accesses import Memory, Rows, accesses
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


def _feature_words(accesses: tuple[Rows, ...]) -> list[range]:
    """The words of feature memory among them, from the first to the last of each."""
    return [rows.span for rows in accesses if rows.memory is Memory.FEATURE]


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
        touched = accesses(op, program.config)
        for words in _feature_words(touched.reads):
            for block in live:
                if block.holds(words):
                    block.end = max(block.end, when[index].end + 1)
        for target in _feature_words(touched.writes):
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
