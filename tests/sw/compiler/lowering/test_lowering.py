import dataclasses
from typing import get_args

import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.layers import Convolution
from sw.compiler.lowering import LOWERINGS, lower
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Add, Operation, Padding
from tests.support.programs import check_program, noise

NONE = Padding()
NANO, SMALL = PRESETS["nano"], PRESETS["small"]


class Net:
    """A builder whose convolutions need no thought."""

    def __init__(self, shape=(8, 8, 3)):
        self.builder = GraphBuilder("input", shape, 0.02, 3)

    def conv(self, name, x, channels, kernel=(1, 1), stride=(1, 1), padding=NONE):
        inputs = self.builder.tensor(x).shape[-1]
        rng = np.random.default_rng(len(name))
        return self.builder.conv2d(
            name,
            x,
            Weights(
                rng.integers(-128, 128, (channels, *kernel, inputs)).astype(np.int8),
                rng.integers(-99, 99, channels).astype(np.int32),
                np.full(channels, 0.01, np.float32),
            ),
            Output(0.02, -7),
            Window(kernel, stride, padding),
        )

    def dense(self, name, x, channels):
        inputs = int(np.prod(self.builder.tensor(x).shape))
        return self.builder.fully_connected(
            name,
            x,
            Weights(
                np.arange(channels * inputs).astype(np.int8).reshape(channels, inputs),
                np.zeros(channels, np.int32),
                np.full(channels, 0.01, np.float32),
            ),
            Output(0.02, 0),
        )

    def add(self, name, a, b):
        return self.builder.add(name, a, b, Output(0.03, 5, "relu"))

    def lower(self, output, config=NANO):
        return lower(self.builder.finish(output), config)


def operations(layers):
    return [layer.operations for layer in layers]


def test_an_addition_joins_the_later_convolution():
    net = Net()
    net.conv("first", "input", 8)
    net.conv("second", "input", 8)
    net.add("sum", "first", "second")
    layers = net.lower("sum")
    assert operations(layers) == [("first",), ("second", "sum")]
    fused = layers[1]
    assert fused.target.tensor == "sum"
    assert fused.residual.plane.tensor == "first"
    assert fused.residual.fields["res_zero_point"] == -7
    assert fused.residual.fields["sum_zero_point"] == 5
    assert fused.fields == {"zero_point": -7, "lo": -128, "hi": 127}


def test_the_multipliers_follow_the_operands():
    net = Net((4, 4, 8))
    net.conv("y", "input", 8)
    net.builder.add("sum", "input", "y", Output(0.03, 0))
    (layer,) = net.lower("sum")
    addition = net.builder.finish("sum").find("sum")
    assert layer.residual.fields["multiplier"] == addition.multipliers[1]
    assert layer.residual.fields["res_multiplier"] == addition.multipliers[0]


@pytest.mark.parametrize("reason", ["read twice", "is the output", "same operand", "pool is later"])
def test_other_additions_are_layers_of_their_own(reason):
    net = Net()
    net.conv("first", "input", 8)
    net.conv("second", "first", 8)
    output = "sum"
    if reason == "same operand":
        net.add("sum", "second", "second")
    elif reason == "pool is later":
        net.builder.max_pool2d("pool", "first", Window((1, 1), (1, 1)))
        net.add("sum", "second", "pool")
    else:
        net.add("sum", "first", "second")
    if reason == "read twice":
        net.conv("third", "second", 8)
        net.add("output", "sum", "third")
        output = "output"
    if reason == "is the output":
        output = "second"
    layers = net.lower(output)
    (alone,) = (layer for layer in layers if layer.operations == ("sum",))
    assert isinstance(alone, Convolution)
    rows = alone.weights.shape[0]  # of one word, which is a pixel of its own
    assert alone.by_words and alone.source.words == 8 // rows > 1
    np.testing.assert_array_equal(alone.weights.reshape(rows, rows), np.eye(rows))
    assert (alone.multiplier == 1).all() and not alone.bias.any()
    assert alone.macs == 0
    assert (alone.seen.width, alone.seen.words) == (alone.source.row_words, 1)
    assert (alone.computed.width, alone.computed.words) == (alone.target.row_words, 1)


