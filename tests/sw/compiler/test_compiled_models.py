"""Programs of operators that ResNet50 has not, against the reference, with all and with no room."""

import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sw.compiler import compile_graph
from sw.compiler.layers import AveragePool, Convolution, MeanPool
from sw.compiler.lowering import lower
from sw.frontends.tflite import import_model, read
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.programs import check_program, least_feature_words, noise
from tests.support.tflite_random import random_model

NANO = PRESETS["nano"]
ROOMS = [4096, 64, 16]


def builder(shape):
    return GraphBuilder("x", shape, 0.05, -3)


def ramp(*shape):
    return (np.arange(np.prod(shape)) * 37 % 251 - 125).astype(np.int8).reshape(shape)


OUT = Output(0.1, 7)


def weighted(weights):
    channels = len(weights)
    bias = (np.arange(channels, dtype=np.int32) - 3) * 50
    return Weights(weights, bias, np.linspace(0.001, 0.002, channels, dtype=np.float32))


def check(graph, room):
    """Compile with ``room`` feature words, or the least that do, and run in three orders."""
    config = dataclasses.replace(NANO, feature_words=room)
    least = least_feature_words(graph, config)
    if least is not None:
        config = dataclasses.replace(config, feature_words=least)
    return check_program(graph, config, noise(np.random.default_rng(1), graph), (None, 1, 2))


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("seed", range(6))
def test_random_models(seed, room):
    graph = import_model(read(random_model(np.random.default_rng(seed)), "model")).graph
    check(graph, room)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("times", [1, 3])
def test_depthwise_convolution(times, room):
    net = builder((9, 7, 6))
    net.depthwise_conv2d(
        "y", "x", weighted(ramp(6 * times, 3, 2)), OUT, Window((3, 2), (2, 1), Padding(1, 1, 1, 0))
    )
    check(net.finish("y"), room)


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((2, 2), (2, 2), Padding()),
        ((3, 2), (1, 2), Padding(1, 1, 0, 1)),
        ((5, 7), (2, 1), Padding(2, 2, 3, 3)),
    ],
)
def test_average_pool_is_a_mean_for_each_window(kernel, stride, padding, room):
    net = builder((9, 8, 6))
    net.average_pool2d("y", "x", Window(kernel, stride, padding))
    graph = net.finish("y")
    program = check(graph, room)
    height, width, _ = graph.tensors["y"].shape
    opcodes = [op.opcode for op in read_program(program.code)]
    assert opcodes.count(Opcode.MEAN) == height * width
    assert isinstance(lower(graph, NANO)[0], AveragePool)


@pytest.mark.parametrize("room", ROOMS)
def test_average_of_the_whole_map_is_one_mean(room):
    net = builder((5, 6, 9))
    net.average_pool2d("y", "x", Window((7, 6), (2, 2), Padding(1, 1, 0, 0)))
    graph = net.finish("y")
    assert isinstance(lower(graph, NANO)[0], MeanPool)
    check(graph, room)


@pytest.mark.parametrize("room", ROOMS)
def test_max_pool_with_two_strides_goes_row_by_row(room):
    net = builder((11, 9, 6))
    net.max_pool2d("y", "x", Window((3, 2), (3, 1), Padding(1, 0, 0, 1)))
    graph = net.finish("y")
    program = check(graph, room)
    opcodes = [op.opcode for op in read_program(program.code)]
    assert opcodes.count(Opcode.MAX_POOL) == graph.tensors["y"].shape[0]


@pytest.mark.parametrize("room", [4096, 256])
@pytest.mark.parametrize("other_reader", [False, True])
def test_a_large_map_is_read_as_one_flat_pixel(other_reader, room):
    net = builder((20, 17, 5))
    net.conv2d("a", "x", weighted(ramp(3, 2, 2, 5)), OUT, Window((2, 2), (1, 2)))
    if other_reader:  # whose kernel would like gaps between the rows
        net.conv2d(
            "b", "a", weighted(ramp(3, 3, 3, 3)), OUT, Window((3, 3), padding=Padding(1, 1, 1, 1))
        )
        net.add("c", "a", "b", Output(0.2, 1))
    net.fully_connected("y", "c" if other_reader else "a", weighted(ramp(7, 19 * 8 * 3)), OUT)
    graph = net.finish("y")
    last = lower(graph, NANO)[-1]
    assert isinstance(last, Convolution)
    assert last.stored is not None
    check(graph, room)


def test_more_stores_than_a_counter_holds_before_the_first_load():
    """Every row of the first map goes to DRAM before the next layer loads one."""
    net = builder((60, 8, 4))
    net.max_pool2d("a", "x", Window((1, 1), (1, 1)))
    net.max_pool2d("b", "a", Window((2, 2), (2, 2)))
    check(net.finish("b"), 16)
    assert compile_graph(net.finish("b"), NANO).code
