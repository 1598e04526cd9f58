import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hw.post.requantize import RequantizerLane
from tests.hw.support.requantization import CASES, Case, f32_bits, outputs, requantize
from tests.hw.support.requantizer import Requantizer
from tests.hw.support.streams import StreamBench

LANES = 2
FULL_RANGE = (0, -128, 127)


@pytest.fixture(scope="module")
def bench():
    return StreamBench(Requantizer(lanes=LANES))


def run(bench, cases, output=FULL_RANGE, **kwargs):
    """Requantize ``cases``, LANES a word, and return the results."""
    assert len(cases) % LANES == 0
    words = [cases[start : start + LANES] for start in range(0, len(cases), LANES)]
    transfers = bench.run(
        send={
            "i": [
                {field: [getattr(case, field) for case in word] for field in Case._fields}
                for word in words
            ]
        },
        receive={"o": len(words)},
        inputs=dict(zip(("zero_point", "lo", "hi"), output, strict=True)),
        surplus=2 * RequantizerLane.LATENCY,
        **kwargs,
    )
    return [value for word in transfers["o"].words for value in word], transfers


def check(bench, cases, output=FULL_RANGE, **kwargs):
    cases = list(cases) + [Case(0, 0, f32_bits(1.0))] * (-len(cases) % LANES)
    results, transfers = run(bench, cases, output, **kwargs)
    for case, result in zip(cases, results, strict=True):
        assert result == requantize(case, *output), (case, output)
    return transfers


@settings(
    max_examples=30,
    deadline=None,
    # The failing case of a batch is in the message; to shrink the batch would take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(cases=st.lists(CASES, min_size=60, max_size=120), output=outputs())
def test_equals_the_contract(bench, cases, output):
    check(bench, cases, output)


@pytest.mark.parametrize(
    ("acc", "bias", "scale", "result"),
    [
        # rint: half to even.
        (1, 0, 0.5, 0),
        (3, 0, 0.5, 2),
        (5, 0, 0.5, 2),
        (-1, 0, 0.5, 0),
        (-3, 0, 0.5, -2),
        (-5, 0, 0.5, -2),
        (255, 0, 0.5, 127),
        (-257, 0, 0.5, -128),
        # int32 to float32: 2^24 + 1 is a tie and goes down to 2^24, then half goes to 0 ...
        (2**24 + 1, 0, 2**-25, 0),
        # ... 2^24 + 3 is a tie and goes up; 3 * 2^24 - 1 goes up, then 1.5 to 2.
        (2**24 + 3, 0, 2**-25, 1),
        (3 * 2**24 - 1, 0, 2**-25, 2),
        (-(2**24) - 1, 0, 2**-25, 0),
        # The rounding carries into the exponent.
        (2**31 - 1, 0, 2**-25, 64),
        (2**25 - 1, 0, 2**-25, 1),
        # INT_MIN and sums that wrap.
        (-(2**31), 0, 2**-25, -64),
        (-(2**31), -1, 2**-25, 64),
        (2**31 - 1, 1, 2**-25, -64),
        (-(2**31), 2**31 - 1, 100.0, -100),
        # Saturation, and a zero that stays one.
        (2**31 - 1, 0, 255.99998, 127),
        (-(2**31), 0, 255.99998, -128),
        (1, 0, 255.99998, 127),
        (0, 0, 255.99998, 0),
        (5, -5, 1.0, 0),
        # The smallest normal scale: any accumulator becomes 0.
        (2**31 - 1, 0, 2.0**-126, 0),
        (-(2**31), 0, 2.0**-126, 0),
        (1, 0, 2.0**-126, 0),
        # Just below and at a half.
        (1, 0, np.nextafter(np.float32(0.5), np.float32(0)), 0),
        (1, 0, np.nextafter(np.float32(0.5), np.float32(1)), 1),
    ],
)
def test_directed(bench, acc, bias, scale, result):
    case = Case(acc, bias, f32_bits(scale))
    assert requantize(case, *FULL_RANGE) == result, "the model itself"
    check(bench, [case])


def test_the_product_is_rounded_before_the_result(bench):
    """Products whose float32 is a half while they are not: fused, they come out otherwise."""
    rng = np.random.default_rng(0)
    cases = []
    while len(cases) < 100:
        total, half = int(rng.integers(2**10, 2**24)), int(rng.integers(0, 127)) + 0.5
        scale = np.float32(half / total)
        product = np.float32(total) * scale
        exact = float(total) * float(scale)
        if float(product) == half != exact and np.rint(product) != np.rint(exact):
            cases.append(Case(total, 0, f32_bits(scale)))
    check(bench, cases)


def test_a_product_that_rounds_up_to_a_power_of_two(bench):
    """The carry out of the significand must reach the exponent."""
    rng = np.random.default_rng(2)
    cases = []
    while len(cases) < 100:
        total, power = int(rng.integers(2**10, 2**24)), 1 << int(rng.integers(0, 7))
        scale = np.float32(power / total)
        if float(total) * float(scale) < power == float(np.float32(total) * scale):
            cases.append(Case(total, 0, f32_bits(scale)))
    check(bench, cases)


def test_a_conversion_that_does_not_round_gives_another_result(bench):
    rng = np.random.default_rng(1)
    cases = []
    while len(cases) < 100:
        total = int(rng.integers(2**24, 2**31))
        scale = np.float32((int(rng.integers(0, 127)) + 0.5) / total)
        unrounded = np.rint(np.float32(float(total) * float(scale)))
        if unrounded != np.rint(np.float32(total) * scale):
            cases.append(Case(total, 0, f32_bits(scale)))
    check(bench, cases)


@pytest.mark.parametrize(
    "output", [(127, -128, 127), (-128, -128, 127), (-128, -128, -128), (3, 3, 100), (0, -5, 5)]
)
def test_every_int_around_the_clamps(bench, output):
    cases = [Case(acc, 0, f32_bits(1.0)) for acc in range(-300, 300)]
    check(bench, cases, output)


@pytest.mark.parametrize("seed", range(4))
def test_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    cases = [
        Case(int(acc), int(bias), f32_bits(scale))
        for acc, bias, scale in zip(
            rng.integers(-(2**20), 2**20, 200),
            rng.integers(-(2**20), 2**20, 200),
            rng.uniform(1e-6, 1e-3, 200),
            strict=True,
        )
    ]
    pace = {name: rng.choice([0.3, 0.7, 1]) for name in ("i", "o")}
    check(bench, cases, (-3, -100, 100), pace=pace, seed=seed)


def test_a_word_per_cycle_after_the_latency(bench):
    transfers = check(bench, [Case(n, 0, f32_bits(1.0)) for n in range(40)])
    latency = RequantizerLane.LATENCY
    assert transfers["i"].cycles == list(range(20))
    assert transfers["o"].cycles == list(range(latency, latency + 20))


@pytest.mark.parametrize("lanes", [0, -1, "4", 2.0])
def test_refuses_bad_lanes(lanes):
    with pytest.raises(ValueError, match=f"lanes must be .* not {lanes!r}"):
        Requantizer(lanes=lanes)