def test_few_input_channels_are_packed():
    net = Net((9, 10, 3))
    net.conv("y", "input", 8, kernel=(3, 5), stride=(2, 3), padding=Padding(1, 1, 2, 0))
    (layer,) = net.lower("y", SMALL)
    assert (layer.packing.window_bytes, layer.packing.window_step) == (15, 9)
    assert layer.packing.window_lead == 6
    assert layer.window.kernel_width == 1 and layer.window.kernel_height == 3
    assert (layer.window.row_stride, layer.window.column_stride) == (2, 1)
    assert (layer.source.width, layer.source.words) == (layer.target.width, 1)
    assert layer.weights.shape == (8, 3, 1, 15)
    assert layer.slices == 3


def joined(height=40, width=17, channels=1, kernel=(3, 5), stride=(2, 2), **changes):
    """The layer of a convolution over an image, and its network."""
    net = Net((height, width, channels))
    net.conv("y", "input", 20, kernel=kernel, stride=stride, padding=Padding(1, 1, 2, 0))
    config = dataclasses.replace(SMALL, accumulation_depth=16, depthwise_words=1, **changes)
    graph = net.builder.finish("y")
    (layer,) = lower(graph, config)
    return layer, graph


def test_a_window_with_room_serves_several_output_columns():
    """One channel: 5 bytes a column, 2 more for each further one, 16 in a word; 8 columns."""
    layer, graph = joined()
    assert (layer.target.width, layer.target.channels, layer.target.words) == (8, 20, 2)
    assert layer.packing.columns == 4  # six would fit, but do not divide eight
    assert (layer.packing.window_bytes, layer.packing.window_step) == (11, 8)
    assert layer.packing.window_lead == 2
    assert (layer.source.width, layer.source.words, layer.slices) == (2, 1, 3)
    computed = layer.computed
    assert (computed.height, computed.width) == (layer.target.height, 2)
    assert (computed.channels, computed.words) == (4 * 2 * 16, 4 * layer.target.words)
    assert computed.row_words == layer.target.row_words
    assert layer.macs == graph.macs(graph.find("y"))
    rows = layer.weights.reshape(4, 32, 3, 11)
    for column, its_rows in enumerate(rows):
        start = 2 * column
        part = its_rows[:20, :, start : start + 5]
        np.testing.assert_array_equal(part, graph.constants["y.weights"].reshape(20, 3, 5))
        assert np.count_nonzero(its_rows) == np.count_nonzero(part)
    for name in ("bias", "multiplier"):
        expected = np.pad(graph.constants[f"y.{name}"], (0, 12))
        np.testing.assert_array_equal(getattr(layer, name), np.tile(expected, 4))


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ({}, 4),
        ({"width": 15}, 1),  # seven columns
        ({"width": 19}, 3),  # nine
        ({"channels": 3}, 1),  # 15 bytes of 16
        ({"kernel": (3, 15)}, 1),
        ({"stride": (2, 4)}, 2),  # four columns; 9 bytes, and 17 would not fit
        ({"height": 7}, 2),  # 32 pixels: two full tiles
        ({"height": 4}, 1),
        ({"rows": 32, "columns": 32}, 8),
    ],
)
def test_how_many_columns_a_window_serves(change, columns):
    layer, _ = joined(**change)
    assert layer.packing.columns == columns
    assert layer.source.words == 1


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("feature_words", [128, 1024])
def test_columns_that_are_computed_together_have_the_same_values(residual, feature_words):
    """Whole and in stripes, with an addition and without, to the bit."""
    net = Net((14, 24, 2))
    window = {"kernel": (3, 3), "padding": Padding(1, 1, 1, 1)}
    net.conv("y", "input", 5, **window)
    if residual:
        net.conv("z", "input", 5, **window)
        net.add("sum", "y", "z")
    graph = net.builder.finish("sum" if residual else "y")
    config = dataclasses.replace(NANO, feature_words=feature_words)
    packed = [layer.packing.columns for layer in lower(graph, config)]
    assert packed == [2] * len(packed)
    check_program(graph, config, noise(np.random.default_rng(0), graph))


