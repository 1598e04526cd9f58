"""The float32 arithmetic of requantization, one rounding to a block.

Values are ``significand * 2^(exponent - 23)``: sign, a significand whose bit 23 is set (or which is
zero) and an unbiased exponent. Numbers that requantization cannot meet have no place here: there
are no infinities, NaN or subnormals, as an integer of at least 1 times a normal scale is normal.

No stage has more than what fits between two registers at the machine's clock (docs/timing.md): a
sum of more than 24 bits takes two.

Every block is a pipeline of fixed latency without a valid bit. Whoever wires them counts the
cycles, and freezes them by an enable on the clock domain.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.product import SignificandProduct
from hw.microarchitecture import (
    FLOAT_MULTIPLIER_LATENCY,
    FLOAT_TO_INT_LATENCY,
    INT_TO_FLOAT_LATENCY,
)
from hw.streams.delay import delay

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

_REGISTERED_STEPS = (4, 2)
"""Steps of normalization, as powers of two, behind which there is a register: 16, then 8 and 4."""


def _rounds_up(odd: Value, discarded: Value) -> Value:
    """Whether ``discarded``, the bits to the right of one of which ``odd`` is the last, round up.

    To nearest, ties to even.
    """
    half = discarded[-1]
    return half & (discarded[:-1].any() | odd)


def normalize(m: Module, value: Value) -> tuple[Value, Value]:
    """Shift ``value`` to the left until its highest bit is set, ``NORMALIZE_LATENCY`` cycles later.

    The last steps, of fewer than 4 places, are behind the last register.

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
        if power in _REGISTERED_STEPS:
            shifted = delay(m, shifted, 1, f"after_{1 << power}")
            leading_zeros = [
                delay(m, zeros, 1, f"zeros_after_{1 << power}_{place}")
                for place, zeros in enumerate(leading_zeros)
            ]
    return shifted, Cat(leading_zeros)


def rounding(m: Module, normal: Value) -> tuple[Value, Value]:
    """What rounding ``normal``, whose highest bit is set, to ``SIGNIFICAND_BITS`` is about.

    Returns:
        The bits to keep, and whether they round up.
    """
    discarded, kept = normal[:-SIGNIFICAND_BITS], normal[-SIGNIFICAND_BITS:]
    return kept, _rounds_up(kept[0], discarded)


def round_up(m: Module, kept: Value, up: Value, exponent: Value, negative: Value) -> Signal:
    """A register for the number with the significand ``kept``, or the next one if ``up``.

    Returns:
        ``FLOAT_LAYOUT``.
    """
    output = Signal(FLOAT_LAYOUT, name="output", reset_less=True)
    rounded = Signal(SIGNIFICAND_BITS + 1)
    m.d.comb += rounded.eq(kept + up)
    carry = rounded[-1]
    m.d.sync += [
        # With a carry all other bits are 0.
        output.significand.eq(Cat(rounded[:FRACTION_BITS], rounded[FRACTION_BITS] | carry)),
        output.exponent.eq(Mux(carry, exponent + 1, exponent)),
        output.negative.eq(negative),
    ]
    return output


