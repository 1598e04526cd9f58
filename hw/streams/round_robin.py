"""Round-robin arbiter: who of several goes next."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RoundRobin(wiring.Component):
    """Grants one of ``count`` requests: of those there are, the next after the one served last.

    A request that stays is served after at most ``count - 1`` others, whatever the rhythm of
    ``serve``: the turn passes on when a request is served, not with time.

    Latency: 0 cycles. Stall: without ``serve`` the turn stands still.

    Args:
        count: how many requests, at least 1.

    Ports:
        requests: in, unsigned(count).
        serve: in, the granted request is served in this cycle.
        grant: out, index of a request, or any index if there is none.
        last: out, index of the request that was served last.

    Raises:
        ValueError: ``count`` is not a positive integer.
    """

    def __init__(self, *, count: int) -> None:
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"count must be a positive integer, not {count!r}")
        self._count = count
        super().__init__(
            {
                "requests": In(count),
                "serve": In(1),
                "grant": Out(range(count)),
                "last": Out(range(count)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a priority encoder for each request that may have been the last."""
        m = Module()
        with m.If(self.serve):
            m.d.sync += self.last.eq(self.grant)
        with m.Switch(self.last):
            for last in range(self._count):
                with m.Case(last):
                    order = [(last + 1 + step) % self._count for step in range(self._count)]
                    m.d.comb += self.grant.eq(last)
                    for index in reversed(order):
                        with m.If(self.requests[index]):
                            m.d.comb += self.grant.eq(index)
        return m