def test_many_input_channels_are_not_packed():
    net = Net((9, 10, 4))
    net.conv("y", "input", 8, kernel=(3, 3))
    (layer,) = net.lower("y")
    assert layer.packing is None
    assert layer.slices == 9


@pytest.mark.parametrize("more", [0, 1])
def test_windows_overlap_by_as_much_as_load_takes(more):
    """One byte more, and the kernel is too wide for the machine: its rows cannot be packed."""
    kernel = 1 + NANO.load_overlap_bytes + more
    net = Net((2, 2 * kernel, 1))
    net.conv("y", "input", 8, kernel=(1, kernel))
    if more:
        with pytest.raises(DnaError, match=f"y: kernel width {kernel} is too large"):
            net.lower("y")
        return
    (layer,) = net.lower("y")
    packing = layer.packing
    assert packing.window_bytes - packing.window_step == NANO.load_overlap_bytes
    graph = net.builder.finish("y")
    check_program(graph, NANO, noise(np.random.default_rng(0), graph))


def test_windows_that_overlap_too_much_are_not_packed():
    net = Net((20, 20, 3))
    net.conv("wide", "input", 8, kernel=(1, 20), padding=Padding(0, 0, 0, 5))
    with pytest.raises(DnaError, match="wide: kernel width 20 is too large"):
        net.lower("wide")


def test_fully_connected_is_a_kernel_as_large_as_the_input():
    net = Net((3, 2, 5))
    net.dense("logits", "input", 4)
    (layer,) = net.lower("logits")
    assert (layer.window.kernel_height, layer.window.kernel_width) == (3, 2)
    weights = net.builder.finish("logits").constants["logits.weights"]
    np.testing.assert_array_equal(layer.weights.reshape(4, -1), weights)


@pytest.mark.parametrize(
    ("kernel", "stride", "message"),
    [
        ((16, 1), (1, 1), "y: kernel height 16 is too large for the machine; at most 15"),
        ((1, 1), (8, 1), "y: stride 8 is too large for the machine; at most 7"),
    ],
)
def test_windows_that_the_instructions_cannot_hold(kernel, stride, message):
    net = Net((20, 20, 8))
    net.conv("y", "input", 8, kernel=kernel, stride=stride)
    with pytest.raises(DnaError, match=message):
        net.lower("y")


@pytest.mark.parametrize(
    ("shape", "kernel", "message"),
    [
        ((1, 1, 65536), (1, 1), "a pixel of input has 16384 words"),
        ((16384, 1, 1), (1, 1), "input has 16384 rows"),
        ((1, 16384, 1), (1, 1), "input has 16384 columns"),
        ((8, 8, 1024), (8, 8), "the window has 16384 words"),
    ],
)
def test_maps_that_the_instructions_cannot_count(shape, kernel, message):
    net = Net(shape)
    net.conv("y", "input", 4, kernel=kernel)
    with pytest.raises(DnaError, match=f"y: {message}, and that is too large for the machine"):
        net.lower("y")


def test_a_network_without_operations_is_refused():
    with pytest.raises(DnaError, match="no operation"):
        Net().lower("input")


def test_every_operation_has_a_lowering():
    assert set(LOWERINGS) == set(get_args(Operation))


class Sorcery(Add, frozen=True, tag="sorcery"):
    """An operation that no pass has heard of, though it is a kind of addition."""


def test_an_operation_without_a_lowering_is_refused():
    net = Net((2, 2, 8))
    net.add("sum", "input", "input")
    graph = net.builder.finish("sum")
    known = {field: getattr(graph.operations[0], field) for field in Add.__struct_fields__}
    graph.operations[0] = Sorcery(**known)
    with pytest.raises(DnaError, match="sum: the compiler has no lowering for Sorcery"):
        lower(graph, NANO)
