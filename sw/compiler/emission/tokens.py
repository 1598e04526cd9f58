"""Tokens: the order between engines that the program's meaning needs, and no more.

A step must wait for an earlier one if both touch the same feature words or DRAM bytes and one of
them writes. Most of these orders follow from others (an engine starts its instructions in program
order, and what it waited for had itself waited), so each step carries along what is known to be
done when it starts, and waits only for what is not.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable

from hw.isa import TOKEN_LIMIT, Engine, Opcode
from hw.isa.accesses import Memory
from sw.compiler.emission.steps import Step


@dataclasses.dataclass
class Tokens:
    """The two masks of an instruction."""

    wait: int = 0
    signal: int = 0


def assign(steps: list[Step]) -> list[Tokens]:
    """The tokens of every step of a program that ends with END.

    Every token is taken, and no counter can pass ``TOKEN_LIMIT``, however the engines progress.
    """
    before = _dependencies(steps)
    while True:
        assignment = _Assignment(steps, before)
        extra = assignment.brakes()
        if not extra:
            return assignment.tokens
        for step, other in extra:
            before[step].start.add(other)


@dataclasses.dataclass
class _Before:
    """Earlier steps that must be done: when a step starts, and when it first writes."""

    start: set[int]
    write: set[int]


@dataclasses.dataclass
class _Segment:
    """A part of memory that was last written and read as a whole."""

    start: int
    stop: int
    writer: int | None = None
    readers: dict[Engine, int] = dataclasses.field(default_factory=dict)

    def part(self, start: int, stop: int) -> _Segment:
        return _Segment(start, stop, self.writer, dict(self.readers))


class _History:
    """Who touched what in one memory."""

    def __init__(self) -> None:
        self.segments: list[_Segment] = []

    def _take(self, span: range) -> tuple[int, list[_Segment]]:
        """Remove the segments in ``span``, cut at its ends; return where they were, and them."""
        first = bisect.bisect_right(self.segments, span.start, key=lambda s: s.stop)
        last = bisect.bisect_left(self.segments, span.stop, key=lambda s: s.start)
        inside, kept = [], []
        for segment in self.segments[first:last]:
            start, stop = max(segment.start, span.start), min(segment.stop, span.stop)
            inside.append(segment.part(start, stop))
            if segment.start < start:
                kept.append((0, segment.part(segment.start, start)))
            if stop < segment.stop:
                kept.append((1, segment.part(stop, segment.stop)))
        left = [segment for side, segment in kept if side == 0]
        self.segments[first:last] = [segment for _, segment in kept]
        return first + len(left), inside

    def read(self, span: range, engine: Engine, step: int) -> set[int]:
        """Note a read; return whose writes it needs."""
        position, inside = self._take(span)
        filled, at = [], span.start
        for segment in inside:
            if at < segment.start:
                filled.append(_Segment(at, segment.start))
            filled.append(segment)
            at = segment.stop
        if at < span.stop:
            filled.append(_Segment(at, span.stop))
        for segment in filled:
            segment.readers[engine] = step
        self.segments[position:position] = filled
        return {segment.writer for segment in inside if segment.writer is not None}

    def write(self, span: range, step: int) -> set[int]:
        """Note a write; return whose reads and writes must be over."""
        position, inside = self._take(span)
        self.segments.insert(position, _Segment(span.start, span.stop, step))
        over = {segment.writer for segment in inside if segment.writer is not None}
        return over.union(*(segment.readers.values() for segment in inside))


def _dependencies(steps: list[Step]) -> list[_Before]:
    histories = {memory: _History() for memory in Memory}
    result = []
    for number, step in enumerate(steps):
        needed: set[int] = set()
        # Nobody writes the weights.
        for rows in step.accesses.reads if step.opcode is not Opcode.WEIGHTS else ():
            needed |= histories[rows.memory].read(rows.span, step.engine, number)
        over: set[int] = set()
        for rows in step.accesses.writes:
            over |= histories[rows.memory].write(rows.span, number)
        # An engine reads and writes in program order; only a read of what it has just written
        # could come too early.
        over = {other for other in over if steps[other].engine is not step.engine}
        result.append(_Before(needed - {number}, over))
    last = {step.engine: number for number, step in enumerate(steps[:-1])}
    last.pop(Engine.WEIGHTS, None)  # a CONV that is done has taken its weights
    result[-1].start.update(last.values())
    return result


Clock = dict[Engine, int]
"""For each engine, the last of its steps that is known to be done."""


def _merge(*clocks: Clock) -> Clock:
    merged: Clock = {}
    for clock in clocks:
        for engine, number in clock.items():
            merged[engine] = max(number, merged.get(engine, -1))
    return merged


class _Assignment:
    """One walk over the program."""

    def __init__(self, steps: list[Step], before: list[_Before]) -> None:
        self.steps = steps
        self.tokens = [Tokens() for _ in steps]
        self.pairs: dict[tuple[Engine, Engine], list[tuple[int, int]]] = {}
        self.done: list[Clock] = []
        started: dict[Engine, Clock] = {}
        convolution = -1
        for number, step in enumerate(steps):
            clock = _merge(started.get(step.engine, {}))
            needed = before[number]
            if step.opcode is Opcode.POST:
                # Its first tile comes from the CONV before it, which has started by then and has
                # ended the reads of every CONV before that.
                by_tile = _merge(clock, started[Engine.CONV])
                late = {other for other in needed.write if not self._covers(by_tile, other)}
                self._wait(number, needed.start | late, clock)
                done = _merge(clock, by_tile, {Engine.CONV: convolution})
            else:
                self._wait(number, needed.start | needed.write, clock)
                done = clock
            started[step.engine] = clock
            if step.opcode is Opcode.CONV:
                started[Engine.CONV] = _merge(clock, {Engine.CONV: convolution})
                convolution = number
            self.done.append(_merge(done, {step.engine: number}))

    def _covers(self, clock: Clock, other: int) -> bool:
        """Whether ``clock`` says that the step ``other`` is done."""
        return clock.get(self.steps[other].engine, -1) >= other

    def _wait(self, number: int, others: Iterable[int], clock: Clock) -> None:
        """Let a step wait for ``others`` where ``clock`` does not cover them; add to it."""
        consumer = self.steps[number].engine
        for other in sorted(others, reverse=True):
            if self._covers(clock, other):
                continue
            producer = self.steps[other].engine
            pairs = self.pairs.setdefault((producer, consumer), [])
            assert not pairs or (pairs[-1][0] < other and pairs[-1][1] < number)
            pairs.append((other, number))
            self.tokens[number].wait |= 1 << producer
            self.tokens[other].signal |= 1 << consumer
            clock.update(_merge(clock, self.done[other]))

    def brakes(self) -> set[tuple[int, int]]:
        """Pairs (step, earlier step) to be ordered too, so that no counter passes its limit.

        Who gives one token too many waits for the taker of the oldest. Where that comes later in
        the program, it waits for the giver instead, and needs no tokens of those before.
        """
        extra = set()
        for (_, consumer), pairs in self.pairs.items():
            for (_, taker), (giver, _) in zip(pairs, pairs[TOKEN_LIMIT:], strict=False):
                if self.done[giver].get(consumer, -1) < taker:
                    if taker >= giver:
                        extra.add((taker, giver))
                        break
                    extra.add((giver, taker))
        return extra
