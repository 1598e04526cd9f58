"""Compiled programs against the reference: whole networks on many machines."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw.config import PRESETS
from hw.isa import TOKEN_LIMIT, Engine, assemble, disassemble, read_program
from sw.compiler import compile_graph
from tests.support.graphs import random_image, random_resnet50, random_small_graph
from tests.support.programs import (
    check_program,
    least_feature_words,
    noise,
    random_config,
    random_network,
)

RANDOM = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@RANDOM
@given(seed=st.integers(0, 2**32 - 1))
def test_random_networks_on_random_machines(seed):
    rng = np.random.default_rng(seed)
    graph, config = random_network(rng), random_config(rng)
    if least_feature_words(graph, config) is None:
        check_program(graph, config, noise(rng, graph), (None, seed))


@RANDOM
@given(seed=st.integers(0, 2**32 - 1))
def test_the_least_memory_that_a_refusal_names_is_enough(seed):
    """Everything that is larger than a row or two spills."""
    rng = np.random.default_rng(seed)
    graph, config = random_network(rng), random_config(rng, feature_words=16)
    least = least_feature_words(graph, config)
    if least is not None:
        config = dataclasses.replace(config, feature_words=least)
    check_program(graph, config, noise(rng, graph), (None, seed))


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset(name):
    rng = np.random.default_rng(4)
    graph = random_small_graph(rng, (33, 30, 3))
    program = check_program(graph, PRESETS[name], random_image(rng, graph), (None, 1))
    (fused,) = (la for la in program.layers if "block2.conv3" in la.operations)
    assert fused.operations == ["block2.conv3", "block2.add"]
    assert sum(la.macs for la in program.layers) == sum(map(graph.macs, graph.operations))


def test_resnet50_on_nano_spills_and_is_exact():
    rng = np.random.default_rng(7)
    graph = random_resnet50(rng, 64, classes=100, stride_in_3x3=True)
    program = check_program(graph, PRESETS["nano"], random_image(rng, graph))
    assert program.memory.spill.length > 0
    assert max(len(layer.stripes) for layer in program.layers) > 8


def test_resnet50_on_micro_is_exact():
    rng = np.random.default_rng(8)
    graph = random_resnet50(rng, 224)
    program = check_program(graph, PRESETS["micro"], random_image(rng, graph))
    assert program.memory.spill.length == 0


def test_same_input_same_bytes():
    graph = random_small_graph(np.random.default_rng(2))
    first, second = (compile_graph(graph, PRESETS["micro"]) for _ in range(2))
    assert first == second


def test_the_text_of_a_program_is_the_program():
    program = read_program(
        compile_graph(random_small_graph(np.random.default_rng(2)), PRESETS["nano"]).code
    )
    assert list(assemble(disassemble(program))) == program


@pytest.mark.parametrize("seed", range(10))
def test_every_token_is_taken(seed):
    rng = np.random.default_rng(seed)
    program = read_program(
        compile_graph(random_network(rng), random_config(rng, feature_words=8192)).code
    )
    counters = np.zeros((len(Engine), len(Engine)), int)
    for op in program:
        for other in Engine:
            counters[other, op.engine] -= op["wait"] >> other & 1
            assert counters[other, op.engine] >= 0
            counters[op.engine, other] += op["signal"] >> other & 1
        assert counters.max() <= TOKEN_LIMIT
    assert not counters.any()


def test_regions_are_aligned_and_apart():
    graph = random_resnet50(np.random.default_rng(0), 64)
    memory = compile_graph(graph, PRESETS["nano"]).memory
    regions = [
        memory.program,
        memory.weights,
        memory.input.region,
        memory.output.region,
        memory.spill,
    ]
    assert all(region.offset % 4096 == 0 for region in regions)
    ordered = sorted(regions, key=lambda region: region.offset)
    for first, second in itertools.pairwise(ordered):
        assert first.end <= second.offset
    assert ordered[-1].end <= memory.size
    assert memory.writable.offset <= memory.output.offset
    assert memory.writable.end >= memory.spill.end
    assert memory.writable.end <= memory.program.offset


def test_a_part_of_a_network_has_its_other_operand_in_memory():
    graph = random_small_graph(np.random.default_rng(4))
    program = compile_graph(graph.part(["block2.conv3", "block2.add"]), PRESETS["nano"])
    memory, (layer,) = program.memory, program.layers
    assert layer.operations == ["block2.conv3", "block2.add"]
    (operand,) = memory.operands
    assert (memory.input.tensor, operand.tensor) == ("block2.conv2", "block1.add")
    assert (operand.height, operand.width, operand.channels) == layer.shape
    assert memory.input.region.end <= operand.offset
    assert operand.region.end <= memory.writable.offset
    assert compile_graph(graph, PRESETS["nano"]).memory.operands == ()
