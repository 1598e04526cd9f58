"""Orders the statements of what CXXRTL generates for a design into parts of one block each.

Each part reads only what itself and parts before it compute.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from sim.rtl.fast.cxxrtl_forms import NAME, TARGETS, UPDATE
from sim.yosys import unexpected

_MEMORY = "memory_"
_CONCAT = ".concat("
_PARTS = 8  # of a concatenation between two values
_LONG = 8  # times the least length of a part
_Block = tuple[str, ...]


@dataclasses.dataclass
class Statement:
    """Some lines that belong together.

    Attributes:
        text: the lines.
        block: the hierarchical name of the module that they are of.
        reads: wires, registers and memories.
        computes: wires.
        keeps: registers and memories that take what it computes when all is computed.
    """

    text: str
    block: _Block
    reads: set[str]
    computes: set[str]
    keeps: set[str]


Part = list[Statement]


def parts_of(text: str, size: int) -> list[Part]:
    """Parts to execute in this order.

    Args:
        text: the statements, with neither declarations nor what is executed first and last.
        size: about how many characters a part has at least.
    """
    statements = list(_statements(text))
    _widen_blocks(statements, size)
    return list(_merged(_runs(statements), size))


def _statements(text: str) -> Iterator[Statement]:
    """The statements; writes to the same memory are one."""
    writers: dict[str, Statement] = {}
    for lines in _groups(text):
        statement = _parse(lines)
        # A part may be repeated, or not, if all that it writes to is written by nobody else.
        memories = {name for name in statement.keeps if name.startswith(_MEMORY)}
        first = next((writers[name] for name in memories if name in writers), None)
        if first is None:
            writers |= dict.fromkeys(memories, statement)
            yield statement
        else:
            first.text += statement.text
            first.reads |= statement.reads
            first.keeps |= statement.keeps


def _groups(text: str) -> Iterator[list[str]]:
    """Lines that belong together; comments stand before each group and are left out."""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith("\t//") and lines:
            yield lines
            lines = []
        if not line.lstrip().startswith("//"):
            lines.append(line)
    if lines:
        yield lines


def _parse(lines: list[str]) -> Statement:
    reads: set[str] = set()
    computes: set[str] = set()
    keeps: set[str] = set()
    for line in lines:
        targets = TARGETS.match(line)
        for name, following in NAME.findall(targets[1] if targets else ""):
            (keeps if following else computes).add(name)
        for name, following in NAME.findall(line[targets.end() :] if targets else line):
            if following:
                raise unexpected(f"something that reads {name}.next")
            reads.add(name)
    text = "".join(map(_shorten, lines))
    written = set(UPDATE.findall(text))
    # No port both reads and writes; a write names the memory only to write to it.
    reads -= written
    keeps |= written
    name = min(computes | keeps, key=lambda name: (len(name), name))
    path = re.sub(rf"^(?:{_MEMORY})?[pi]_|flatten_5c_|_5c_", "", name).split("_2e_")
    return Statement(UPDATE.sub(r"dna_update(\1, ", text), tuple(path[:-1]), reads, computes, keeps)


def _shorten(line: str) -> str:
    """The line with a value after every few parts of a long concatenation.

    CXXRTL makes a type of a whole concatenation, and g++ takes 20 s for one of 256 parts.
    """
    if line.count(_CONCAT) < 2 * _PARTS:
        return line
    targets = TARGETS.match(line)
    position = targets.end() if targets else 0
    result = [line[:position]]
    depth: list[int] = []  # of open brackets: which part of a concatenation, or 0
    count = 0
    while position < len(line):
        if line.startswith(_CONCAT, position):
            result.append(_CONCAT)
            position += len(_CONCAT)
            depth.append(count + 1)
            count = 0
            continue
        letter = line[position]
        result.append(letter)
        position += 1
        if letter == "(":
            depth.append(0)
            count = 0
        elif letter == ")":
            count = depth.pop()
            if not line.startswith(_CONCAT, position):
                count = 0
            elif count == _PARTS:
                result.append(".val()")
                count = 0
    return "".join(result)


def _widen_blocks(statements: list[Statement], size: int) -> None:
    """Count the statements of short blocks to the blocks around them."""
    sizes: dict[_Block, int] = defaultdict(int)
    for statement in statements:
        for depth in range(len(statement.block) + 1):
            sizes[statement.block[:depth]] += len(statement.text)
    for statement in statements:
        while statement.block and sizes[statement.block] < size:
            statement.block = statement.block[:-1]


class _Ready:
    """Statements that only read what is computed, by block."""

    def __init__(self) -> None:
        self._numbers: dict[_Block, list[int]] = defaultdict(list)
        self._lengths: dict[_Block, int] = defaultdict(int)

    def add(self, number: int, statement: Statement) -> None:
        self._numbers[statement.block].append(number)
        self._lengths[statement.block] += len(statement.text)

    def take_longest(self) -> tuple[_Block, list[int]]:
        block = max(self._lengths, key=self._lengths.__getitem__)
        del self._lengths[block]
        return block, self._numbers.pop(block)

    def __bool__(self) -> bool:
        return bool(self._numbers)


def _runs(statements: list[Statement]) -> Iterator[Part]:
    """Runs of statements of one block, as long as what they read allows."""
    producers: dict[str, list[int]] = defaultdict(list)
    for number, statement in enumerate(statements):
        for name in statement.computes:
            producers[name].append(number)
    readers: dict[int, list[int]] = defaultdict(list)
    missing = [0] * len(statements)
    ready = _Ready()
    for number, statement in enumerate(statements):
        needs = {other for name in statement.reads for other in producers.get(name, ())}
        for other in needs:
            readers[other].append(number)
        missing[number] = len(needs)
        if not needs:
            ready.add(number, statement)
    done = 0
    while ready:
        block, queue = ready.take_longest()
        run = []
        while queue:
            number = queue.pop()
            run.append(statements[number])
            for reader in readers[number]:
                missing[reader] -= 1
                if not missing[reader] and statements[reader].block == block:
                    queue.append(reader)
                elif not missing[reader]:
                    ready.add(reader, statements[reader])
        done += len(run)
        yield run
    if done < len(statements):
        raise unexpected("a loop of statements in a design that settles at once")


def _merged(runs: Iterable[Part], size: int) -> Iterator[Part]:
    """The runs; short ones that follow one another become one part, long ones several."""
    part: Part = []
    length = 0
    for run in runs:
        whole = sum(len(statement.text) for statement in run)
        if part and length + whole > size:
            yield part
            part, length = [], 0
        for statement in run:
            if length > _LONG * size:
                yield part
                part, length = [], 0
            part.append(statement)
            length += len(statement.text)
    if part:
        yield part
