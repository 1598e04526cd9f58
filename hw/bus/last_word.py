"""Which word is the last of its burst."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.bus.burst_splitter import burst_layout
from hw.config import DnaConfig


class LastWord(wiring.Component):
    """Counts the words of bursts that come one behind the other.

    Whether a word is the last one is known when the word before it is taken: a comparison with the
    length, which may come out of a memory, would stand in front of all that a last word starts.

    Latency: none, from ``burst`` and registers to ``last``.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``burst_words``.

    Ports:
        burst: in, :func:`hw.bus.burst_splitter.burst_layout`; stays until its last word is taken.
        taken: in, the next word of it is taken.
        last: out, the next word is the last one.
    """

    def __init__(self, config: DnaConfig) -> None:
        # A burst may be of one word: no count is of its words then.
        self._most = max(config.burst_words, 2)
        super().__init__({"burst": In(burst_layout(config)), "taken": In(1), "last": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Build the count and its comparison."""
        m = Module()
        first, ends = Signal(init=1), Signal()
        count = Signal(range(self._most + 1), init=2)  # of the word behind the next one
        m.d.comb += self.last.eq(Mux(first, self.burst.single, ends))
        with m.If(self.taken):
            m.d.sync += [
                first.eq(self.last),
                ends.eq(count == self.burst.length),
                count.eq(Mux(self.last, 2, count + 1)),
            ]
        return m
