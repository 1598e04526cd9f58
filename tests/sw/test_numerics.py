from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sw import numerics
from sw.errors import DnaError

SCALES = st.floats(2.0**-20, 1.0, width=32)


def f32(value):
    return np.float32(value)


def rounded(exact):
    """The float32 nearest to a fraction (NumPy rounds a float64 once; 24 bits times 24 fit it)."""
    return f32(float(exact))


@given(SCALES, SCALES, SCALES)
def test_the_requantization_scale_rounds_twice_in_this_order(s_in, s_w, s_out):
    expected = rounded(Fraction(float(rounded(Fraction(s_in) * Fraction(s_w)))) / Fraction(s_out))
    if not np.finfo(np.float32).tiny <= expected < 256:
        return
    (got,) = numerics.requantization_scale(s_in, np.array([s_w], np.float32), s_out, "conv")
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("bad", [0.0, -1.0, np.inf, np.nan, 1e-45])
@pytest.mark.parametrize("place", ["input", "weights of channel 1", "output"])
def test_a_scale_that_is_none_is_named(bad, place):
    scales = {"input": 0.5, "weights of channel 1": 0.5, "output": 0.5, place: bad}
    with pytest.raises(DnaError, match=f"conv7 {place}: scale .* is not a positive normal"):
        numerics.requantization_scale(
            scales["input"],
            np.array([0.5, scales["weights of channel 1"]], np.float32),
            scales["output"],
            "conv7",
        )


def test_a_requantization_scale_of_256_is_refused():
    almost = np.nextafter(f32(256), f32(0))
    numerics.requantization_scale(1.0, np.array([almost], np.float32), 1.0, "conv")
    with pytest.raises(DnaError, match=r"256\.0 of channel 0"):
        numerics.requantization_scale(1.0, np.array([256], np.float32), 1.0, "conv")


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "bounds"),
    [
        ("none", 0.1, 7, (-128, 127)),
        ("relu", 0.1, -128, (-128, 127)),
        ("relu", 0.1, 5, (5, 127)),
        ("relu6", 0.05, -128, (-128, -8)),
        ("relu6", 0.01, 0, (0, 127)),
        ("relu6", 4.0, 1, (1, 2)),  # 6 / 4 + 1 = 2.5 rounds to even
    ],
)
def test_activation_bounds(activation, scale, zero_point, bounds):
    assert numerics.activation_bounds(activation, scale, zero_point) == bounds


@given(SCALES, SCALES, SCALES)
def test_addition_keeps_twenty_bits_of_the_larger_ratio(s_a, s_b, s_out):
    ratios = [f32(f32(s) / f32(s_out)) for s in (s_a, s_b)]
    if not all(2.0**-10 <= ratio < 2.0**8 for ratio in ratios):
        with pytest.raises(DnaError, match="ratio of input to output scale"):
            numerics.add_parameters(s_a, s_b, s_out, "add")
        return
    multipliers, shift = numerics.add_parameters(s_a, s_b, s_out, "add")
    assert 2**20 <= max(multipliers) <= 2**21
    assert 13 <= shift <= 30
    for ratio, multiplier in zip(ratios, multipliers, strict=True):
        assert abs(Fraction(float(ratio)) * 2**shift - multiplier) <= Fraction(1, 2)


def test_the_mean_rounds_in_this_order():
    multiplier, offset = numerics.mean_parameters(0.3, 17, 0.7, -5, 49, "mean")
    c = f32(f32(0.3) / f32(0.7)) * (f32(1) / f32(49))
    assert multiplier == c
    assert offset == f32(-5) - f32(f32(49 * 17) * c)
