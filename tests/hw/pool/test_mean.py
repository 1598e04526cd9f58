import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from hw.pool.mean import MeanUnit
from sim.reference import mean
from sw.numerics import mean_parameters
from tests.hw.support.streams import StreamBench

NANO = dataclasses.replace(PRESETS["nano"], lanes=8, feature_words=1 << 19)
INT8 = st.integers(-128, 127)


@pytest.fixture(scope="module")
def bench():
    return StreamBench(MeanUnit(NANO))


def float_parts(value):
    bits = int(np.float32(value).view(np.uint32))
    return {"fraction": bits & 0x7FFFFF, "exponent": bits >> 23 & 0xFF, "negative": bits >> 31}


def check(bench, groups, multiplier, offset, **kwargs):
    """Means of ``groups``, each int8 [pixels, 8]."""
    pixels = [
        {
            "words": pixel.reshape(2, 4).tolist(),
            "first": index == 0,
            "last": index == len(group) - 1,
        }
        for group in groups
        for index, pixel in enumerate(group)
    ]
    transfers = bench.run(
        send={"pixels": pixels},
        receive={"results": len(groups)},
        inputs={"multiplier": float_parts(multiplier), "offset": float_parts(offset)},
        **kwargs,
    )
    with np.errstate(over="ignore"):
        expected = [mean(group[:, np.newaxis], multiplier, offset) for group in groups]
    np.testing.assert_array_equal(
        np.reshape(transfers["results"].words, (len(groups), 8)), np.array(expected)
    )
    return transfers


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    scales=st.tuples(*[st.floats(2**-7, 2.0, width=32)] * 2),
    points=st.tuples(INT8, INT8),
    pixels=st.integers(1, 49),
    centre=st.integers(-120, 120),
    pace=st.sampled_from([1.0, 0.5]),
    seed=st.integers(0, 999),
)
def test_equals_the_contract(bench, scales, points, pixels, centre, pace, seed):
    multiplier, offset = mean_parameters(scales[0], points[0], scales[1], points[1], pixels, "test")
    rng = np.random.default_rng(seed)
    groups = np.clip(centre + rng.integers(-60, 61, (3, pixels, 8)), -128, 127).astype(np.int8)
    check(bench, groups, multiplier, offset, pace={"pixels": pace, "results": pace}, seed=seed)


@pytest.mark.parametrize(
    ("multiplier", "offset"),
    [
        (0.5, 0.0),  # halves: to even
        (0.5, 0.5),
        (1.0, -0.0),
        (2.0**-126, 2.0**-126),  # the smallest
        (2.0**-126, -(2.0**-126)),
        (float(np.finfo(np.float32).max), 0.0),  # overflows, and saturates
        (float(np.finfo(np.float32).max), -float(np.finfo(np.float32).max)),
        (2.0**-24, 0.5),  # the addition rounds at a tie
        (1.0, 2.0**23),
        (1.0, -(2.0**24)),
    ],
)
def test_corners(bench, multiplier, offset):
    values = np.array([-128, -3, -2, -1, 0, 1, 3, 127], np.int8)
    check(bench, [values[np.newaxis], np.stack([values] * 3)], multiplier, offset)


def test_rate_and_latency(bench):
    """The pixels of a mean come beside the channels of the one before, but for the last pixel."""
    groups = np.ones((2, 20, 8), np.int8)
    transfers = check(bench, groups, 1 / 20, 0.0)
    cycles, results = transfers["pixels"].cycles, transfers["results"].cycles
    assert cycles[:39] == list(range(cycles[0], cycles[0] + 39))
    assert cycles[39] == results[0] + 1
    assert [results[0] - cycles[19], results[1] - cycles[39]] == [8 + MeanUnit.PIPELINE + 1] * 2
