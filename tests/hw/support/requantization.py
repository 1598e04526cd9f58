"""Section 2 of the contract for one value, in numpy's scalars, and cases that are hard for it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

f32 = np.float32

INT32 = st.integers(-(2**31), 2**31 - 1)
SCALE_BITS = st.integers(0x00800000, 0x437FFFFF)
"""Positive normal float32 below 256."""


def f32_bits(value: float) -> int:
    return int(f32(value).view(np.uint32))


def wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


class Case(NamedTuple):
    """One channel's accumulator, bias and bits of the scale."""

    acc: int
    bias: int
    scale: int


def requantize(case: Case, zero_point: int, lo: int, hi: int) -> int:
    """``clamp(rint(f32(f32(acc + bias) * scale)) + zero_point, lo, hi)``."""
    biased = f32(np.int32(wrap(case.acc + case.bias)))
    product = biased * np.uint32(case.scale).view(f32)
    assert product.dtype == np.float32
    return min(max(int(np.rint(product)) + zero_point, lo), hi)


def split(draw: st.DrawFn, total: int, scale: int) -> Case:
    """``total`` as a sum of accumulator and bias, that may wrap."""
    bias = draw(st.one_of(st.just(0), INT32))
    return Case(wrap(total - bias), bias, scale)


@st.composite
def near_result_ties(draw: st.DrawFn) -> Case:
    """A product at, or an ulp beside, the middle between two int8 results."""
    half = draw(st.integers(-260, 260)) + 0.5
    magnitude = draw(st.integers(0, 31))
    total = draw(st.integers(1 << magnitude >> 1, (1 << magnitude) - 1).filter(bool))
    scale = f32_bits(abs(half) / total) + draw(st.integers(-2, 2))
    assert scale >= 0x00800000
    return split(draw, total if half > 0 else -total, min(scale, 0x437FFFFF))


@st.composite
def near_conversion_ties(draw: st.DrawFn) -> Case:
    """An accumulator at, or one beside, the middle between two float32, past 2^24."""
    exponent = draw(st.integers(24, 30))
    ulp = 1 << (exponent - 23)
    total = (1 << exponent) + draw(st.integers(0, 2**23 - 1)) * ulp
    # A neighbour of a result's middle, so that the rounding of the conversion decides it.
    half = draw(st.integers(0, 127)) + 0.5
    total = min(total + ulp // 2 + draw(st.integers(-1, 1)), 2**31 - 1)
    scale = f32_bits(half / total) + draw(st.integers(-1, 1))
    return split(draw, draw(st.sampled_from([total, -total])), scale)


@st.composite
def near_powers_of_two(draw: st.DrawFn) -> Case:
    """An accumulator around a power of two, where rounding carries into the exponent."""
    total = (1 << draw(st.integers(0, 31))) + draw(st.integers(-3, 3))
    scale = f32_bits(2.0 ** draw(st.integers(-34, 7))) + draw(st.integers(-3, 3))
    return split(draw, wrap(total if draw(st.booleans()) else -total), min(scale, 0x437FFFFF))


@st.composite
def near_integers(draw: st.DrawFn) -> Case:
    """A product just beside an integer; beside a power of two its rounding may carry."""
    integer = draw(st.one_of(st.integers(1, 260), st.sampled_from([1 << n for n in range(8)])))
    total = draw(st.integers(2, 2**31 - 1))
    scale = f32_bits(integer / total) + draw(st.integers(-1, 1))
    return split(draw, total if draw(st.booleans()) else -total, min(scale, 0x437FFFFF))


CASES = st.one_of(
    near_integers(),
    near_result_ties(),
    near_conversion_ties(),
    near_powers_of_two(),
    st.builds(Case, INT32, INT32, SCALE_BITS),
    st.builds(Case, st.integers(-50000, 50000), INT32, SCALE_BITS),
)


@st.composite
def outputs(draw: st.DrawFn) -> tuple[int, int, int]:
    """(zero point, lo, hi)."""
    int8 = st.integers(-128, 127)
    lo, hi = sorted((draw(int8), draw(int8)))
    if draw(st.booleans()):
        lo, hi = -128, 127
    return draw(int8), lo, hi
