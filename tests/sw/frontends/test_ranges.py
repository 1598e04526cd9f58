import numpy as np
import pytest

from sw.frontends.ranges import BINS, FRACTIONS, Histogram


def error(values, low, high):
    """Mean squared error of quantizing ``values`` themselves."""
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    steps = np.clip(np.rint(values / scale) + zero, 0, 255) - zero
    return float(((values - steps * scale) ** 2).mean())


def test_the_best_range_is_the_best_for_the_values_themselves():
    values = np.abs(np.random.default_rng(0).laplace(0, 1, 100_000)).astype(np.float32)
    most = float(values.max())
    histogram = Histogram(float(values.min()), most)
    for part in np.array_split(values, 7):
        histogram.add(part)
    low, high = histogram.best()
    assert histogram.counts.sum() == values.size
    assert low == 0
    assert high < most
    best = min(error(values, 0.0, most * fraction) for fraction in FRACTIONS)
    assert error(values, low, high) < 1.05 * best


def test_even_values_keep_their_whole_range():
    values = np.linspace(-3, 5, 50_000, dtype=np.float32)
    histogram = Histogram(-3, 5)
    histogram.add(values.reshape(50, 1000))
    assert histogram.best() == (-3, 5)


@pytest.mark.parametrize(("bounds", "expected"), [((2, 3), (0, 3)), ((-3, -2), (-3, 0))])
def test_zero_is_always_inside(bounds, expected):
    histogram = Histogram(*bounds)
    assert (histogram.low, histogram.high) == expected
    histogram.add(np.array(bounds, np.float32))
    low, high = histogram.best()
    assert low <= 0 <= high


def test_what_is_always_zero():
    histogram = Histogram(0, 0)
    histogram.add(np.zeros((3, 4), np.float32))
    assert histogram.counts.sum() == 12
    assert len(histogram.counts) == BINS
    assert histogram.best() == (0, 0)
