"""Addition in float32, in the manner of :mod:`hw.arithmetic.float32`."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import (
    FLOAT_LAYOUT,
    SIGNIFICAND_BITS,
    normalize,
    round_up,
    rounding,
)
from hw.microarchitecture import FLOAT_ADDER_LATENCY, NORMALIZE_LATENCY
from hw.streams.delay import delay

GUARD_BITS = 3
"""Guard, round and sticky: what a sum of two significands needs to be rounded as the exact one."""


class FloatAdder(wiring.Component):
    """Sum of two float32, to nearest even. Latency ``LATENCY`` cycles, one sum per cycle.

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
        """Build ordering, alignment, sum, normalization and rounding, two stages each or more."""
        m = Module()
        width = SIGNIFICAND_BITS + GUARD_BITS
        exponent_shape = FLOAT_LAYOUT["exponent"].shape

        # The larger magnitude first. A zero is the smaller one, whatever its exponent.
        apart = Signal(signed(len(self.a.exponent) + 1), reset_less=True)
        less, a_zero, b_zero = (Signal(name=n, reset_less=True) for n in ("less", "a_0", "b_0"))
        m.d.sync += [
            apart.eq(self.a.exponent - self.b.exponent),
            less.eq(self.a.significand < self.b.significand),
            a_zero.eq(self.a.significand == 0),
            b_zero.eq(self.b.significand == 0),
        ]
        a, b = (
            data.View(FLOAT_LAYOUT, delay(m, value.as_value(), 1, name))
            for value, name in ((self.a, "a_then"), (self.b, "b_then"))
        )

        large = Signal(FLOAT_LAYOUT, reset_less=True)
        small = Signal(SIGNIFICAND_BITS, reset_less=True)
        distance = Signal(range(width + 1), reset_less=True)
        subtract = Signal(reset_less=True)
        swap = Signal()
        gap = Signal(len(apart))
        m.d.comb += [
            swap.eq(a_zero | (~b_zero & ((apart < 0) | ((apart == 0) & less)))),
            gap.eq(Mux(apart < 0, -apart, apart)),
        ]
        m.d.sync += [
            large.eq(Mux(swap, b, a)),
            small.eq(Mux(swap, a.significand, b.significand)),
            distance.eq(Mux(gap > width, width, gap)),
            subtract.eq(a.negative ^ b.negative),
        ]

        # By multiples of 8, then by the rest; then all that fell off becomes one bit.
        places = Signal(2 * width, reset_less=True)
        shifted = Signal(2 * width, reset_less=True)
        rest = delay(m, distance[:3], 1, "rest")
        aligned = Signal(width, reset_less=True)
        m.d.sync += [
            places.eq((small << (GUARD_BITS + width)) >> Cat(Const(0, 3), distance[3:])),
            shifted.eq(places >> rest),
            # The last bit is sticky: it stands for everything behind it.
            aligned.eq(shifted[width:] | shifted[:width].any()),
        ]
        larger = data.View(FLOAT_LAYOUT, delay(m, large.as_value(), 3, "larger"))
        subtracts = delay(m, subtract, 3, "subtracts")

        # The larger one and the other, inverted for a difference, whose 1 is the carry.
        half = (width + 1) // 2
        addend = larger.significand << GUARD_BITS
        other = aligned ^ subtracts.replicate(width)
        low = Signal(half + 1, reset_less=True)
        total = Signal(width + 1, reset_less=True)
        high = [
            delay(m, value[half:width], 1, name)
            for value, name in ((addend, "addend_high"), (other, "other_high"))
        ]
        top = Signal(width - half + 1)
        m.d.comb += top.eq(high[0] + high[1] + low[-1])
        m.d.sync += [
            low.eq(addend[:half] + other[:half] + subtracts),
            # The carry of a difference, which is never negative, says nothing.
            total.eq(Cat(low[:-1], top[:-1], top[-1] & ~delay(m, subtracts, 1, "subtracted"))),
        ]

        kept = Signal(SIGNIFICAND_BITS, reset_less=True)
        up = Signal(reset_less=True)
        exponent = Signal(exponent_shape, reset_less=True)
        total_exponent = delay(m, larger.exponent, 2 + NORMALIZE_LATENCY, "total_exponent")
        negative = delay(m, larger.negative, 2 + NORMALIZE_LATENCY + 1, "negative")
        normal, leading_zeros = normalize(m, total)
        normal_kept, rounds_up = rounding(m, normal)
        m.d.sync += [
            kept.eq(normal_kept),
            up.eq(rounds_up),
            exponent.eq(total_exponent + 1 - leading_zeros),
        ]

        m.d.comb += self.o.eq(round_up(m, kept, up, exponent, negative))
        return m
