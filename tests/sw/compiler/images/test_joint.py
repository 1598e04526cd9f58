import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.images.joint import joined, joint_from
from sw.compiler.lowering import lower
from sw.graph_builder import GraphBuilder, Output, Weights
from tests.support.batches import check_batch
from tests.support.graphs import random_small_graph

NANO = PRESETS["nano"]


def weights(rng, out, *shape):
    return Weights(
        rng.integers(-128, 128, (out, *shape)).astype(np.int8),
        rng.integers(-99, 99, out).astype(np.int32),
        np.full(out, 0.01, np.float32),
    )


def perceptron(rng, widths=(19, 11, 7)):
    """A network of nothing but single pixels, the sum of two of them among these."""
    builder = GraphBuilder("input", (widths[0],), 1.0, 3)
    x = "input"
    for number, (into, out) in enumerate(itertools.pairwise(widths)):
        x = builder.fully_connected(f"fc{number}", x, weights(rng, out, into), Output(1.0, 0))
    other = builder.fully_connected("side", x, weights(rng, 7, 7), Output(1.0, -2))
    return builder.finish(builder.add("sum", other, x, Output(2.0, 1)))


def test_the_classifier_behind_a_mean():
    layers = lower(random_small_graph(np.random.default_rng(2)), NANO)
    assert joint_from(layers) == len(layers) - 1
    layer = joined(layers[-1], 3)
    assert (layer.source.height, layer.source.width) == (3, 1)
    assert (layer.target.height, layer.target.width) == (3, 1)
    assert layer.macs == 3 * layers[-1].macs
    assert layer.weights is layers[-1].weights


def test_a_whole_network_of_single_pixels():
    rng = np.random.default_rng(5)
    graph = perceptron(rng)
    layers = lower(graph, NANO)
    assert joint_from(layers) == 0
    (*_, last) = (joined(layer, 4) for layer in layers)
    assert last.residual is not None and last.residual.plane.height == 4


@pytest.mark.parametrize("images", [2, 3, 17])
def test_its_program_runs_every_layer_once(images):
    rng = np.random.default_rng(images)
    program = check_batch(rng, perceptron(rng), NANO, images, (None, 3))
    if images < NANO.accumulation_depth:
        assert all(len(table.stripes) == 1 for table in program.layers)


def test_a_kernel_of_the_whole_map_is_each_images_own():
    rng = np.random.default_rng(3)
    builder = GraphBuilder("input", (3, 2, 5), 1.0, 3)
    graph = builder.finish(
        builder.fully_connected("fc", "input", weights(rng, 6, 30), Output(1.0, 0))
    )
    assert joint_from(lower(graph, NANO)) == 1
    check_batch(rng, graph, NANO, 3)
