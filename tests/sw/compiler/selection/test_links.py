import dataclasses

import numpy as np

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.candidates.slabs import needs_pitch, pitch_residue
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from sw.compiler.selection.links import choose_links
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.graphs import random_resnet50

SMALL = PRESETS["small"]


def candidates_of(graph, config):
    return Candidates(Platform(config), lower(graph, config))


def convolutions(candidates):
    return [layer for layer in candidates.layers if isinstance(layer, Convolution)]


def test_few_output_channels_keep_all_modules_busy():
    """With one word of output they share the reduction, or compute neighbours."""
    builder = GraphBuilder("input", (16, 16, 64), 0.02, 0)
    rng = np.random.default_rng(0)
    builder.conv2d(
        "y",
        "input",
        Weights(
            rng.integers(-9, 9, (16, 1, 1, 64)).astype(np.int8),
            np.zeros(16, np.int32),
            np.full(16, 0.01, np.float32),
        ),
        Output(0.02, 0),
    )
    candidates = candidates_of(builder.finish("y"), SMALL)
    (layer,), (links,) = candidates.layers, choose_links(candidates).values()
    (tiling,) = (one for one in candidates.linked(layer) if one.links == links)
    assert SMALL.macs * tiling.channel_tiles * tiling.passes * tiling.pixels == layer.macs


def test_resnet50_keeps_the_modules_busy():
    """The estimate of design section 4: at least 90 % on every preset that holds it whole."""
    graph = random_resnet50(np.random.default_rng(0))
    for name in ("micro", "small", "f100"):
        config = PRESETS[name]
        candidates = candidates_of(graph, config)
        layers = convolutions(candidates)
        chosen = choose_links(candidates)
        cycles = sum(
            estimate_tiling(candidates.platform, layer, tiling).cycles
            for layer in layers
            for tiling in candidates.linked(layer)
            if tiling.links == chosen[layer.number]
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
            Weights(
                rng.integers(-9, 9, (16, *kernel, inputs)).astype(np.int8),
                np.zeros(16, np.int32),
                np.full(16, 0.01, np.float32),
            ),
            Output(0.02, 0),
            Window(kernel, padding=Padding(1, 1, 1, 1)),
        )

    conv("x", "input", (1, 1))
    conv("a", "x", (3, 3))
    conv("b", "x", (2, 2))
    conv("c", "b", (3, 3))
    config = dataclasses.replace(SMALL, accumulation_depth=64)
    candidates = candidates_of(builder.finish("c"), config)
    layers, chosen = convolutions(candidates), choose_links(candidates)
    bound = [
        pitch_residue(config, layer)
        for layer in layers[1:3]
        if needs_pitch(layer, chosen[layer.number])
    ]
    assert len(set(bound)) == 1
    assert needs_pitch(layers[3], chosen[3])
