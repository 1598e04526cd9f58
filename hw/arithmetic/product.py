"""The exact product of two significands, in stages that a DSP block's registers fall between."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.microarchitecture import PRODUCT_LATENCY
from hw.streams.delay import delay

FACTOR_BITS = 24
_HALF = FACTOR_BITS // 2


class SignificandProduct(wiring.Component):
    """``a * b``, as the sum of the four products of their halves.

    Rate: a product per cycle. Latency: ``LATENCY`` cycles, without a valid bit: the four products,
    the sum of the two in the middle, then what they add to the other two, low bits and high bits.

    Ports:
        a, b: in, unsigned(24).
        o: out, unsigned(48).
        low: out, unsigned(30), the lowest bits of ``o`` a cycle before it.
    """

    LATENCY = PRODUCT_LATENCY
    LOW_BITS = _HALF + 18

    def __init__(self) -> None:
        super().__init__(
            {
                "a": In(unsigned(FACTOR_BITS)),
                "b": In(unsigned(FACTOR_BITS)),
                "o": Out(unsigned(2 * FACTOR_BITS)),
                "low": Out(unsigned(self.LOW_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the products and the sums, a stage each."""
        m = Module()
        halves = [(x[:_HALF], x[_HALF:]) for x in (self.a, self.b)]
        products = [
            [Signal(FACTOR_BITS, name=f"product_{i}{j}", reset_less=True) for j in range(2)]
            for i in range(2)
        ]
        m.d.sync += [
            products[i][j].eq(halves[0][i] * halves[1][j]) for i in range(2) for j in range(2)
        ]

        middle = Signal(FACTOR_BITS + 1, reset_less=True)
        outer = Signal(2 * FACTOR_BITS, reset_less=True)
        m.d.sync += [
            middle.eq(products[0][1] + products[1][0]),
            outer.eq(Cat(products[0][0], products[1][1])),
        ]

        split = self.LOW_BITS - _HALF  # of the middle, what is added first
        low = Signal(self.LOW_BITS + 1, reset_less=True)
        high = delay(m, outer[self.LOW_BITS :], 1, "high")
        middle_high = delay(m, middle[split:], 1, "middle_high")
        m.d.sync += low.eq(
            Cat(outer[:_HALF], (outer[_HALF : self.LOW_BITS] + middle[:split])[: split + 1])
        )

        output = Signal(2 * FACTOR_BITS, reset_less=True)
        m.d.sync += output.eq(
            Cat(low[:-1], (high + middle_high + low[-1])[: 2 * FACTOR_BITS - self.LOW_BITS])
        )
        m.d.comb += [self.low.eq(low[:-1]), self.o.eq(output)]
        return m
