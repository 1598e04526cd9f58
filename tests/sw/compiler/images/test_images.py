"""Programs of several images against the reference: whole networks on many machines."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sw.compiler import MOST_IMAGES, compile_graph
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.batches import check_batch
from tests.support.graphs import random_resnet50, random_small_graph
from tests.support.programs import least_feature_words, random_config, random_network
from tests.sweeps.machines import MACHINES

RANDOM = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
NANO = PRESETS["nano"]


@RANDOM
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks_on_random_machines(seed):
    rng = np.random.default_rng(seed)
    graph, config = random_network(rng), random_config(rng)
    if least_feature_words(graph, config) is None:
        check_batch(rng, graph, config, int(rng.integers(2, 6)), (None, seed))


@RANDOM
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=2876)  # the last layer and one of each image read the same single pixel
def test_memory_for_one_image_is_enough(seed):
    """Feature maps spill, of each image to a place of its own; at worst images do not overlap."""
    rng = np.random.default_rng(seed)
    graph, config = random_network(rng), random_config(rng, feature_words=16)
    least = least_feature_words(graph, config)
    if least is not None:
        words = least << int(rng.integers(0, 3))
        config = dataclasses.replace(config, feature_words=words)
    check_batch(rng, graph, config, int(rng.integers(2, 6)), (None, seed))


def test_a_sum_of_all_images_is_not_where_the_operand_of_one_is():
    """Found by the fuzzer (seed 81, case 908): the other image's operand lay where the sum went."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("input", (1, 1, 1), 1.0, 3)
    padding = Padding(1, 1, 1, 1)
    operand = builder.conv2d("operand", "input", spread(rng, 12, 1), Output(1.0, -120))
    window = Window((3, 3), (1, 1), padding)
    other = builder.conv2d("other", "input", spread(rng, 12, 3), Output(1.0, -3), window)
    total = builder.add("total", other, operand, Output(2.0, 44))
    weights = spread(rng, 4, 1, 12)
    flat = Weights(weights.values.reshape(4, 12), weights.bias, weights.scale)
    graph = builder.finish(builder.fully_connected("logits", total, flat, Output(1.0, 0)))
    check_batch(rng, graph, MACHINES["2x8x8"], 2, (None, 1))


def spread(rng, channels, kernel, depth=1):
    values = rng.integers(-127, 128, (channels, kernel, kernel, depth)).astype(np.int8)
    return Weights(values, np.zeros(channels, np.int32), np.full(channels, 0.01, np.float32))


@pytest.mark.parametrize("name", ["nano", "micro", "f200"])
def test_presets(name):
    rng = np.random.default_rng(4)
    check_batch(rng, random_small_graph(rng, (33, 30, 3)), PRESETS[name], 3, (None, 1))


def test_spilling_resnet50_on_nano():
    rng = np.random.default_rng(7)
    graph = random_resnet50(rng, 64, classes=100, stride_in_3x3=True)
    program = check_batch(rng, graph, NANO, 2)
    assert program.memory.spill.length > 0


@pytest.mark.parametrize("images", [2, 5])
def test_what_is_the_same_as_in_the_program_of_one_image(images):
    graph = random_small_graph(np.random.default_rng(2))
    one, several = (compile_graph(graph, NANO, images=count) for count in (1, images))
    assert several.images == images
    assert several.weights == one.weights
    assert several.memory.weights == one.memory.weights
    for table, single in zip(several.layers, one.layers, strict=True):
        height, *rest = single.shape
        assert table.shape == (images * height, *rest)
        assert table.macs == images * single.macs
        assert (table.number, table.operations) == (single.number, single.operations)
    assert compile_graph(graph, NANO, images=images) == several


def test_the_weights_of_a_classifier_are_streamed_once():
    graph = random_small_graph(np.random.default_rng(2))
    one, several = (compile_graph(graph, NANO, images=count).layers for count in (1, 4))
    assert several[-1].weight_bytes == one[-1].weight_bytes
    assert several[0].weight_bytes == 4 * one[0].weight_bytes
    program = read_program(compile_graph(graph, NANO, images=4).code)
    classifier = [op for op in program if op["layer"] == several[-1].number]
    assert [op["in_height"] for op in classifier if op.opcode is Opcode.CONV] == [4]


@pytest.mark.parametrize("images", [-1, 0, MOST_IMAGES + 1])
def test_numbers_of_images_that_no_program_computes(images):
    graph = random_small_graph(np.random.default_rng(2))
    with pytest.raises(DnaError, match=f"1 to {MOST_IMAGES} images, not {images}"):
        compile_graph(graph, NANO, images=images)
