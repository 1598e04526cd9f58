"""Token counters: what engines have signalled to each other and not yet used."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.isa import TOKEN_LIMIT, Engine

PRODUCERS = tuple(engine for engine in Engine if engine is not Engine.CONTROL)
"""Who can give tokens."""


class TokenCounters(wiring.Component):
    """One counter for each producer and consumer.

    A consumer is ``ready`` when there is a token of every producer in its ``waits`` mask; ``take``
    takes one of each.

    Latency: 0 cycles from ``waits`` to ``ready``; a token that is given counts from the next cycle
    on. Stall: none; a token that finds its counter full is ``lost``.

    Ports:
        waits: in, array of unsigned(8), a bit for each :class:`hw.isa.Engine`, by consumer.
        ready: out, unsigned(8), a bit for each consumer. CONTROL gives no tokens, so who waits for
            it is never ready.
        take: in, unsigned(8), a bit for each consumer; only where ``ready``.
        give: in, array of unsigned(8), a bit for each consumer, by producer as in ``PRODUCERS``.
        tokens: out, array of range(TOKEN_LIMIT + 1), by producer and consumer: tokens there are.
        lost: out, array of unsigned(8), a bit for each consumer, by producer: the token that is
            given in this cycle is lost because its counter is full.
    """

    def __init__(self) -> None:
        mask = unsigned(len(Engine))
        super().__init__(
            {
                "waits": In(mask).array(len(Engine)),
                "ready": Out(mask),
                "take": In(mask),
                "give": In(mask).array(len(PRODUCERS)),
                "tokens": Out(range(TOKEN_LIMIT + 1)).array(len(PRODUCERS), len(Engine)),
                "lost": Out(mask).array(len(PRODUCERS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the counters."""
        m = Module()
        for consumer in Engine:
            there = Cat(
                (self.tokens[PRODUCERS.index(producer)][consumer] != 0)
                if producer in PRODUCERS
                else 0
                for producer in Engine
            )
            m.d.comb += self.ready[consumer].eq((self.waits[consumer] & ~there) == 0)
            for position, producer in enumerate(PRODUCERS):
                count = self.tokens[position][consumer]
                up = self.give[position][consumer]
                down = self.take[consumer] & self.waits[consumer][producer]
                lost = self.lost[position][consumer]
                m.d.comb += lost.eq(up & ~down & (count == TOKEN_LIMIT))
                m.d.sync += count.eq(count + (up & ~lost) - down)
        return m
