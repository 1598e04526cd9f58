"""Depthwise convolution, average-pool and identity: reference, kernels and LiteRT."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import reference
from sim.functional import flatbuffer
from sim.functional.kernels import Kernels
from sim.reference import ReferenceModel
from sw import numerics
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.sim.functional.test_model import ENGINES, EVERY_ISA, agree, extremes

few = settings(max_examples=30, deadline=None)


@pytest.mark.parametrize("engine", ENGINES)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(4, 14), st.integers(4, 14)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    sides=st.tuples(*[st.integers(0, 2)] * 4),
    channels=st.tuples(st.integers(1, 40), st.integers(1, 3)),
    zero_points=st.tuples(*[st.sampled_from([-128, -3, 0, 127])] * 2),
    activation=st.sampled_from(["none", "relu", "relu6"]),
)
@few
def test_depthwise_convolution(
    engine, seed, size, kernel, stride, sides, channels, zero_points, activation
):
    rng = np.random.default_rng(seed)
    outputs = channels[0] * channels[1]
    net = GraphBuilder("x", (*size, channels[0]), 0.03, zero_points[0])
    net.depthwise_conv2d(
        "y",
        "x",
        Weights(
            extremes(rng, (outputs, *kernel)),
            rng.integers(-(2**15), 2**15, outputs, dtype=np.int32),
            rng.uniform(0.01, 0.02, outputs).astype(np.float32),
        ),
        Output(0.05, zero_points[1], activation),
        Window(kernel, (stride, stride), Padding(*sides)),
    )
    agree(engine, net.finish("y"), extremes(rng, (*size, channels[0])))


@pytest.mark.parametrize("isa", EVERY_ISA)
@pytest.mark.parametrize("channels", [16, 64, 84, 100])
@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("threads", "zero_point"), [(1, -100), (2, -128)])
def test_wide_depthwise_convolution(isa, channels, kernel, stride, threads, zero_point):
    """Rows by twos with one left over, in pieces, of whole blocks of channels and of halves."""
    rng = np.random.default_rng(channels)
    net = GraphBuilder("x", (13, 61, channels), 0.03, -7)
    weights = Weights(
        extremes(rng, (channels, kernel, kernel)),
        rng.integers(-(2**15), 2**15, channels, dtype=np.int32),
        rng.uniform(0.01, 0.02, channels).astype(np.float32),
    )
    window = Window((kernel, kernel), (stride, stride), Padding(1, 1, 1, 1))
    net.depthwise_conv2d("y", "x", weights, Output(0.05, zero_point, "relu6"), window)
    graph, x = net.finish("y"), extremes(rng, (13, 61, channels))
    got = Kernels(graph, isa, threads).run(x)[0]
    np.testing.assert_array_equal(got, ReferenceModel(graph).run(x[None])[0])


def test_depthwise_accumulators_are_those_of_the_dense_convolution():
    rng = np.random.default_rng(0)
    net = GraphBuilder("x", (6, 5, 4), 0.03, -9)
    net.depthwise_conv2d(
        "y",
        "x",
        Weights(
            extremes(rng, (12, 3, 2)),
            rng.integers(-(2**31), 2**31, 12).astype(np.int32),
            np.full(12, 0.01, np.float32),
        ),
        Output(0.05, 0),
        Window((3, 2), padding=Padding(1, 0, 0, 1)),
    )
    graph = net.finish("y")
    operation = graph.operations[0]
    x = extremes(rng, (6, 5, 4))
    dense = reference.convolution_accumulators(
        x,
        graph.dense_weights(operation),
        graph.constant(operation, "bias"),
        -9,
        operation.stride,
        operation.padding,
    )
    np.testing.assert_array_equal(reference.accumulators(graph, operation, x), dense)
    assert graph.macs(operation) == 5 * 5 * 12 * 6


def same(size, kernel, stride):
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("engine", ENGINES)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    zero_point=st.sampled_from([-128, -3, 0, 127]),
)
@few
def test_average_pool(engine, seed, size, kernel, stride, zero_point):
    rng = np.random.default_rng(seed)
    (top, bottom), (left, right) = (same(*axis) for axis in zip(size, kernel, stride, strict=True))
    net = GraphBuilder("x", (*size, 5), 0.25, zero_point)
    padding = Padding(top, bottom, left, right)
    net.average_pool2d("y", "x", Window(kernel, stride, padding))
    graph = net.finish("y")
    agree(engine, graph, extremes(rng, (*size, 5)), rng.integers(-3, 4, (*size, 5)).astype("i1"))


def test_average_pool_rounds_halves_away_from_zero():
    x = np.array([[[1], [2]], [[-1], [-2]]], np.int8)
    pooled = reference.average_pool2d(x, (1, 2), (1, 1), Padding())
    assert pooled.ravel().tolist() == [2, -2]


@pytest.mark.parametrize("elements", [1, 2, 3, 7, 49, 64, 125, 1764, 4096, 8190, 8191])
def test_the_multiplier_of_an_average_gives_every_sum(elements):
    sums = np.arange(-128 * elements, 127 * elements + 1)
    exact = np.sign(sums) * ((2 * np.abs(sums) + elements) // (2 * elements))
    multiplier = numerics.average_multiplier(elements, "y")
    assert multiplier.dtype == np.float32
    np.testing.assert_array_equal(np.rint(sums.astype(np.float32) * multiplier), exact)


def test_more_elements_than_an_average_can_have():
    with pytest.raises(DnaError, match="y: an average over 8192 values"):
        numerics.average_multiplier(8192, "y")


@pytest.mark.parametrize("engine", ENGINES)
def test_identity_pads_and_clamps(engine):
    rng = np.random.default_rng(1)
    net = GraphBuilder("x", (5, 4, 3), 0.1, -20)
    net.identity("y", "x", padding=Padding(1, 2, 0, 3), activation="relu6")
    graph = net.finish("y")
    x = extremes(rng, (5, 4, 3))
    agree(engine, graph, x)
    got = reference.run_operation(graph, graph.operations[0], [x])
    assert (got[0] == -20).all()
    np.testing.assert_array_equal(got[1:6, :4], np.clip(x, -20, 40))


@pytest.mark.parametrize("engine", ENGINES)
def test_mean_that_keeps_its_dimensions(engine):
    rng = np.random.default_rng(1)
    net = GraphBuilder("x", (5, 4, 3), 0.1, -20)
    net.mean("y", "x", Output(0.05, 4), keep_dims=True)
    graph = net.finish("y")
    assert graph.tensors["y"].shape == (1, 1, 3)
    agree(engine, graph, extremes(rng, (5, 4, 3)))


def test_average_pools_that_tflite_cannot_pad():
    net = GraphBuilder("x", (5, 5, 3), 0.1, 0)
    net.average_pool2d("y", "x", Window((2, 2), (2, 2), Padding(1, 0, 1, 0)))
    with pytest.raises(DnaError, match="cannot pad an average-pool"):
        flatbuffer.emit(net.finish("y"))


@pytest.mark.parametrize("padding", [Padding(2, 0, 0, 0), Padding(0, 0, 0, 3)])
def test_windows_without_any_input_are_refused(padding):
    net = GraphBuilder("x", (5, 5, 3), 0.1, 0)
    with pytest.raises(DnaError, match="a window without any input"):
        net.average_pool2d("y", "x", Window((2, 2), (1, 1), padding))


def test_depthwise_weights_must_fit_the_channels():
    net = GraphBuilder("x", (5, 5, 4), 0.1, 0)
    with pytest.raises(DnaError, match=r"y: weights \[6, 1, 1\] do not fit 4 input channels"):
        net.depthwise_conv2d(
            "y",
            "x",
            Weights(np.ones((6, 1, 1), np.int8), np.zeros(6, np.int32), np.ones(6, np.float32)),
            Output(1.0, 0),
        )
