"""The float32 arithmetic of requantization, one rounding to a block.

Values are ``significand * 2^(exponent - 23)``: sign, a significand whose bit 23 is set (or which is
zero) and an unbiased exponent. Numbers that requantization cannot meet have no place here: there
are no infinities, NaN or subnormals, as an integer of at least 1 times a normal scale is normal.

Every block is a pipeline of fixed latency without a valid bit. Whoever wires them counts the
cycles, and freezes them by an enable on the clock domain.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.microarchitecture import (
    FLOAT_MULTIPLIER_LATENCY,
    FLOAT_TO_INT_LATENCY,
    INT_TO_FLOAT_LATENCY,
)

FRACTION_BITS = 23
SIGNIFICAND_BITS = FRACTION_BITS + 1
EXPONENT_BIAS = 127

FLOAT_LAYOUT = data.StructLayout(
    {"significand": SIGNIFICAND_BITS, "exponent": signed(9), "negative": 1}
)
"""A float32 taken apart; nine bits hold the exponent of any int32 times any float32."""

BINARY32_LAYOUT = data.StructLayout({"fraction": FRACTION_BITS, "exponent": 8, "negative": 1})
"""The bits of an IEEE 754 binary32, as stored."""

SATURATED = 256
"""Magnitude that stands for itself and anything larger: with any int8 added, it is out of int8."""


def _rounds_up(odd: Value, discarded: Value) -> Value:
    """Whether ``discarded``, the bits to the right of one of which ``odd`` is the last, round up.

    To nearest, ties to even.
    """
    half = discarded[-1]
    return half & (discarded[:-1].any() | odd)


def normalize(m: Module, value: Value) -> tuple[Value, Value]:
    """Shift ``value`` to the left until its highest bit is set.

    Returns:
        The shifted value, and how many zeros were in front. Both mean nothing if ``value`` is 0.
    """
    shifted = value
    leading_zeros: list[Value] = []
    for power in reversed(range((len(value) - 1).bit_length())):
        empty = Signal(name=f"empty_{1 << power}")
        remaining = Signal(len(value), name=f"shifted_{1 << power}")
        m.d.comb += [
            empty.eq(shifted[-(1 << power) :] == 0),
            remaining.eq(Mux(empty, shifted << (1 << power), shifted)),
        ]
        leading_zeros.insert(0, empty)
        shifted = remaining
    return shifted, Cat(leading_zeros)


def round_significand(m: Module, normal: Value) -> tuple[Value, Value]:
    """Round ``normal``, whose highest bit is set, to ``SIGNIFICAND_BITS``: to nearest even.

    Returns:
        The significand, and the carry that the exponent goes up by.
    """
    discarded, kept = normal[:-SIGNIFICAND_BITS], normal[-SIGNIFICAND_BITS:]
    rounded = Signal(SIGNIFICAND_BITS + 1)
    m.d.comb += rounded.eq(kept + _rounds_up(kept[0], discarded))
    carry = rounded[-1]
    return Mux(carry, rounded >> 1, rounded), carry


class IntToFloat(wiring.Component):
    """int32 to float32, to nearest even. Latency 3 cycles, one value per cycle.

    Ports:
        i: in, signed(32).
        o: out, ``FLOAT_LAYOUT``. Zero has significand 0 and any exponent.
    """

    LATENCY = INT_TO_FLOAT_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(signed(32)),
                "o": Out(FLOAT_LAYOUT),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build magnitude, normalization and rounding, a stage each."""
        m = Module()
        width = len(self.i)

        magnitude = Signal(width, reset_less=True)
        magnitude_negative = Signal(reset_less=True)
        m.d.sync += [
            magnitude.eq(Mux(self.i < 0, -self.i, self.i)),
            magnitude_negative.eq(self.i < 0),
        ]

        normal = Signal(width, reset_less=True)
        normal_exponent = Signal(range(width), reset_less=True)
        normal_negative = Signal(reset_less=True)
        shifted, leading_zeros = normalize(m, magnitude)
        m.d.sync += [
            normal.eq(shifted),
            normal_exponent.eq(~leading_zeros),
            normal_negative.eq(magnitude_negative),
        ]

        output = Signal(FLOAT_LAYOUT, reset_less=True)
        significand, carry = round_significand(m, normal)
        m.d.sync += [
            output.significand.eq(significand),
            output.exponent.eq(normal_exponent + carry),
            output.negative.eq(normal_negative),
        ]
        m.d.comb += self.o.eq(output)
        return m


