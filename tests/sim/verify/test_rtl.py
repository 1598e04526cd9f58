import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Engine, Opcode, read_program
from hw.status import Activity
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.graph_builder import GraphBuilder, Output
from tests.support.graphs import random_image, random_small_graph
from tests.support.programs import noise, random_network

NANO = PRESETS["nano"]
RANDOM_CASES = 8
TIMINGS = 20


def case(seed):
    """A random network, its program, an image and the right tensors."""
    rng = np.random.default_rng(seed)
    graph = random_network(rng)
    image = noise(rng, graph)
    return compile_graph(graph, NANO), image, ReferenceModel(graph).run_all(image)


def machine_for(program, **options):
    return open_simulator(NANO, size=program.memory.size, record_writes=True, **options)


@pytest.mark.parametrize("seed", range(RANDOM_CASES))
def test_random_networks_have_no_mismatch_and_every_cycle_is_accounted_for(seed):
    program, image, expected = case(seed)
    with machine_for(program) as machine:
        result = verify_program(machine, program, image, expected)
        per_layer = machine.layer_activity()
    assert [layer.name for layer in result.layers] == [table.name for table in program.layers]
    assert result.values == sum(np.prod(table.shape) for table in program.layers) > 0
    assert result.mismatches == 0
    assert set(result.activity) == {engine.name for engine in Engine}
    for engine in Engine:
        counts = result.activity[engine.name]
        assert sum(counts.values()) == result.cycles
        for activity in Activity:
            assert per_layer[engine, :, activity].sum() == counts[activity.name]
    ends = np.cumsum([layer.cycles for layer in result.layers])
    assert 0 < ends[-1] <= result.cycles + 100


@pytest.mark.parametrize("seed", range(TIMINGS))
def test_memory_timing_changes_cycles_and_no_bits(seed):
    program, image, expected = case(3)
    rng = np.random.default_rng(seed)
    memory = MemoryModel(
        latency=int(rng.integers(1, 200)),
        bandwidth=float(rng.choice([0.25, 0.5, 1.0])),
        reorder=bool(seed % 2),
        stalls=Stalls(float(rng.choice([0.0, 0.2, 0.5])), seed),
    )
    with machine_for(program, memory=memory) as machine:
        assert verify_program(machine, program, image, expected).mismatches == 0


def test_feature_maps_in_dram():
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng, (96, 96, 3))
    program, image = compile_graph(graph, NANO), random_image(rng, graph)
    assert program.memory.spill.length > 0
    with machine_for(program) as machine:
        result = verify_program(machine, program, image, ReferenceModel(graph).run_all(image))
    assert result.values > 0 and result.mismatches == 0


def test_a_mean_that_takes_several_instructions():
    builder = GraphBuilder("input", (3, 2, 2 * NANO.rows + 1), 1.0, 3)
    builder.mean("mean", "input", Output(0.7, -5))
    graph = builder.finish("mean")
    program, image = compile_graph(graph, NANO), noise(np.random.default_rng(0), graph)
    means = [op for op in read_program(program.code) if op.opcode is Opcode.MEAN]
    assert len(means) > len(program.layers[0].stripes) == 1
    with machine_for(program) as machine:
        result = verify_program(machine, program, image, ReferenceModel(graph).run_all(image))
    assert (result.values, result.mismatches) == (2 * NANO.rows + 1, 0)


def test_images_back_to_back_without_a_reset():
    program, image, expected = case(4)
    rng = np.random.default_rng(0)
    with machine_for(program) as machine:
        driver = Driver(machine, program)
        first = driver.run(image)
        cycles = driver.cycles
        driver.run(rng.integers(-128, 128, image.shape, np.int8))
        assert np.array_equal(driver.run(image), first)
        assert driver.cycles == cycles
    output = expected[program.memory.output.tensor]
    assert np.array_equal(first.reshape(-1), output.reshape(-1))


def test_a_wrong_value_is_named_with_its_instruction():
    program, image, expected = case(5)
    table = program.layers[-1]
    wrong = dict(expected)
    wrong[table.output] = expected[table.output].copy()
    wrong[table.output].reshape(-1)[-1] ^= 64
    with machine_for(program) as machine:
        result = verify_program(machine, program, image, wrong)
    assert [layer.mismatches for layer in result.layers] == [0] * (len(result.layers) - 1) + [1]
    first = result.layers[-1].first
    height, width, channels = table.shape
    assert first.where == (height - 1, width - 1, channels - 1)
    assert first.got == first.expected ^ 64
    assert f"layer={table.number}" in first.instruction[1] or table.number == 0
    assert first.cycle > 0
    assert result.logits == (1 if table.output == program.memory.output.tensor else 0)
