import numpy as np
import pytest

from hw.drain import Drain
from tests.hw.streams import StreamBench

COLUMNS = 4


@pytest.fixture(scope="module", params=[1, 2, 4])
def bench(request):
    return StreamBench(Drain(columns=COLUMNS, lanes=request.param))


def run(bench, pixels_of_tiles, *, seed=0, **kwargs):
    """Drain random tiles and check every word; the transfers."""
    rng = np.random.default_rng(seed)
    lanes = bench.dut.words.payload.acc.shape().length
    pixels, parameters, expected = [], [], []
    for count in pixels_of_tiles:
        bias = rng.integers(-(2**31), 2**31, COLUMNS)
        scale = rng.integers(0, 2**32, COLUMNS)
        parameters += [{"bias": int(b), "scale": int(s)} for b, s in zip(bias, scale, strict=True)]
        for n in range(count):
            acc = rng.integers(-(2**31), 2**31, COLUMNS)
            pixels.append({"data": acc.tolist(), "last": int(n == count - 1)})
            expected += [
                {
                    name: values[start : start + lanes].tolist()
                    for name, values in (("acc", acc), ("bias", bias), ("scale", scale))
                }
                for start in range(0, COLUMNS, lanes)
            ]
    transfers = bench.run(
        send={"pixels": pixels, "parameters": parameters},
        receive={"words": len(expected)},
        seed=seed,
        **kwargs,
    )
    assert transfers["words"].words == expected
    return transfers


@pytest.mark.parametrize("seed", range(4))
def test_random_tiles_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    pace = {name: rng.choice([0.2, 0.6, 1]) for name in ("pixels", "parameters", "words")}
    run(bench, rng.integers(1, 6, 12).tolist(), pace=pace, seed=seed)


def test_a_word_per_cycle_while_the_next_parameters_load(bench):
    transfers = run(bench, [8, 8, 8])
    cycles = transfers["words"].cycles
    assert cycles == list(range(cycles[0], cycles[0] + len(cycles)))
    assert transfers["parameters"].cycles[: 2 * COLUMNS] == list(range(2 * COLUMNS))


def test_a_pixel_waits_for_all_parameters_of_its_tile(bench):
    transfers = run(bench, [1, 1], pace={"parameters": 0.1}, seed=1)
    parameters, words = transfers["parameters"].cycles, transfers["words"].cycles
    assert words[0] > parameters[COLUMNS - 1]
    assert words[-1] > parameters[-1]


def test_refuses_bad_sizes():
    with pytest.raises(ValueError, match=r"columns must be .* not 0"):
        Drain(columns=0, lanes=1)
    for lanes in (0, 3, 8, "2"):
        with pytest.raises(ValueError, match=f"lanes must divide the 4 columns, not {lanes!r}"):
            Drain(columns=4, lanes=lanes)