class IntToFloat(wiring.Component):
    """int32 to float32, to nearest even. Latency ``LATENCY`` cycles, one value per cycle.

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
        """Build the magnitude, low half and high half; normalization; rounding."""
        m = Module()
        width, half = len(self.i), len(self.i) // 2

        sign = self.i[-1]
        flipped = self.i ^ sign.replicate(width)
        low = Signal(half + 1, reset_less=True)
        magnitude = Signal(width, reset_less=True)
        m.d.sync += [
            low.eq(flipped[:half] + sign),
            magnitude.eq(Cat(low[:half], delay(m, flipped[half:], 1, "high") + low[half])),
        ]
        negative = delay(m, sign, self.LATENCY - 1, "negative")

        kept = Signal(SIGNIFICAND_BITS, reset_less=True)
        up = Signal(reset_less=True)
        exponent = Signal(range(width), reset_less=True)
        shifted, leading_zeros = normalize(m, magnitude)
        shifted_kept, rounds_up = rounding(m, shifted)
        m.d.sync += [kept.eq(shifted_kept), up.eq(rounds_up), exponent.eq(~leading_zeros)]

        m.d.comb += self.o.eq(round_up(m, kept, up, exponent, negative))
        return m


class FloatMultiplier(wiring.Component):
    """float32 times a positive normal float32, to nearest even. Latency ``LATENCY`` cycles.

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
        """Build the exact product, its normalization and its rounding."""
        m = Module()
        m.submodules.product = exact = SignificandProduct()
        m.d.comb += [
            exact.a.eq(self.a.significand),
            exact.b.eq(Cat(self.b.fraction, 1)),
        ]
        sum_of_exponents = Signal(self.o.exponent.shape(), reset_less=True)
        m.d.sync += sum_of_exponents.eq(self.a.exponent + self.b.exponent - EXPONENT_BIAS)
        product_exponent = delay(m, sum_of_exponents, exact.LATENCY - 1, "product_exponent")
        negative = delay(m, self.a.negative, self.LATENCY - 1, "negative")
        # Whether anything is behind the bit that decides, for a product of [1, 2) and of [2, 4).
        small_rest = Signal(reset_less=True)
        m.d.sync += small_rest.eq(exact.low[: FRACTION_BITS - 1].any())

        # Two significands of [1, 2) give a product of [1, 4): one more bit before the point or not.
        product = exact.o
        large = product[-1]
        kept = Signal(SIGNIFICAND_BITS, reset_less=True)
        up = Signal(reset_less=True)
        exponent = Signal.like(product_exponent, reset_less=True)
        normal = Signal(SIGNIFICAND_BITS + 1)
        rest = Signal()
        m.d.comb += [
            normal.eq(Mux(large, product, product << 1)[FRACTION_BITS:]),
            rest.eq(small_rest | (large & product[FRACTION_BITS - 1])),
        ]
        shifted_kept, rounds_up = rounding(m, Cat(rest, normal))
        m.d.sync += [
            kept.eq(shifted_kept),
            up.eq(rounds_up),
            exponent.eq(product_exponent + large),
        ]

        m.d.comb += self.o.eq(round_up(m, kept, up, exponent, negative))
        return m


class FloatToInt(wiring.Component):
    """float32 to a small integer, half to even, saturating. Latency ``LATENCY`` cycles.

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
        """Build a shifter and a rounding; exponents that need neither go around them."""
        m = Module()
        output = Signal(self.o.shape(), reset_less=True)

        saturated_exponent = SATURATED.bit_length() - 1
        # Fixed point: as many bits before the point as a value below SATURATED has.
        fixed = Signal(saturated_exponent + SIGNIFICAND_BITS, reset_less=True)
        # From 0 for the largest value to round to that + 1 for [1/2, 1), the least that can be 1.
        shift = Signal(range(saturated_exponent + 1))
        none = Signal(reset_less=True)
        large = Signal(reset_less=True)
        m.d.comb += shift.eq(saturated_exponent - 1 - self.i.exponent)
        m.d.sync += [
            fixed.eq((self.i.significand << saturated_exponent) >> shift),
            none.eq((self.i.significand == 0) | (self.i.exponent < -1)),
            large.eq(self.i.exponent >= saturated_exponent),
        ]

        integer, fraction = fixed[SIGNIFICAND_BITS:], fixed[:SIGNIFICAND_BITS]
        kept = Signal(saturated_exponent, reset_less=True)
        up = Signal(reset_less=True)
        saturates = Signal(reset_less=True)
        m.d.sync += [
            kept.eq(Mux(none, 0, integer)),
            up.eq(_rounds_up(integer[0], fraction) & ~none & ~large),
            saturates.eq(large & ~none),
        ]

        rounded = Signal(range(SATURATED + 1))
        negative = delay(m, self.i.negative, self.LATENCY - 1, "negative")
        m.d.comb += rounded.eq(Mux(saturates, SATURATED, kept + up))
        m.d.sync += output.eq(Mux(negative, -rounded, rounded))
        m.d.comb += self.o.eq(output)
        return m
