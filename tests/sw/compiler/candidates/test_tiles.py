import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates.tiles import quickest_tiling, splits, tilings
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from tests.support.programs import random_config, random_network


@pytest.mark.parametrize("seed", range(30))
def test_tiles_cover_every_pixel_and_channel(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    platform = Platform(config)
    for layer in lower(random_network(rng), config):
        if not isinstance(layer, Convolution):
            continue
        for split in splits(config):
            pixels = int(rng.integers(1, 300))
            tiling = quickest_tiling(platform, layer, pixels, split)
            ways = tilings(platform, layer, pixels, split)
            estimated = [estimate_tiling(platform, layer, way).cycles for way in ways]
            estimate = estimate_tiling(platform, layer, tiling)
            assert estimate.cycles == min(estimated)
            assert tiling.pixels == pixels
            covered = (tiling.pixel_tiles - 1) * tiling.tile_pixels + tiling.last_pixels
            assert covered == pixels
            assert 0 < tiling.last_pixels <= tiling.tile_pixels <= config.accumulation_depth
            group = config.modules >> split
            assert 0 <= tiling.channel_tiles * group - layer.computed.words < group
            assert 0 <= (tiling.passes << split) - layer.slices < 1 << split
            assert estimate.entered >= tiling.channel_tiles * tiling.passes * pixels
            assert estimate.cycles > estimate.entered


def test_splits_are_the_powers_of_two_up_to_all_modules():
    assert [1 << split for split in splits(PRESETS["small"])] == [1, 2, 4]
