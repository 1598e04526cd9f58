"""A queue in a RAM that is read with the clock."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory.ram import Ram


class BufferedFifo(wiring.Component):
    """First in, first out, in a :class:`hw.memory.ram.Ram` whose output is the head of the queue.

    Rate: an entry in and an entry out per cycle. Latency: 2 cycles from ``w_en`` to ``r_rdy``.
    Stall: full with ``depth`` - 1 entries in the RAM, beside the one that is at the output.

    Args:
        width: bits of an entry.
        depth: entries, that at the output among them.

    Ports:
        w_data: in, unsigned(``width``).
        w_en: in, put ``w_data`` in if ``w_rdy``.
        w_rdy: out, there is room.
        r_data: out, unsigned(``width``), the head.
        r_en: in, take the head if ``r_rdy``.
        r_rdy: out, there is a head.
        level: out, unsigned, entries.

    Raises:
        ValueError: ``width`` is not a positive integer, or ``depth`` not an integer of at least 2.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width must be a positive integer, not {width!r}")
        if not isinstance(depth, int) or depth < 2:
            raise ValueError(f"depth must be an integer of at least 2, not {depth!r}")
        self._width, self._depth = width, depth
        super().__init__(
            {
                "w_data": In(unsigned(width)),
                "w_en": In(1),
                "w_rdy": Out(1),
                "r_data": Out(unsigned(width)),
                "r_en": In(1),
                "r_rdy": Out(1),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the RAM and what counts its entries."""
        m = Module()
        words = self._depth - 1
        m.submodules.ram = ram = Ram(width=self._width, depth=words)
        produce = Signal(range(words))
        consume = Signal(range(words))
        # Of the RAM; what it says of itself is kept in registers of its own, since comparisons in
        # front of every enable are what binds the clock.
        level = Signal(range(words + 1))
        some, full = Signal(), Signal()
        written = Signal()
        fetched = Signal()
        m.d.comb += [
            self.w_rdy.eq(~full),
            written.eq(self.w_rdy & self.w_en),
            fetched.eq(some & (~self.r_rdy | self.r_en)),
            ram.write.eq(written),
            ram.write_address.eq(produce),
            ram.write_data.eq(self.w_data),
            ram.read.eq(fetched),
            ram.read_address.eq(consume),
            self.r_data.eq(ram.read_data),
            self.level.eq(level + self.r_rdy),
        ]
        for pointer, moves in ((produce, written), (consume, fetched)):
            with m.If(moves):
                m.d.sync += pointer.eq(Mux(pointer == words - 1, 0, pointer + 1))
        with m.If(written & ~fetched):
            m.d.sync += [level.eq(level + 1), some.eq(1), full.eq(level == words - 1)]
        with m.If(fetched & ~written):
            m.d.sync += [level.eq(level - 1), some.eq(level != 1), full.eq(0)]
        with m.If(fetched):
            m.d.sync += self.r_rdy.eq(1)
        with m.Elif(self.r_en):
            m.d.sync += self.r_rdy.eq(0)
        return m
