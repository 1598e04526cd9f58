import dataclasses

import numpy as np

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.candidates.slabs import needs_pitch, pitch_residue
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from sw.compiler.selection.splits import choose_splits
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.graphs import random_resnet50

SMALL = PRESETS["small"]


def candidates_of(graph, config):
    return Candidates(Platform(config), lower(graph, config))


def convolutions(candidates):
    return [layer for layer in candidates.layers if isinstance(layer, Convolution)]


def test_few_output_channels_share_the_reduction():
    """With one word of output only k = G keeps all modules busy."""
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
    assert choose_splits(candidates_of(builder.finish("y"), SMALL)) == {0: 2}


def test_resnet50_keeps_the_modules_busy():
    """The estimate of design section 4: at least 90 % on every preset that holds it whole."""
    graph = random_resnet50(np.random.default_rng(0))
    for name in ("micro", "small", "f100"):
        config = PRESETS[name]
        candidates = candidates_of(graph, config)
        layers = convolutions(candidates)
        chosen = choose_splits(candidates)
        cycles = sum(
            estimate_tiling(
                candidates.platform, layer, candidates.splits(layer)[chosen[layer.number]]
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
    layers, chosen = convolutions(candidates), choose_splits(candidates)
    bound = [
        pitch_residue(config, layer)
        for layer in layers[1:3]
        if needs_pitch(layer, chosen[layer.number])
    ]
    assert len(set(bound)) == 1
    assert needs_pitch(layers[3], chosen[3])
