"""A small component with every kind of port that the engines know."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

LANES = 5


class Totals(wiring.Component):
    """For each packet of values, ``offset + factor * sum`` of all its lanes, modulo 2^width.

    One factor is taken per packet. A result is kept until it is taken; no value is taken meanwhile.
    """

    def __init__(self, *, width: int) -> None:
        self.width = width
        word = data.StructLayout({"data": data.ArrayLayout(signed(8), LANES), "last": 1})
        super().__init__(
            {
                "values": In(stream.Signature(word)),
                "factors": In(stream.Signature(signed(8))),
                "offset": In(signed(8)),
                "totals": Out(stream.Signature(signed(width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(signed(self.width))
        word = Signal(signed(12))
        closed = Signal()
        m.d.comb += [
            word.eq(sum(self.values.p.data[i] for i in range(LANES))),
            self.values.ready.eq(~closed),
            self.factors.ready.eq(closed & (~self.totals.valid | self.totals.ready)),
        ]
        with m.If(self.totals.valid & self.totals.ready):
            m.d.sync += self.totals.valid.eq(0)
        with m.If(self.values.valid & self.values.ready):
            m.d.sync += [total.eq(total + word), closed.eq(self.values.p.last)]
        with m.If(self.factors.valid & self.factors.ready):
            m.d.sync += [
                self.totals.p.eq(self.offset + self.factors.p * total),
                self.totals.valid.eq(1),
                total.eq(0),
                closed.eq(0),
            ]
        return m
