"""The roundings of requantization against what rounding to nearest even means.

A rounded value is right if no representable value is nearer and if, of two that are equally near,
it is the one with the even significand. That is said here with exact integers and without any of
the shifters, leading-zero counts or carries of the blocks.

All blocks are proved as they are, at full width. Of the multiplier that is its rounding: the exact
product of two halves of significands is taken as the solver has it, in the block as in the
specification.
"""

import pytest
from amaranth.hdl import Assume, Cat, Mux, Signal, signed
from amaranth.lib import data

from hw.arithmetic import float32
from tests.formal.prove import any_value, claim, prove, reach, refute, variant


def delayed(m, value, cycles):
    """``value`` as it was ``cycles`` cycles ago."""
    for _ in range(cycles):
        later = Signal.like(value)
        m.d.sync += later.eq(value)
        value = later
    return value


def filled(m, cycles):
    """High once ``cycles`` cycles have gone by."""
    count = Signal(range(cycles + 1))
    with m.If(count < cycles):
        m.d.sync += count.eq(count + 1)
    return count == cycles


def claim_nearest(m, exact, significand, shift, *, bits, most):
    """``significand x 2^shift`` is the nearest to ``exact``; ``shift`` is from 0 to ``most``.

    Below a power of two the representable values lie twice as close.
    """
    rounded = Signal(bits + most + 2)
    unit = Signal(most + 3)
    error = Signal(bits + most + 2)
    m.d.comb += [
        rounded.eq(significand << shift),
        unit.eq(1 << shift),
        error.eq(Mux(rounded > exact, rounded - exact, exact - rounded)),
    ]
    closer = (rounded > exact) & (significand == 1 << (bits - 1))
    twice = Mux(closer, error << 2, error << 1)
    claim(m, "nearest", twice <= unit)
    tie = (twice == unit) & (shift != 0)
    claim(m, "ties_to_even", ~tie | ~significand[0])
    reach(m, "tie_down", tie & (rounded < exact))
    reach(m, "tie_up", tie & (rounded > exact))


def int_to_float(module=float32):
    def fill(m):
        m.submodules.dut = dut = module.IntToFloat()
        any_value(m, dut.i)
        value = delayed(m, dut.i, dut.LATENCY)
        bits, out = module.SIGNIFICAND_BITS, dut.o
        most = len(dut.i) - bits
        exact = Signal(len(dut.i) + module.FRACTION_BITS)  # in units of 2^-fraction, so whole
        m.d.comb += exact.eq(Mux(value < 0, -value, value) << module.FRACTION_BITS)
        with m.If(filled(m, dut.LATENCY)):
            with m.If(value == 0):
                claim(m, "zero", out.significand == 0)
            with m.Else():
                claim(m, "normal", out.significand[-1])
                claim(m, "range", (out.exponent >= 0) & (out.exponent < len(dut.i)))
                claim(m, "sign", out.negative == (value < 0))
                shift = Signal(range(len(dut.i)))
                m.d.comb += shift.eq(out.exponent)
                claim_nearest(
                    m, exact, out.significand, shift, bits=bits, most=most + module.FRACTION_BITS
                )

    return fill


def by_halves(a, b):
    """The product, of those of the halves of ``a`` and ``b`` that the block is made of."""
    (a0, a1), (b0, b1) = ((x[:12], x[12:]) for x in (a, b))
    return a0 * b0 + ((a0 * b1 + a1 * b0) << 12) + (a1 * b1 << 24)


def multiplier(module=float32):
    def fill(m):
        m.submodules.dut = dut = module.FloatMultiplier()
        any_value(m, dut.a.as_value())
        any_value(m, dut.b.as_value())
        bits, out = module.SIGNIFICAND_BITS, dut.o
        m.d.comb += [
            Assume(dut.a.significand[-1] | (dut.a.significand == 0)),
            Assume((dut.a.exponent >= 0) & (dut.a.exponent < 32)),  # of an int32
        ]
        product = Signal(2 * bits)
        exponent = Signal(signed(11))
        m.d.comb += [
            product.eq(by_halves(dut.a.significand, Cat(dut.b.fraction, 1))),
            exponent.eq(dut.a.exponent + dut.b.exponent - module.EXPONENT_BIAS),
        ]
        exact = delayed(m, product, dut.LATENCY)
        above = out.exponent - delayed(m, exponent, dut.LATENCY)
        negative = delayed(m, dut.a.negative, dut.LATENCY)
        shift = Signal(range(bits + 1))
        m.d.comb += shift.eq(above + module.FRACTION_BITS)
        with m.If(filled(m, dut.LATENCY)):
            with m.If(exact == 0):
                claim(m, "zero", out.significand == 0)
            with m.Else():
                claim(m, "normal", out.significand[-1])
                claim(m, "range", (above == 0) | (above == 1))
                claim(m, "sign", out.negative == negative)
                claim_nearest(m, exact, out.significand, shift, bits=bits, most=bits)

    return fill


