"""The statements of what CXXRTL generates for a design, and what each of them reads and writes."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator

from sim.rtl.fast.cxxrtl_forms import NAME, TARGETS, UPDATE
from sim.yosys import unexpected

MEMORY = "memory_"
"""What the names of memories begin with."""

_CONCAT = ".concat("
_PARTS = 8  # of a concatenation between two values


@dataclasses.dataclass
class Statement:
    """Some lines that belong together.

    Attributes:
        text: the lines.
        reads: wires, registers and memories.
        computes: wires.
        keeps: registers and memories that take what it computes at the edge; then no wires.
    """

    text: str
    reads: set[str]
    computes: set[str]
    keeps: set[str]


Part = list[Statement]


def statements_of(text: str) -> Iterator[Statement]:
    """The statements; writes to the same memory are one, in the order of their priorities.

    Args:
        text: with neither declarations nor what is executed first and last.
    """
    writes: dict[str, list[tuple[int, Statement]]] = defaultdict(list)
    for lines in _groups(text):
        statement = _parse(lines)
        ports = UPDATE.findall(statement.text)
        if not ports:
            yield statement
        for memory, priority in ports:
            writes[memory].append((int(priority), statement))
    for memory, ports in writes.items():
        ports.sort(key=lambda port: port[0])
        statements = [statement for _, statement in ports]
        whole = "".join(statement.text for statement in statements)
        reads = set[str]().union(*(statement.reads for statement in statements))
        if any(statement.keeps != {memory} for statement in statements) or any(
            name.startswith(MEMORY) for name in reads
        ):
            raise unexpected(f"a write to {memory} that does something else too")
        yield Statement(whole, reads, set(), {memory})


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
    written = [memory for memory, _ in UPDATE.findall(text)]
    # No port both reads and writes; a write names the memory only to write to it.
    if any(len(re.findall(rf"\b{name}\b", text)) != written.count(name) for name in written):
        raise unexpected(f"a write that reads: {lines[0].strip()[:80]!r}")
    reads -= set(written)
    keeps |= set(written)
    if computes and keeps:
        raise unexpected(f"a statement that computes and keeps: {lines[0].strip()[:80]!r}")
    return Statement(text, reads, computes, keeps)


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
