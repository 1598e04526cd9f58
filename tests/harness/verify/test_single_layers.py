"""Layers alone on the whole machine; the whole network is right if each of them is."""

import dataclasses
import functools

import numpy as np
import pytest

from harness.verify.single_layers import run_layer, tasks_of
from hw.config import PRESETS
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Window
from tests.support.graphs import random_image, random_small_graph

NANO = PRESETS["nano"]
CALM = MemoryModel(latency=3)


@functools.cache
def network(seed=4):
    rng = np.random.default_rng(seed)
    graph = random_small_graph(rng)
    return graph, ReferenceModel(graph).run_all(random_image(rng, graph))


def tasks(pattern="*", of=network, **options):
    graph, tensors = of()
    machine = {"config": NANO, "simulator": "cxxrtl", "memory": CALM, **options}
    return tasks_of(graph, tensors, pattern, **machine)


def test_every_layer_of_a_network():
    names = []
    for task in tasks():
        run = run_layer(task)
        assert run.passed and run.first is None, run
        assert run.values == np.prod(run.shape)
        assert run.cycles > 0 and run.macs == task.macs
        names.append(run.name)
    graph, _ = network()
    assert [name for joined in names for name in joined.split("+")] == [
        operation.name for operation in graph.operations
    ]
    assert sum("+" in name for name in names) == 3  # an addition takes two operands


def lone_addition():
    """An addition that joins no convolution: both its operands come from outside."""
    builder = GraphBuilder("x", (5, 3, 6), 0.5, 3)
    builder.max_pool2d("a", "x", Window((2, 2), (1, 1)))
    builder.max_pool2d("b", "x", Window((2, 2), (1, 1)))
    builder.add("sum", "a", "b", Output(0.7, -9))
    builder.add("twice", "sum", "sum", Output(1.1, 4))
    graph = builder.finish("twice")
    image = np.random.default_rng(0).integers(-128, 128, (5, 3, 6), np.int8)
    return graph, ReferenceModel(graph).run_all(image)


@pytest.mark.parametrize("name", ["sum", "twice"])
def test_additions_alone(name):
    (task,) = tasks(name, lone_addition)
    assert task.part.sources == (["a", "b"] if name == "sum" else ["sum"])
    assert run_layer(task).passed


@pytest.mark.parametrize("pattern", ["block1.add", "block1.conv3", "block1.conv3+block1.add"])
def test_a_layer_is_found_by_any_of_its_operations(pattern):
    (task,) = tasks(pattern)
    assert str(task) == task.name == "block1.conv3+block1.add"


def test_a_wrong_expected_value_is_found():
    (task,) = tasks("block1.conv2")
    tensors = dict(task.tensors)
    tensors["block1.conv2"] = tensors["block1.conv2"].copy()
    tensors["block1.conv2"][2, 1, 3] ^= 1
    run = run_layer(dataclasses.replace(task, tensors=tensors))
    assert not run.passed
    # In the feature memory and in the memory outside; and the reference disagrees as well.
    assert (run.mismatches, run.reference_mismatches) == (2, 1)
    assert run.first is not None and run.first.where == (2, 1, 3)
    assert run.first.expected == run.first.got ^ 1
    assert run.first.instruction[1].startswith("post")


def test_a_wrong_operand_is_found():
    (task,) = tasks("block2.add")
    tensors = dict(task.tensors)
    operand = task.part.sources[1]
    tensors[operand] = tensors[operand] ^ 64
    assert run_layer(dataclasses.replace(task, tensors=tensors)).mismatches > 0


def test_a_machine_that_stops_is_told_and_fails():
    (task,) = tasks("logits", memory=MemoryModel(errors=(range(4096),)))
    run = run_layer(task)
    assert not run.passed and run.values == 0
    assert run.error is not None and "BUS_READ" in run.error


def test_a_driver_that_is_not_given_the_other_operand():
    (task,) = tasks("block1.add")
    program = compile_graph(task.part, NANO)
    with open_simulator(NANO, size=program.memory.size) as machine:
        driver = Driver(machine, program)
        with pytest.raises(DnaError, match=r"takes block1\.shortcut too"):
            driver.run(task.tensors[task.part.input])


def test_nothing_matches():
    with pytest.raises(DnaError, match=r"no layer matches 'blok1\.conv2'.*block1\.conv2"):
        tasks("blok1.conv2")
