"""Layers without a convolution: each word of a map is a pixel of its own."""

import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sw.compiler import compile_graph
from sw.frontends.tflite.functions.tables import function_table
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Lookup, Padding
from tests.support.batches import check_batch
from tests.support.programs import check_program, noise
from tests.sweeps.machines import MACHINES

SHAPE, CHANNELS = (6, 5, 3), 40
SCALE = (0.05, 3)


def weights(rng, *shape):
    count = shape[0]
    return Weights(
        rng.integers(-127, 128, shape).astype(np.int8),
        rng.integers(-500, 500, count).astype(np.int32),
        np.full(count, 0.004, np.float32),
    )


def squeezed(seed=0, shape=SHAPE, channels=CHANNELS):
    """A function behind a depthwise convolution, and what a squeeze-and-excite does with it."""
    rng = np.random.default_rng(seed)
    net, output = GraphBuilder("input", shape, *SCALE), Output(*SCALE)
    net.conv2d("wide", "input", weights(rng, channels, 1, 1, shape[2]), output)
    around = Window((3, 3), padding=Padding(1, 1, 1, 1))
    net.depthwise_conv2d("each", "wide", weights(rng, channels, 3, 3), output, around)
    swish = Lookup(name="swish", inputs=("each",), output="swish", function="hard_swish")
    net.lookup(swish, function_table("hard_swish", SCALE, SCALE), output)
    net.mean("mean", "swish", output, keep_dims=True)
    net.conv2d("gate", "mean", weights(rng, channels, 1, 1, channels), output)
    net.multiply("scaled", "swish", "gate", output)
    net.add("sum", "scaled", "swish", output)
    net.conv2d("last", "sum", weights(rng, 5, 1, 1, channels), output)
    return rng, net.finish("last", "sum")


def convolutions(graph, config):
    """CONV and POST of each layer, by the name of its last operation."""
    program = compile_graph(graph, config)
    names = {layer.number: layer.operations[-1] for layer in program.layers}
    found = {}
    for instruction in read_program(program.code):
        if instruction.opcode in (Opcode.CONV, Opcode.POST):
            name = names[instruction.fields["layer"]]
            found.setdefault(name, {})[instruction.opcode] = instruction.fields
    return found


@pytest.mark.parametrize("name", ["nano", "micro", "4x2x2", "8x2x2", "1x8x8"])
def test_every_value_is_right(name):
    config = PRESETS.get(name) or MACHINES[name]
    rng, graph = squeezed()
    check_program(graph, config, noise(rng, graph), (None, 1))


def test_a_word_takes_one_pass():
    config = dataclasses.replace(PRESETS["nano"], depthwise_words=1)
    _, graph = squeezed()
    words = -(-CHANNELS // config.rows)
    assert words > 2
    found = convolutions(graph, config)
    for name in ("swish", "scaled"):
        conv, post = found[name][Opcode.CONV], found[name][Opcode.POST]
        assert (conv["passes"], conv["slices"], conv["in_words"]) == (1, 1, 1)
        assert conv["in_width"] == SHAPE[1] * words
        neighbours = max(conv["neighbours"], 1)
        assert conv["out_width"] * neighbours == SHAPE[1] * words
        assert post["out_words"] == neighbours
    # The pixel that is joined to all begins again for each pixel of the map.
    scaled = found["scaled"]
    post, neighbours = scaled[Opcode.POST], max(scaled[Opcode.CONV]["neighbours"], 1)
    assert (post["residual"], post["res_pitch"]) == (1, 0)
    assert post["res_width"] * neighbours == words


def test_a_row_that_no_field_counts_stays_as_it_is():
    """As many words as a row of pixels of one word would have do not fit into the fields."""
    config = MACHINES["4x2x2"]
    channels = 2 * ((1 << 14) // SHAPE[1] + 1)
    net = GraphBuilder("input", (1, SHAPE[1], channels), *SCALE)
    swish = Lookup(name="swish", inputs=("input",), output="swish", function="hard_swish")
    net.lookup(swish, function_table("hard_swish", SCALE, SCALE), Output(*SCALE))
    graph = net.finish("swish")
    wide = dataclasses.replace(config, feature_words=1 << 16)
    found = convolutions(graph, wide)["swish"][Opcode.CONV]
    assert found["in_words"] == channels // wide.rows


def test_several_images():
    rng, graph = squeezed(1, (1, 1, 3))
    check_batch(rng, graph, PRESETS["nano"], 3)