def float_to_int(module=float32):
    def fill(m):
        m.submodules.dut = dut = module.FloatToInt()
        any_value(m, dut.i.as_value())
        number = delayed(m, dut.i.as_value(), dut.LATENCY)
        number = data.View(module.FLOAT_LAYOUT, number)
        m.d.comb += Assume(dut.i.significand[-1] | (dut.i.significand == 0))
        fraction, out = module.FRACTION_BITS, dut.o
        limit = module.SATURATED.bit_length() - 1
        magnitude = Mux(out < 0, -out, out)
        exact = Signal(fraction + limit + 2)  # in units of 2^-(fraction + 1)
        error = Signal(fraction + limit + 3)
        rounded = Signal.like(exact)
        m.d.comb += [
            exact.eq(number.significand << (number.exponent + 1)[:4]),
            rounded.eq(magnitude << (fraction + 1)),
            error.eq(Mux(rounded > exact, rounded - exact, exact - rounded)),
        ]
        half = 1 << fraction
        none = (number.significand == 0) | (number.exponent < -1)
        large = ~none & (number.exponent >= limit)
        with m.If(filled(m, dut.LATENCY)):
            claim(m, "sign", (out == 0) | ((out < 0) == number.negative))
            with m.If(none):
                claim(m, "small_is_zero", out == 0)
            with m.Elif(large):
                claim(m, "large_saturates", magnitude == module.SATURATED)
            with m.Else():
                claim(m, "nearest", error <= half)
                claim(m, "ties_to_even", (error != half) | ~magnitude[0])
                reach(m, "tie_down", (error == half) & (rounded < exact))
                reach(m, "tie_up", (error == half) & (rounded > exact))

    return fill


def test_int_to_float():
    prove(int_to_float(), depth=float32.IntToFloat.LATENCY + 2, induction=True)


def test_multiplier():
    depth = float32.FloatMultiplier.LATENCY + 2
    prove(multiplier(), depth=depth, induction=True)


def test_float_to_int():
    prove(float_to_int(), depth=float32.FloatToInt.LATENCY + 2, induction=True)


DEPTH = 8
"""Cycles that the longest block takes, and two more."""
ROUNDS = "half & (discarded[:-1].any() | odd)"


@pytest.mark.parametrize("bench", [int_to_float, multiplier, float_to_int])
@pytest.mark.parametrize(
    ("new", "violated"),
    [
        ("half & discarded[:-1].any()", "ties_to_even"),
        ("half", "ties_to_even"),
        ("half & odd", "nearest"),
        ("odd & 0", "nearest"),
    ],
)
def test_a_wrong_rounding_is_found(bench, new, violated):
    refute(bench(variant(float32, (ROUNDS, new))), violated, depth=DEPTH)


CARRY = "Mux(carry, exponent + 1, exponent)"


@pytest.mark.parametrize(
    ("bench", "old", "new", "violated"),
    [
        (
            int_to_float,
            "delay(m, sign, self.LATENCY - 1",
            "delay(m, sign & 0, self.LATENCY - 1",
            "sign",
        ),
        (int_to_float, CARRY, "exponent", "nearest"),
        (int_to_float, CARRY, "exponent - 1", "range"),
        (int_to_float, "empty.eq(shifted[-(1 << power) :] == 0)", "empty.eq(0)", "normal"),
        (int_to_float, "self.i ^ sign.replicate(width)", "self.i | 1", "zero"),
        (multiplier, CARRY, "exponent", "nearest"),
        (multiplier, "product_exponent + large", "product_exponent - 1", "range"),
        (multiplier, "delay(m, self.a.negative,", "delay(m, self.a.negative & 0,", "sign"),
        (multiplier, "Mux(large, product, product << 1)", "product", "normal"),
        (
            multiplier,
            "exact.a.eq(self.a.significand)",
            "exact.a.eq(self.a.significand | 1)",
            "zero",
        ),
        (multiplier, "large & product[FRACTION_BITS - 1]", "0", "nearest"),
        (float_to_int, "Mux(negative, -rounded, rounded)", "rounded", "sign"),
        (float_to_int, "self.i.exponent < -1", "self.i.exponent < -99", "small_is_zero"),
        (
            float_to_int,
            "Mux(saturates, SATURATED,",
            "Mux(saturates, SATURATED - 1,",
            "large_saturates",
        ),
    ],
)
def test_a_broken_block_is_found(bench, old, new, violated):
    refute(bench(variant(float32, (old, new))), violated, depth=DEPTH)
