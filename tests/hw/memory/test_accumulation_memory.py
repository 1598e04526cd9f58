import numpy as np
import pytest

from hw.memory.accumulation_memory import AccumulationMemory
from tests.hw.support.streams import StreamBench

COLUMNS, DEPTH = 2, 8


@pytest.fixture(scope="module")
def bench():
    return StreamBench(AccumulationMemory(columns=COLUMNS, depth=DEPTH))


def random_tile(rng, passes, pixels):
    """int32 [passes, pixels, columns], large enough to wrap."""
    return rng.integers(-(2**31), 2**31, (passes, pixels, COLUMNS))


def sum_words(tile):
    passes, pixels, _ = tile.shape
    return [
        {
            "data": tile[k, n].tolist(),
            "first": int(k == 0),
            "last": int(n == pixels - 1),
            "final": int(k == passes - 1),
        }
        for k in range(passes)
        for n in range(pixels)
    ]


def pixel_words(tile):
    wrapped = (tile.sum(axis=0) + 2**31) % 2**32 - 2**31
    return [
        {"data": row.tolist(), "last": int(n == len(wrapped) - 1)} for n, row in enumerate(wrapped)
    ]


def run(bench, tiles, **kwargs):
    """Run ``tiles`` and check every pixel; the transfers."""
    expected = [word for tile in tiles for word in pixel_words(tile)]
    transfers = bench.run(
        send={"sums": [word for tile in tiles for word in sum_words(tile)]},
        receive={"pixels": len(expected)},
        **kwargs,
    )
    assert transfers["pixels"].words == expected
    return transfers


@pytest.mark.parametrize("seed", range(8))
def test_random_tiles_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    tiles = [
        random_tile(rng, int(rng.integers(1, 5)), int(rng.integers(1, DEPTH + 1)))
        for _ in range(20)
    ]
    pace = {name: rng.choice([0.2, 0.6, 1]) for name in ("sums", "pixels")}
    run(bench, tiles, pace=pace, seed=seed)


@pytest.mark.parametrize("pixels", [1, 2, 3, DEPTH])
@pytest.mark.parametrize("pace", [1, 0.5])
def test_a_short_pass_adds_to_what_was_only_just_written(bench, pixels, pace):
    tile = random_tile(np.random.default_rng(0), 12, pixels)
    transfers = run(bench, [tile, tile], pace={"sums": pace})
    if pace == 1:
        assert transfers["sums"].cycles == list(range(2 * 12 * pixels)), "it stalled"


def test_drains_while_the_other_tile_fills_and_loses_no_cycle(bench):
    tiles = [random_tile(np.random.default_rng(n), 1, DEPTH) for n in range(6)]
    transfers = run(bench, tiles)
    # A full tile leaves at the rate at which the next comes in, two cycles after its last pixel.
    start = DEPTH - 1 + 2
    assert transfers["pixels"].cycles[:DEPTH] == list(range(start, start + DEPTH))
    assert transfers["pixels"].cycles[-1] <= 6 * DEPTH + 2 * len(tiles)


def test_two_waiting_tiles_hold_the_third_back(bench):
    tiles = [random_tile(np.random.default_rng(n), 2, 4) for n in range(4)]
    transfers = run(bench, tiles, pace={"pixels": 0.05}, seed=2)
    third = transfers["sums"].cycles[2 * 2 * 4]
    assert third == transfers["pixels"].cycles[3] + 1


def test_a_one_pixel_tile_reads_what_was_only_just_written(bench):
    run(bench, [random_tile(np.random.default_rng(n), 1, 1) for n in range(10)])


@pytest.mark.parametrize("depth", [0, 1, 3, 6, -8, "8"])
def test_refuses_a_bad_depth(depth):
    with pytest.raises(ValueError, match=f"depth must be .* not {depth!r}"):
        AccumulationMemory(columns=2, depth=depth)


@pytest.mark.parametrize("columns", [0, -1, "2"])
def test_refuses_bad_columns(columns):
    with pytest.raises(ValueError, match=f"columns must be .* not {columns!r}"):
        AccumulationMemory(columns=columns, depth=8)
