import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from hw.convolution_path import ConvolutionPath
from tests.hw.passes import layer
from tests.hw.streams import StreamBench

TINY = dataclasses.replace(PRESETS["nano"], accumulation_depth=8)


@pytest.fixture(scope="module", params=[4, 8])
def bench(request):
    return StreamBench(ConvolutionPath(dataclasses.replace(TINY, lanes=request.param)))


def run(bench, shapes, *, output=(5, -120, 110), seed=0, **kwargs):
    """Run tiles of (passes, pixels) and check every value; the transfers."""
    dut = bench.dut
    send, expected = layer(np.random.default_rng(seed), shapes, dut.config, dut.lanes, output)
    transfers = bench.run(
        send=send,
        receive={"outputs": len(expected)},
        inputs=dict(zip(("zero_point", "lo", "hi"), output, strict=True)),
        seed=seed,
        **kwargs,
    )
    assert transfers["outputs"].words == expected
    return transfers


@pytest.mark.parametrize("seed", range(3))
def test_random_tiles_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    shapes = [
        (int(rng.integers(1, 6)), int(rng.integers(1, TINY.accumulation_depth + 1)))
        for _ in range(6)
    ]
    names = ("weights", "activations", "parameters", "outputs")
    run(bench, shapes, pace={name: rng.choice([0.3, 0.7, 1]) for name in names}, seed=seed)


def test_the_array_never_waits_for_a_drain_that_is_shorter_than_the_passes(bench):
    cycles = run(bench, [(2, 8)] * 4)["activations"].cycles
    assert cycles == list(range(TINY.rows, TINY.rows + len(cycles)))


def test_tiles_of_one_pass_lose_at_most_a_cycle_in_two_of_them(bench):
    """The tile before takes as long to drain as this one to fill, and starts a little later."""
    cycles = run(bench, [(1, 8)] * 8)["outputs"].cycles
    assert cycles[-1] - cycles[0] + 1 <= 8 * 8 + 8 // 2


def test_lanes_beyond_the_columns_are_not_built():
    assert ConvolutionPath(dataclasses.replace(TINY, lanes=8)).lanes == TINY.columns
