import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.post.residual import AdderLane
from sim.reference import add
from sw.numerics import add_parameters
from tests.hw.support.adder import ResidualAdder
from tests.hw.support.streams import StreamBench

LANES = 2
INT8 = st.integers(-128, 127)


@pytest.fixture(scope="module")
def bench():
    return StreamBench(ResidualAdder(lanes=LANES))


def check(bench, pairs, parameters, **kwargs):
    """Add the (a, b) of ``pairs`` and compare with the reference."""
    pairs = np.array(list(pairs) + [(0, 0)] * (-len(pairs) % LANES), np.int8)
    words = pairs.reshape(-1, LANES, 2)
    transfers = bench.run(
        send={"i": [{"a": word[:, 0].tolist(), "b": word[:, 1].tolist()} for word in words]},
        receive={"o": len(words)},
        inputs={"parameters": parameters},
        **kwargs,
    )
    expected = add(
        pairs[:, 0],
        pairs[:, 1],
        zero_point_a=parameters["zero_point_a"],
        zero_point_b=parameters["zero_point_b"],
        multipliers=(parameters["multiplier_a"], parameters["multiplier_b"]),
        shift=parameters["shift"],
        zero_point=parameters["zero_point"],
        lo=parameters["lo"],
        hi=parameters["hi"],
    )
    np.testing.assert_array_equal(np.ravel(transfers["o"].words), expected)
    return transfers


def parameters(ma, mb, shift, za=0, zb=0, zero_point=0, lo=-128, hi=127):
    return {
        "multiplier_a": ma,
        "multiplier_b": mb,
        "shift": shift,
        "zero_point_a": za,
        "zero_point_b": zb,
        "zero_point": zero_point,
        "lo": lo,
        "hi": hi,
    }


CORNERS = [(a, b) for a in (-128, -127, -1, 0, 1, 126, 127) for b in (-128, -1, 0, 1, 127)]


@pytest.mark.parametrize("shift", [13, 20, 30])
@pytest.mark.parametrize("zero_points", [(0, 0, 0), (-128, 127, -128), (127, -128, 127)])
def test_corners(bench, shift, zero_points):
    za, zb, zero_point = zero_points
    largest = (1 << 22) - 1  # two products of it need 33 bits
    check(bench, CORNERS, parameters(largest, largest, shift, za, zb, zero_point))
    check(bench, CORNERS, parameters(1 << 21, 1 << 11, shift, za, zb, zero_point, -5, 100))


def test_halves_round_up(bench):
    # (a + b) / 2: 0.5 to 1, -0.5 to 0, 1.5 to 2, -1.5 to -1.
    half = 1 << 19
    transfers = check(bench, [(1, 0), (-1, 0), (1, 2), (-1, -2)], parameters(half, half, 20))
    assert np.ravel(transfers["o"].words).tolist() == [1, 0, 2, -1]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    scales=st.lists(st.floats(2**-7, 1.0, width=32), min_size=3, max_size=3),
    points=st.tuples(INT8, INT8, INT8),
    bounds=st.tuples(INT8, INT8).map(sorted),
    pairs=st.lists(st.tuples(INT8, INT8), min_size=2, max_size=60),
    pace=st.sampled_from([1.0, 0.6]),
    seed=st.integers(0, 99),
)
def test_equals_the_contract(bench, scales, points, bounds, pairs, pace, seed):
    (ma, mb), shift = add_parameters(*scales, "test")
    check(
        bench,
        pairs,
        parameters(ma, mb, shift, *points, *bounds),
        pace={"i": pace, "o": pace},
        seed=seed,
    )


def test_one_word_per_cycle_after_the_latency(bench):
    transfers = check(bench, CORNERS, parameters(1 << 20, 1 << 20, 20))
    start = transfers["i"].cycles[0]
    count = len(transfers["o"].words)
    assert transfers["i"].cycles == list(range(start, start + count))
    first = start + AdderLane.LATENCY
    assert transfers["o"].cycles == list(range(first, first + count))


@pytest.mark.parametrize("lanes", [0, -1, 1.5])
def test_lanes_are_checked(lanes):
    with pytest.raises(ValueError, match=f"not {lanes!r}"):
        ResidualAdder(lanes=lanes)
