import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates.tiles import all_links, quickest_tiling, tilings
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from tests.support.programs import random_config, random_network


@pytest.mark.parametrize("seed", range(30))
def test_tiles_cover_every_pixel_and_channel(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    platform = Platform(config)
    for layer in lower(random_network(rng), config):
        if not isinstance(layer, Convolution):
            continue
        for links in all_links(config, layer):
            rows, joined = int(rng.integers(1, 100)), layer.joined(links.neighbours)
            pixels = rows * joined.width
            tiling = quickest_tiling(platform, layer, rows, links)
            ways = tilings(platform, layer, rows, links)
            estimated = [estimate_tiling(platform, layer, way).cycles for way in ways]
            estimate = estimate_tiling(platform, layer, tiling)
            assert estimate.cycles == min(estimated)
            assert tiling.pixels == pixels
            covered = (tiling.pixel_tiles - 1) * tiling.tile_pixels + tiling.last_pixels
            assert covered == pixels
            assert 0 < tiling.last_pixels <= tiling.tile_pixels <= config.accumulation_depth
            group = config.modules >> links.split
            assert 0 <= tiling.channel_tiles * group - joined.words < group
            assert 0 <= (tiling.passes << links.split) - layer.slices < 1 << links.split
            assert estimate.entered >= tiling.channel_tiles * tiling.passes * pixels
            assert estimate.cycles > estimate.entered


def convolution(width, in_words, out_words, stride=1, kernel=1):
    """One of the f200, where a word has 32 channels."""
    rows, inputs = PRESETS["f200"].rows, (width - 1) * stride + kernel
    builder = GraphBuilder("x", (kernel, inputs, in_words * rows), 0.02, 0)
    weights = np.ones((out_words * rows, kernel, kernel, in_words * rows), np.int8)
    channels = out_words * rows
    given = Weights(weights, np.zeros(channels, np.int32), np.full(channels, 0.01, np.float32))
    builder.conv2d("y", "x", given, Output(0.02, 0), Window((kernel, kernel), (stride, stride)))
    (layer,) = lower(builder.finish("y"), PRESETS["f200"])
    return layer


def neighbours_of(layer, split):
    return {links.neighbours for links in all_links(PRESETS["f200"], layer) if links.split == split}


def test_splits_are_the_powers_of_two_up_to_all_modules():
    links = all_links(PRESETS["f200"], convolution(width=8, in_words=8, out_words=8))
    assert sorted({one.split for one in links}) == [0, 1, 2, 3]


def test_neighbours_divide_a_row():
    assert neighbours_of(convolution(width=12, in_words=1, out_words=1), 0) == {1, 2, 3, 4, 6}


def test_neighbours_are_in_different_banks():
    """Pixels of 2 words begin in every other bank, of 3 in every one; with a stride in fewer."""
    assert neighbours_of(convolution(width=8, in_words=1, out_words=1), 0) == {1, 2, 4, 8}
    assert neighbours_of(convolution(width=8, in_words=2, out_words=1), 0) == {1, 2, 4}
    assert neighbours_of(convolution(width=8, in_words=2, out_words=1), 1) == {1, 2, 4, 8}
    assert neighbours_of(convolution(width=8, in_words=2, out_words=1), 2) == {1}
    assert neighbours_of(convolution(width=8, in_words=3, out_words=1), 0) == {1, 2, 4, 8}
    assert neighbours_of(convolution(width=8, in_words=1, out_words=1, stride=2), 0) == {1, 2, 4}
    # Of neighbours of four words two are in a channel tile.
    assert neighbours_of(convolution(width=8, in_words=2, out_words=4), 0) == {1, 2, 4, 8}
