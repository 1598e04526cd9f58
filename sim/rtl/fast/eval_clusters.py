"""Which statements are executed together, because they mostly have to be in the same cycles.

A part is executed when something that it reads has changed. That costs as much as some statements
do, so parts should be few; and it executes all statements of the part, so those of a part should
read the same. What changes when is not known before the design runs. It is taken that

- statements with the same text but for the numbers in it are of blocks that work side by side, and
  run together, unless they hold what they have until something else comes;
- anything else changes in a few cycles of a hundred, independently: a part that reads little runs
  seldom, and statements cost less together than apart if they read enough of the same.

Wrong guesses cost time only. No part reads, directly or through others, what itself computes, so
there is an order for all of them (:mod:`eval_order`).
"""

from __future__ import annotations

import heapq
import math
import re
from collections import defaultdict
from collections.abc import Iterator

from sim.rtl.fast.eval_statements import Part, Statement
from sim.yosys import unexpected

_CHANGE = 0.02  # of a cycle: that a wire, a register or a memory changes in it
_LONG = 4  # times what it costs to execute a part
_NEIGHBOURS = 8  # of the readers of something that many read
_MANY = 30
_NUMBERS = re.compile(r"\d+")


def clusters_of(statements: list[Statement], overhead: int) -> list[Part]:
    """Parts, in any order, their statements too.

    Args:
        statements: of a design.
        overhead: what it costs to execute a part, in characters of statements.
    """
    clusters = _Clusters(statements, overhead)
    clusters.join_alike()
    while clusters.absorb() + clusters.join_neighbours():
        pass
    return [[statements[n] for n in members] for members in clusters.members if members]


class _Clusters:
    """Statements in clusters; cluster n begins as statement n."""

    def __init__(self, statements: list[Statement], overhead: int) -> None:
        self.members = [[n] for n in range(len(statements))]
        self._statements = statements
        self._overhead = overhead
        self._sizes = [len(statement.text) for statement in statements]
        bits: dict[str, int] = defaultdict(lambda: 1 << len(bits))
        producers: dict[str, list[int]] = defaultdict(list)
        for number, statement in enumerate(statements):
            for name in sorted(statement.computes):
                producers[name].append(number)
        # Sets of names as bits of a number.
        self._reads = [sum(bits[name] for name in sorted(s.reads)) for s in statements]
        self._computes = [sum(bits[name] for name in sorted(s.computes)) for s in statements]
        self._before: list[set[int]] = [
            {n for name in statement.reads for n in producers.get(name, ())}
            for statement in statements
        ]
        self._after: list[set[int]] = [set() for _ in statements]
        for number, before in enumerate(self._before):
            for other in before:
                self._after[other].add(number)
        self._costs = [self._cost(n, n) for n in range(len(statements))]

    def join_alike(self) -> None:
        """Join statements that differ in numbers only and hold nothing."""
        levels = self._levels()
        first: dict[tuple[str, int], int] = {}
        for number, statement in enumerate(self._statements):
            if statement.keeps & statement.reads:
                continue
            key = _NUMBERS.sub("#", statement.text), levels[number]
            other = first.get(key)
            if other is not None and self._fit(other, number):
                self._join(other, number)
            else:
                first[key] = number

    def absorb(self) -> int:
        """Join what a single cluster reads with that, if that costs less; returns how many."""
        count = 0
        todo = [n for n, members in enumerate(self.members) if members]
        while todo:
            number = todo.pop()
            if not self.members[number] or len(self._after[number]) != 1:
                continue
            (reader,) = self._after[number]
            if self._gain(reader, number) > 0:
                todo += self._before[number]
                self._join(reader, number)
                count += 1
        return count

    def join_neighbours(self) -> int:
        """Join clusters that read the same, those first where it saves most; returns how many.

        All are of one level, so none of them needs another one.
        """
        near = self._neighbours()
        versions = [0] * len(self.members)
        heap = [(-self._gain(a, b), a, b, 0, 0) for a in near for b in near[a] if b < a]
        heap = [entry for entry in heap if entry[0] < 0]
        heapq.heapify(heap)
        count = 0
        while heap:
            _, a, b, *seen = heapq.heappop(heap)
            if not self.members[a] or not self.members[b] or [versions[a], versions[b]] != seen:
                continue
            self._join(a, b)
            count += 1
            versions[a] += 1
            near[a] = {n for n in near[a] | near.pop(b) if self.members[n] and n != a}
            for other in near[a]:
                near[other].add(a)
                gain = self._gain(a, other)
                if gain > 0:
                    heapq.heappush(heap, (-gain, a, other, versions[a], versions[other]))
        return count

    def _neighbours(self) -> dict[int, set[int]]:
        """For each cluster those of its level that read something that it reads."""
        levels = self._levels()
        readers: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number in levels:
            for bit in _bits(self._reads[number]):
                readers[bit, levels[number]].append(number)
        near: dict[int, set[int]] = {number: set() for number in levels}
        for numbers in readers.values():
            numbers.sort(key=lambda number: (self._reads[number], number))
            far = len(numbers) if len(numbers) <= _MANY else _NEIGHBOURS
            for place, number in enumerate(numbers):
                for other in numbers[max(0, place - far) : place]:
                    near[number].add(other)
                    near[other].add(number)
        return near

    def _levels(self) -> dict[int, int]:
        """How many others each cluster needs one after the other; if none needs it, the last level.

        Raises:
            DnaError: one needs itself.
        """
        missing = {n: len(self._before[n]) for n, members in enumerate(self.members) if members}
        ready = [number for number, count in missing.items() if not count]
        levels = dict.fromkeys(ready, 0)
        for number in ready:
            for reader in self._after[number]:
                levels[reader] = max(levels.get(reader, 0), levels[number] + 1)
                missing[reader] -= 1
                if not missing[reader]:
                    ready.append(reader)
        if len(ready) < len(missing):
            raise unexpected("a loop of statements in a design that settles at once")
        last = max(levels.values(), default=0) + 1
        return {n: level if self._after[n] else last for n, level in levels.items()}

    def _fit(self, a: int, b: int) -> bool:
        return self._sizes[a] + self._sizes[b] <= _LONG * self._overhead

    def _cost(self, a: int, b: int) -> float:
        """Of two clusters as one, in characters in a cycle."""
        size = self._sizes[a] + self._sizes[b] * (a != b)
        reads = (self._reads[a] | self._reads[b]) & ~(self._computes[a] | self._computes[b])
        chance = 1 - math.pow(1 - _CHANGE, reads.bit_count())
        return chance * (self._overhead + size)

    def _gain(self, a: int, b: int) -> float:
        if not self._fit(a, b):
            return 0.0
        return self._costs[a] + self._costs[b] - self._cost(a, b)

    def _join(self, a: int, b: int) -> None:
        """Put what is in the second cluster into the first."""
        self.members[a] += self.members[b]
        self.members[b] = []
        self._sizes[a] += self._sizes[b]
        self._reads[a] |= self._reads[b]
        self._computes[a] |= self._computes[b]
        for ways, back in ((self._before, self._after), (self._after, self._before)):
            for other in ways[b]:
                back[other].discard(b)
                back[other].add(a)
            ways[a] = (ways[a] | ways[b]) - {a, b}
            ways[b] = set()
        for ways in (self._before, self._after):
            ways[a].discard(a)
        self._costs[a] = self._cost(a, a)


def _bits(number: int) -> Iterator[int]:
    while number:
        bit = number & -number
        yield bit.bit_length()
        number ^= bit
