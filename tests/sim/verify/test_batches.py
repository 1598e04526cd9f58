"""Programs of several images in RTL: every value, every cycle, a batch that is not full."""

import numpy as np
import pytest

from hw.config import PRESETS
from sim.cycles import predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sim.verify.interpreter import interpret_program
from sim.verify.outputs import together
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.support.batches import batch
from tests.support.graphs import random_resnet50, random_small_graph
from tests.support.programs import random_network

NANO = PRESETS["nano"]
HARD = MemoryModel(latency=23, bandwidth=0.4, reorder=True, stalls=Stalls(0.3, 5))


def verified(graph, rng, images, memory):
    """The program of ``images`` in RTL, its result, and what the cycle model says of it."""
    program = compile_graph(graph, NANO, images=images)
    pixels, expected = batch(rng, graph, images)
    with open_simulator(
        NANO, size=program.memory.size, record_writes=True, memory=memory
    ) as machine:
        result = verify_program(machine, program, pixels, expected)
        counters = machine.counters()
    prediction = predict(program, memory)
    assert result.cycles == prediction.cycles
    assert counters == prediction.counters
    return program, result


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    graph = random_network(rng)
    memory = HARD if seed % 2 else MemoryModel()
    program, result = verified(graph, rng, 2 + seed % 3, memory)
    assert result.values == sum(np.prod(table.shape) for table in program.layers) > 0
    assert result.mismatches == 0


def test_a_whole_network_of_two_images():
    """ResNet50 v1.5 on two photographs of 32 x 32."""
    rng = np.random.default_rng(3)
    graph = random_resnet50(rng, size=32, stride_in_3x3=True)
    program, result = verified(graph, rng, 2, MemoryModel())
    assert result.mismatches == 0
    assert result.values == sum(np.prod(table.shape) for table in program.layers)
    assert result.macs == 2 * sum(graph.macs(operation) for operation in graph.operations)
    one = predict(compile_graph(graph, NANO)).cycles
    assert result.cycles < 2 * one


def test_a_batch_that_is_not_full():
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng, (9, 8, 3))
    program = compile_graph(graph, NANO, images=3)
    pixels, expected = batch(rng, graph, 3)
    right = expected[graph.output].reshape(3, -1)
    with open_simulator(NANO, size=program.memory.size) as machine:
        driver = Driver(machine, program)
        for count in (3, 1, 2, 3):
            output = driver.run(pixels[:count])
            np.testing.assert_array_equal(output.reshape(count, -1), right[:count])
        with pytest.raises(DnaError, match="takes int8"):
            driver.run(np.concatenate([pixels, pixels[:1]]))


def test_an_image_in_the_place_of_another_is_noticed():
    rng = np.random.default_rng(2)
    graph = random_small_graph(rng, (9, 8, 3))
    program = compile_graph(graph, NANO, images=2)
    pixels, expected = batch(rng, graph, 2)
    assert interpret_program(program, pixels, expected).mismatches == 0
    turned = interpret_program(program, pixels[::-1], expected)
    assert turned.mismatches > turned.values // 2
    first = turned.layers[0].first
    assert first is not None


def test_a_single_image_stays_as_it_is():
    rng = np.random.default_rng(2)
    graph = random_small_graph(rng, (9, 8, 3))
    run = ReferenceModel(graph).run_all(batch(rng, graph, 1)[0][0])
    assert together([run]) is run
    assert together([run, run])[graph.output].shape == (2, *run[graph.output].shape)
