import numpy as np
import pytest

from hw.conv.convolution_module import ConvolutionModule
from tests.hw.support.passes import Tile
from tests.hw.support.streams import StreamBench


@pytest.fixture(scope="module")
def bench():
    return StreamBench(ConvolutionModule(rows=4, columns=3))


def run(bench, tiles, **kwargs):
    """Run ``tiles`` and check every word; the transfers."""
    expected = [word for tile in tiles for word in tile.sum_words]
    transfers = bench.run(
        send={
            "weights": [word for tile in tiles for word in tile.weight_words],
            "activations": [word for tile in tiles for word in tile.activation_words],
        },
        receive={"sums": len(expected)},
        **kwargs,
    )
    assert transfers["sums"].words == expected
    return transfers


@pytest.mark.parametrize("seed", range(8))
def test_random_passes_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    tiles = [
        Tile.random(
            rng, passes=int(rng.integers(1, 4)), pixels=int(rng.integers(1, 9)), rows=4, columns=3
        )
        for _ in range(8)
    ]
    pace = {name: rng.choice([0.2, 0.6, 1]) for name in ("weights", "activations", "sums")}
    run(bench, tiles, pace=pace, seed=seed)


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 4), (4, 2)])
def test_other_shapes(rows, columns):
    rng = np.random.default_rng(5)
    tiles = [
        Tile.random(rng, passes=2, pixels=pixels, rows=rows, columns=columns)
        for pixels in (1, 2, 3, 7)
    ]
    bench = StreamBench(ConvolutionModule(rows=rows, columns=columns))
    run(bench, tiles, pace={"weights": 0.7, "activations": 0.7, "sums": 0.7})


def test_extremes_add_up_exactly(bench):
    tile = Tile(np.full((1, 2, 4), -128), np.full((1, 4, 3), -128))
    transfers = run(bench, [tile])
    assert transfers["sums"].words[0]["data"] == [4 * 128 * 128] * 3


@pytest.mark.parametrize("pixels", [4, 5, 9])
def test_no_bubble_between_passes_as_long_as_the_array_is_high(bench, pixels):
    passes = 10
    tile = Tile.random(np.random.default_rng(0), passes=passes, pixels=pixels, rows=4, columns=3)
    transfers = run(bench, [tile])
    cycles = transfers["sums"].cycles
    assert cycles == list(range(cycles[0], cycles[0] + passes * pixels))
    # The first pass waits for its R weight words; then the way through the array.
    assert cycles[0] == 4 + (4 + 3 - 1)


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_shorter_pass_costs_the_cycles_of_its_weights(bench, pixels):
    passes = 10
    tile = Tile.random(np.random.default_rng(0), passes=passes, pixels=pixels, rows=4, columns=3)
    transfers = run(bench, [tile])
    starts = transfers["activations"].cycles[::pixels]
    assert np.diff(starts).tolist() == [4] * (passes - 1)
    assert transfers["weights"].cycles == list(range(passes * 4))


def test_weights_of_two_passes_are_taken_before_any_pixel(bench):
    tile = Tile.random(np.random.default_rng(0), passes=3, pixels=4, rows=4, columns=3)
    transfers = run(bench, [tile], pace={"activations": 0.02}, seed=3)
    assert transfers["weights"].cycles[:8] == list(range(8))
    # The third set overwrites the first, so it waits for the last pixel of the first pass.
    assert transfers["weights"].cycles[8] == transfers["activations"].cycles[3] + 1


def test_refuses_a_bad_size():
    with pytest.raises(ValueError, match=r"rows must be .* not 1"):
        ConvolutionModule(rows=1, columns=4)
    with pytest.raises(ValueError, match=r"columns must be .* not 0"):
        ConvolutionModule(rows=4, columns=0)