class FloatMultiplier(wiring.Component):
    """float32 times a positive normal float32, to nearest even. Latency 2 cycles.

    Ports:
        a: in, ``FLOAT_LAYOUT``.
        b: in, ``BINARY32_LAYOUT``; its sign is ignored.
        o: out, ``FLOAT_LAYOUT``. Zero has significand 0 and any exponent.
    """

    LATENCY = FLOAT_MULTIPLIER_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "a": In(FLOAT_LAYOUT),
                "b": In(BINARY32_LAYOUT),
                "o": Out(FLOAT_LAYOUT),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the exact product, then its rounding."""
        m = Module()

        product = Signal(2 * SIGNIFICAND_BITS, reset_less=True)
        product_exponent = Signal(self.o.exponent.shape(), reset_less=True)
        product_negative = Signal(reset_less=True)
        m.d.sync += [
            product.eq(self.a.significand * Cat(self.b.fraction, 1)),
            product_exponent.eq(self.a.exponent + self.b.exponent - EXPONENT_BIAS),
            product_negative.eq(self.a.negative),
        ]

        output = Signal(FLOAT_LAYOUT, reset_less=True)
        # Two significands of [1, 2) give a product of [1, 4): one more bit before the point or not.
        large = product[-1]
        normal = Signal.like(product)
        m.d.comb += normal.eq(Mux(large, product, product << 1))
        significand, carry = round_significand(m, normal)
        m.d.sync += [
            output.significand.eq(significand),
            output.exponent.eq(product_exponent + large + carry),
            output.negative.eq(product_negative),
        ]
        m.d.comb += self.o.eq(output)
        return m


class FloatToInt(wiring.Component):
    """float32 to a small integer, half to even, saturating. Latency 1 cycle.

    Ports:
        i: in, ``FLOAT_LAYOUT``.
        o: out, signed(10) from -256 to 256; larger magnitudes come out as 256 with their sign.
    """

    LATENCY = FLOAT_TO_INT_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(FLOAT_LAYOUT),
                "o": Out(signed(SATURATED.bit_length() + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build one shifter and one rounding; exponents that need neither go around them."""
        m = Module()
        output = Signal(self.o.shape(), reset_less=True)

        saturated_exponent = SATURATED.bit_length() - 1
        # Fixed point: as many bits before the point as a value below SATURATED has.
        fixed = Signal(saturated_exponent + SIGNIFICAND_BITS)
        # From 0 for the largest value to round to that + 1 for [1/2, 1), the least that can be 1.
        shift = Signal(range(saturated_exponent + 1))
        integer, fraction = fixed[SIGNIFICAND_BITS:], fixed[:SIGNIFICAND_BITS]
        rounded = Signal(range(SATURATED + 1))
        m.d.comb += [
            shift.eq(saturated_exponent - 1 - self.i.exponent),
            fixed.eq((self.i.significand << saturated_exponent) >> shift),
        ]
        with m.If((self.i.significand == 0) | (self.i.exponent < -1)):
            m.d.comb += rounded.eq(0)
        with m.Elif(self.i.exponent >= saturated_exponent):
            m.d.comb += rounded.eq(SATURATED)
        with m.Else():
            m.d.comb += rounded.eq(integer + _rounds_up(integer[0], fraction))
        m.d.sync += output.eq(Mux(self.i.negative, -rounded, rounded))
        m.d.comb += self.o.eq(output)
        return m
