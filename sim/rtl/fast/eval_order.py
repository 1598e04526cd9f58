"""The order in which parts are executed: each after those that compute what it reads.

A register can take its next value in the part that computes it, if all that read the value from
before the edge have been executed. So among the parts that may come next that one does which
leaves the fewest readers behind.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping

from sim.rtl.fast.eval_statements import MEMORY, Part, Statement

_CHUNK = 32
_Readers = Mapping[str, set[int]]


def in_order(parts: list[Part], widths: Mapping[str, int]) -> list[Part]:
    """The parts in their order, and their statements.

    Args:
        parts: in any order, their statements too.
        widths: of registers and memories.
    """
    readers = readers_of(parts)
    before: list[set[int]] = [set() for _ in parts]
    kept: list[list[str]] = [[] for _ in parts]
    for number, part in enumerate(parts):
        for statement in part:
            kept[number] += statement.keeps
            for name in statement.computes:
                for reader in readers.get(name, set()) - {number}:
                    before[reader].add(number)
    return [_sorted(parts[number]) for number in _numbers(before, kept, readers, widths)]


def readers_of(parts: list[Part]) -> dict[str, set[int]]:
    """The numbers of the parts that read something."""
    readers: dict[str, set[int]] = defaultdict(set)
    for number, part in enumerate(parts):
        for statement in part:
            for name in statement.reads:
                readers[name].add(number)
    return readers


def _numbers(
    before: list[set[int]],
    kept: list[list[str]],
    readers: _Readers,
    widths: Mapping[str, int],
) -> list[int]:
    """The parts in their order.

    Args:
        before: for each part those that it needs.
        kept: the registers and memories that it writes.
        readers: of those.
        widths: of those.
    """
    after: list[list[int]] = [[] for _ in before]
    for number, others in enumerate(before):
        for other in others:
            after[other].append(number)
    missing = [len(others) for others in before]
    writer = {name: number for number, names in enumerate(kept) for name in names}
    waits: list[dict[str, set[int]]] = [
        {name: left for name in names if (left := readers.get(name, set()) - {number})}
        for number, names in enumerate(kept)
    ]
    read: list[list[str]] = [[] for _ in before]
    for names in waits:
        for name, others in names.items():
            for other in others:
                read[other].append(name)
    # What it costs if a part comes next: its registers take their values later.
    costs = [sum(_chunks(name, widths) for name in names) for names in waits]
    heap = [(costs[n], n) for n in range(len(before)) if not missing[n]]
    heapq.heapify(heap)
    order: list[int] = []
    done = [False] * len(before)
    while heap:
        cost, number = heapq.heappop(heap)
        if done[number] or cost != costs[number]:
            continue
        done[number] = True
        order.append(number)
        for name in read[number]:
            other = writer[name]
            left = waits[other][name]
            left.discard(number)
            if not left:
                costs[other] -= _chunks(name, widths)
                if not missing[other]:
                    heapq.heappush(heap, (costs[other], other))
        for reader in after[number]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(heap, (costs[reader], reader))
    return order


def _chunks(name: str, widths: Mapping[str, int]) -> int:
    """Of 32 bits; a memory also keeps an address and a mask until then."""
    chunks = -(-widths[name] // _CHUNK)
    return 2 * chunks + 1 if name.startswith(MEMORY) else chunks


def _sorted(part: Part) -> Part:
    """The statements: wires, each after what it reads, then registers, then memories."""
    producers: dict[str, list[Statement]] = defaultdict(list)
    for statement in part:
        for name in statement.computes:
            producers[name].append(statement)
    result: Part = []
    placed: set[int] = set()
    todo = [(statement, False) for statement in reversed(part) if statement.computes]
    while todo:
        statement, ready = todo.pop()
        if id(statement) in placed:
            continue
        if ready:
            placed.add(id(statement))
            result.append(statement)
            continue
        todo.append((statement, True))
        for name in sorted(statement.reads):
            todo += [(other, False) for other in producers.get(name, ())]
    keeping = [statement for statement in part if not statement.computes]
    return result + sorted(keeping, key=lambda statement: min(statement.keeps).startswith(MEMORY))
