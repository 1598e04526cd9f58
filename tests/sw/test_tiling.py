import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.lowering import Convolution, lower
from sw.compiler.tiling import choose_splits, needs_pitch, pitch_residue, splits, tile
from sw.graph import GraphBuilder, Padding
from tests.graphs import random_resnet50
from tests.programs import random_config, random_network

SMALL = PRESETS["small"]


def convolutions(graph, config):
    return [layer for layer in lower(graph, config) if isinstance(layer, Convolution)]


@pytest.mark.parametrize("seed", range(30))
def test_tiles_cover_every_pixel_and_channel(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    for layer in convolutions(random_network(rng), config):
        for split in splits(config):
            pixels = int(rng.integers(1, 300))
            tiling = tile(config, layer, pixels, split)
            covered = (tiling.pixel_tiles - 1) * tiling.tile_pixels + tiling.last_pixels
            assert covered == pixels
            assert 0 < tiling.last_pixels <= tiling.tile_pixels <= config.accumulation_depth
            group = config.modules >> split
            assert 0 <= tiling.channel_tiles * group - layer.target.words < group
            assert 0 <= (tiling.passes << split) - layer.slices < 1 << split
            assert tiling.cycles >= tiling.channel_tiles * tiling.passes * pixels


def test_splits_are_the_powers_of_two_up_to_all_modules():
    assert [1 << split for split in splits(SMALL)] == [1, 2, 4]


def test_few_output_channels_share_the_reduction():
    """With one word of output only k = G keeps all modules busy."""
    builder = GraphBuilder("input", (16, 16, 64), 0.02, 0)
    rng = np.random.default_rng(0)
    builder.conv2d(
        "y",
        "input",
        weights=rng.integers(-9, 9, (16, 1, 1, 64)).astype(np.int8),
        bias=np.zeros(16, np.int32),
        weight_scale=np.full(16, 0.01, np.float32),
        scale=0.02,
        zero_point=0,
    )
    layers = convolutions(builder.finish("y"), SMALL)
    assert choose_splits(SMALL, layers) == {0: 2}


def test_resnet50_keeps_the_modules_busy():
    """The estimate of design section 4: at least 90 % on every preset that holds it whole."""
    graph = random_resnet50(np.random.default_rng(0))
    for name in ("micro", "small", "f100"):
        config = PRESETS[name]
        layers = convolutions(graph, config)
        chosen = choose_splits(config, layers)
        cycles = sum(
            tile(
                config, layer, layer.target.height * layer.target.width, chosen[layer.number]
            ).cycles
            for layer in layers
        )
        assert sum(layer.macs for layer in layers) / config.macs / cycles > 0.9


def test_readers_of_one_tensor_agree_on_its_pitch():
    """Two kernels with different widths cannot both have their pitch."""
    builder = GraphBuilder("input", (12, 12, 16), 0.02, 0)
    rng = np.random.default_rng(0)

    def conv(name, x, kernel):
        inputs = builder.tensor(x).shape[2]
        return builder.conv2d(
            name,
            x,
            weights=rng.integers(-9, 9, (16, *kernel, inputs)).astype(np.int8),
            bias=np.zeros(16, np.int32),
            weight_scale=np.full(16, 0.01, np.float32),
            scale=0.02,
            zero_point=0,
            padding=Padding(1, 1, 1, 1),
        )

    conv("x", "input", (1, 1))
    conv("a", "x", (3, 3))
    conv("b", "x", (2, 2))
    conv("c", "b", (3, 3))
    config = dataclasses.replace(SMALL, accumulation_depth=64)
    layers = convolutions(builder.finish("c"), config)
    chosen = choose_splits(config, layers)
    bound = [
        pitch_residue(config, layer)
        for layer in layers[1:3]
        if needs_pitch(layer, chosen[layer.number])
    ]
    assert len(set(bound)) == 1
    assert needs_pitch(layers[3], chosen[3])
