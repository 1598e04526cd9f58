"""Operators that are made of others: their values, and what they are made of."""

import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from sim.functional import FunctionalModel
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import compile_graph
from sw.composed.grouped import grouped_conv2d, parts_of
from sw.composed.padded import padded
from sw.composed.shuffled import depth_to_space
from sw.composed.transposed import transposed_conv2d
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Conv2D, Padding
from tests.support.tflite_models import RELU, SAME, VALID, Maker
from tests.sweeps.import_sweep import compared

SCALE = 0.5


def builder(shape, zero_point=3):
    return GraphBuilder("input", shape, SCALE, zero_point)


def weights(rng, *shape):
    return Weights(
        values=rng.integers(-128, 128, shape).astype(np.int8),
        bias=rng.integers(-500, 500, shape[0]).astype(np.int32),
        scale=rng.uniform(0.001, 0.01, shape[0]).astype(np.float32),
    )


def image(rng, graph):
    return rng.integers(-128, 128, graph.tensors["input"].shape, dtype=np.int8)


def values(graph, pixels):
    """By the reference; the functional model and a program of nano compute the same."""
    expected = ReferenceModel(graph).outputs(pixels)[0]
    model = FunctionalModel(graph)
    assert np.array_equal(model.outputs(pixels)[0], expected)
    result = interpret_program(compile_graph(graph, PRESETS["nano"]), pixels, model.run_all(pixels))
    assert result.values > 0
    assert result.mismatches == 0
    return expected


@pytest.mark.parametrize(("mode", "stride"), list(itertools.product((SAME, VALID), (1, 2, 3))))
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 2), (3, 3), (5, 1)])
def test_a_transposed_convolution_is_litert_s(mode, stride, kernel):
    rng = np.random.default_rng(stride * 10 + kernel[0])
    net = Maker(rng)
    x = net.input((1, 5, 4, 3))
    more = (int(rng.integers(stride)), int(rng.integers(stride)))
    if mode == SAME:
        kernel, more = tuple(max(k, stride) for k in kernel), tuple(-n for n in more)
    y = net.transposed(x, 5, kernel, (stride, stride), mode, RELU, more)
    _, count, wrong = compared(net.finish(net.conv(y, 2, (1, 1))), rng)
    assert count > 0
    assert wrong == 0


@pytest.mark.parametrize("seed", range(12))
def test_a_transposed_convolution_is_the_sum_that_it_says(seed):
    rng = np.random.default_rng(seed)
    height, width, into, out = (int(n) for n in rng.integers(1, 6, 4))
    kernel, stride = ([int(n) for n in rng.integers(1, 5, 2)] for _ in range(2))
    cut = [int(rng.integers(0, k + 3)) for k in kernel]
    size = [int(n) for n in rng.integers(1, 12, 2)]
    net = builder((height, width, into))
    held = weights(rng, out, *kernel, into)
    output = Output(0.37, -5)
    made = transposed_conv2d(
        net, "t", "input", held, output, stride=tuple(stride), cut=tuple(cut), size=tuple(size)
    )
    graph = net.finish(made)
    pixels = image(rng, graph)
    whole = np.zeros((height * stride[0] + 20, width * stride[1] + 20, out), np.int64)
    whole += held.bias
    for row, column in itertools.product(range(height), range(width)):
        seen = np.einsum("ohwi,i->hwo", held.values.astype(np.int64), pixels[row, column] - 3.0)
        place = (row * stride[0], column * stride[1])
        whole[place[0] : place[0] + kernel[0], place[1] : place[1] + kernel[1]] += seen.astype(int)
    sums = whole[cut[0] : cut[0] + size[0], cut[1] : cut[1] + size[1]]
    factor = np.float32(np.float32(SCALE) * held.scale) / np.float32(0.37)
    expected = np.clip(np.rint(sums.astype(np.float32) * factor) - 5, -128, 127)
    assert np.array_equal(values(graph, pixels), expected)


@pytest.mark.parametrize(
    ("groups", "inputs", "outputs", "parts"),
    [
        (32, 128, 128, 4),
        (2, 64, 64, 2),
        (4, 32, 32, 2),
        (2, 16, 8, 1),
        (3, 24, 48, 3),
        (2, 6, 4, 1),
    ],
)
def test_groups_are_cut_where_words_are_whole(groups, inputs, outputs, parts):
    assert parts_of(groups, inputs, outputs) == parts
    rng = np.random.default_rng(groups)
    net = builder((4, 3, inputs))
    held = weights(rng, outputs, 2, 2, inputs // groups)
    window = Window((2, 2), (1, 1), Padding(1, 0, 0, 1))
    graph = net.finish(grouped_conv2d(net, "g", "input", held, Output(0.4, 1), window))
    assert sum(isinstance(op, Conv2D) for op in graph.operations) == parts
    pixels = image(rng, graph)
    got = values(graph, pixels)
    each = (inputs // groups, outputs // groups)
    for group in range(groups):
        rows = slice(group * each[1], (group + 1) * each[1])
        alone = builder((4, 3, each[0]))
        part = Weights(held.values[rows], held.bias[rows], held.scale[rows])
        single = alone.finish(alone.conv2d("c", "input", part, Output(0.4, 1), window))
        some = np.ascontiguousarray(pixels[..., group * each[0] : (group + 1) * each[0]])
        assert np.array_equal(ReferenceModel(single).outputs(some)[0], got[..., rows])


def test_channels_that_are_no_whole_groups_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(DnaError, match="no whole groups"):
        grouped_conv2d(builder((4, 4, 6)), "g", "input", weights(rng, 4, 1, 1, 4), Output(1, 0))
    with pytest.raises(DnaError, match="no whole groups"):
        grouped_conv2d(builder((4, 4, 6)), "g", "input", weights(rng, 5, 1, 1, 2), Output(1, 0))


@pytest.mark.parametrize("padding", [(1, 2, 0, 3), (0, 0, 2, 0), (3, 0, 0, 0), (0, 1, 1, 1)])
@pytest.mark.parametrize("value", [-128, 5, 127])
def test_padding_has_the_value(padding, value):
    net = builder((3, 4, 5))
    graph = net.finish(padded(net, "p", "input", Padding(*padding), value))
    pixels = image(np.random.default_rng(1), graph)
    top, bottom, left, right = padding
    sides = ((top, bottom), (left, right), (0, 0))
    assert np.array_equal(values(graph, pixels), np.pad(pixels, sides, constant_values=value))


@pytest.mark.parametrize("channels_first", [True, False])
@pytest.mark.parametrize(("factor", "each"), [(1, 3), (2, 1), (2, 4), (3, 2)])
def test_channels_become_pixels(channels_first, factor, each):
    net = builder((3, 2, each * factor**2))
    made = depth_to_space(net, "d", "input", factor, channels_first=channels_first)
    graph = net.finish(made)
    pixels = image(np.random.default_rng(2), graph)
    shape = (each, factor, factor) if channels_first else (factor, factor, each)
    split = pixels.reshape(3, 2, *shape)
    order = (0, 3, 1, 4, 2) if channels_first else (0, 2, 1, 3, 4)
    assert np.array_equal(
        values(graph, pixels), split.transpose(order).reshape(3 * factor, 2 * factor, each)
    )
    with pytest.raises(DnaError, match=r"channels for 7 x 7"):
        depth_to_space(builder((2, 2, 4)), "d", "input", 7, channels_first=True)
