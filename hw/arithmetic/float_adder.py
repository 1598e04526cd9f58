"""Addition in float32, in the manner of :mod:`hw.arithmetic.float32`."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import FLOAT_LAYOUT, SIGNIFICAND_BITS, normalize, round_significand
from hw.microarchitecture import FLOAT_ADDER_LATENCY

GUARD_BITS = 3
"""Guard, round and sticky: what a sum of two significands needs to be rounded as the exact one."""


class FloatAdder(wiring.Component):
    """Sum of two float32, to nearest even. Latency 5 cycles, one sum per cycle.

    Exponents below the normal ones are kept, not rounded away: a sum that small is exact.

    Ports:
        a, b: in, ``FLOAT_LAYOUT``.
        o: out, ``FLOAT_LAYOUT``. Zero has significand 0 and any exponent.
    """

    LATENCY = FLOAT_ADDER_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "a": In(FLOAT_LAYOUT),
                "b": In(FLOAT_LAYOUT),
                "o": Out(FLOAT_LAYOUT),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build ordering, alignment, sum, normalization and rounding, a stage each."""
        m = Module()
        width = SIGNIFICAND_BITS + GUARD_BITS
        exponent_shape = FLOAT_LAYOUT["exponent"].shape

        # The larger magnitude first. A zero is the smaller one, whatever its exponent.
        large = Signal(FLOAT_LAYOUT, reset_less=True)
        small = Signal(SIGNIFICAND_BITS, reset_less=True)
        distance = Signal(range(width + 1), reset_less=True)
        subtract = Signal(reset_less=True)
        swap = Signal()
        apart = Signal(signed(len(self.a.exponent) + 1))
        m.d.comb += [
            apart.eq(self.a.exponent - self.b.exponent),
            swap.eq(
                (self.a.significand == 0)
                | (
                    (self.b.significand != 0)
                    & ((apart < 0) | ((apart == 0) & (self.a.significand < self.b.significand)))
                )
            ),
        ]
        gap = Mux(apart < 0, -apart, apart)
        m.d.sync += [
            large.eq(Mux(swap, self.b, self.a)),
            small.eq(Mux(swap, self.a.significand, self.b.significand)),
            distance.eq(Mux(gap > width, width, gap)),
            subtract.eq(self.a.negative ^ self.b.negative),
        ]

        aligned = Signal(width, reset_less=True)
        aligned_large = Signal(FLOAT_LAYOUT, reset_less=True)
        aligned_subtract = Signal(reset_less=True)
        shifted = Signal(2 * width)
        m.d.comb += shifted.eq((small << (GUARD_BITS + width)) >> distance)
        m.d.sync += [
            # The last bit is sticky: it stands for everything behind it.
            aligned.eq(shifted[width:] | shifted[:width].any()),
            aligned_large.eq(large),
            aligned_subtract.eq(subtract),
        ]

        total = Signal(width + 1, reset_less=True)
        total_exponent = Signal(exponent_shape, reset_less=True)
        total_negative = Signal(reset_less=True)
        addend = aligned_large.significand << GUARD_BITS
        m.d.sync += [
            total.eq(Mux(aligned_subtract, addend - aligned, addend + aligned)),
            total_exponent.eq(aligned_large.exponent + 1),
            total_negative.eq(aligned_large.negative),
        ]

        normal = Signal(width + 1, reset_less=True)
        normal_exponent = Signal(exponent_shape, reset_less=True)
        normal_negative = Signal(reset_less=True)
        shifted_total, leading_zeros = normalize(m, total)
        m.d.sync += [
            normal.eq(shifted_total),
            normal_exponent.eq(total_exponent - leading_zeros),
            normal_negative.eq(total_negative),
        ]

        significand, carry = round_significand(m, normal)
        m.d.sync += [
            self.o.significand.eq(significand),
            self.o.exponent.eq(normal_exponent + carry),
            self.o.negative.eq(normal_negative),
        ]
        return m
