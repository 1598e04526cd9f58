"""The cycle model against the RTL: every cycle of every engine, on random programs and memories."""

import dataclasses

import msgspec
import numpy as np
import pytest

from hw import isa
from hw.config import PRESETS
from hw.isa import Engine, Opcode
from hw.microarchitecture import FEATURE_READ_LATENCY
from hw.status import Activity
from sim.cycles import FIRST_CYCLE, layer_times, predict
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.graphs import random_image, random_resnet50
from tests.support.programs import noise, random_network
from tests.sweeps.cycles_sweep import Sweep, compare
from tests.sweeps.machines import MACHINES

NANO = PRESETS["nano"]
HARD = MemoryModel(latency=23, bandwidth=0.4, reorder=True, stalls=Stalls(0.3, 5))
CASES = 40


def toy(channels=9):
    """Convolutions, a depthwise one, an addition, a pool, a mean: an instruction of every kind."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("input", (6, 5, 3), 1.0, 3)

    window = Window((3, 3), padding=Padding(1, 1, 1, 1))

    def weights(*shape):
        return Weights(
            rng.integers(-128, 128, shape).astype(np.int8),
            rng.integers(-99, 99, shape[0]).astype(np.int32),
            np.full(shape[0], 0.01, np.float32),
        )

    def conv(name, x, out):
        source = builder.tensor(x).shape[2]
        return builder.conv2d(name, x, weights(out, 3, 3, source), Output(1.0, 0), window)

    first = conv("first", "input", channels)
    each = builder.depthwise_conv2d("each", first, weights(channels, 3, 3), Output(1.0, 0), window)
    second = conv("second", each, channels)
    total = builder.add("sum", second, first, Output(2.0, 0))
    pool = builder.max_pool2d("pool", total, Window((2, 2), (2, 2)))
    graph = builder.finish(builder.mean("mean", pool, Output(1.0, 0)))
    return graph, noise(rng, graph)


def test_random_cases_are_exact():
    sweep = Sweep(seed=21)
    found = [comparison for *_, comparison in sweep.run(range(CASES), [NANO]) if comparison]
    assert len(found) > CASES // 2
    assert all(comparison.rtl > 100 for comparison in found)
    assert not sweep.found
    assert sweep.good


# Two ports; four and no depthwise engine; four depthwise words. `make cycles` has all machines.
@pytest.mark.parametrize("name", ["2x8x8", "8x2x2", "4x2x2"])
def test_other_machines_are_exact(name):
    graph, image = toy(channels=3)
    program = compile_graph(graph, MACHINES[name])
    found = compare(program, HARD, image, engine="pysim")
    assert found.rtl > 500
    assert found.exact, found.failure


def test_a_whole_network_is_exact():
    """ResNet50 v1.5 on photographs of 32 x 32: all its layers, stripes, spills and weights."""
    rng = np.random.default_rng(3)
    graph = random_resnet50(rng, size=32, stride_in_3x3=True)
    found = compare(compile_graph(graph, NANO), MemoryModel(), random_image(rng, graph))
    assert found.rtl > 4_000_000
    assert found.exact, found.failure


def test_a_difference_is_noticed():
    graph, image = toy()
    found = compare(compile_graph(graph, NANO), HARD, image)
    assert found.exact
    other = predict(compile_graph(graph, NANO), MemoryModel(latency=24))
    wrong = dataclasses.replace(found, model=other.cycles, model_activity=other.activity)
    assert not wrong.exact
    assert wrong.total_error > 0 and wrong.layer_error > 0
    assert wrong.failure.kind == "cycles" and "WEIGHTS" in wrong.failure.text


def test_spans_are_those_of_the_machine():
    graph, image = toy()
    program = compile_graph(graph, NANO)
    memory = HARD
    with open_simulator(
        NANO, size=program.memory.size, memory=memory, record_writes=True
    ) as machine:
        Driver(machine, program).run(image)
        writes = machine.feature_writes()
        counters = machine.counters()
    prediction = predict(program, memory)
    assert prediction.counters == counters

    instructions = isa.read_program(program.code)
    assert {instruction.opcode for instruction in instructions} == set(Opcode)
    assert [span.index for span in prediction.spans] == list(range(1, len(instructions)))
    for span in prediction.spans:
        instruction = instructions[span.index]
        assert (span.engine, span.layer) == (instruction.engine, instruction["layer"])
        assert 0 <= span.dispatched <= span.start <= span.end < prediction.cycles
        if span.engine in (Engine.POST, Engine.POOL, Engine.DEPTHWISE):
            # At the end of an instruction its last write has just come into the memory.
            cycles = writes.cycle[writes.source == span.engine] - FIRST_CYCLE
            inside = cycles[(cycles >= span.start) & (cycles <= span.end)]
            assert inside.max() < span.end <= inside.max() + FEATURE_READ_LATENCY
    assert {span.engine for span in prediction.spans} == set(Engine)
    assert prediction.spans[-1].end == prediction.cycles - 1

    assert prediction.words_read[Engine.WEIGHTS] * NANO.dram_bytes_per_cycle == sum(
        layer.weight_bytes for layer in program.layers
    )
    words = prediction.words_read[Engine.CONTROL]
    assert words * NANO.dram_bytes_per_cycle == len(program.code)
    assert prediction.words_written > 0
    assert 0 < prediction.dram_busy < HARD.bandwidth
    assert 0 < prediction.most_weights <= NANO.weight_fifo_words


def test_the_activity_of_the_spans_is_that_of_the_engines():
    graph, _ = toy()
    prediction = predict(compile_graph(graph, NANO), HARD)
    totals = prediction.activity.sum(axis=1)
    for engine in Engine:
        if engine is Engine.CONTROL:
            continue
        spans = [span.activity for span in prediction.spans if span.engine is engine]
        worked = np.sum(spans, axis=0)
        for activity in Activity:
            if activity is not Activity.IDLE:
                assert worked[activity] == totals[engine, activity], (engine, activity)


def test_layers_make_up_the_whole():
    graph, _ = toy()
    program = compile_graph(graph, NANO)
    prediction = predict(program)
    layers = layer_times(program, prediction)
    assert [layer.name for layer in layers] == [layer.name for layer in program.layers]
    assert sum(layer.cycles for layer in layers) == max(layer.end for layer in layers) + 1
    for layer in layers:
        work = dict.fromkeys(Engine, 0)
        for span in prediction.spans:
            if span.layer == layer.number and span.engine is not Engine.CONTROL:
                work[span.engine] += span.activity[Activity.BUSY]
                work[span.engine] += span.activity[Activity.WAIT_DRAM]
        assert work[layer.bound] == max(work.values()) > 0
    for layer in layers:
        assert layer.start <= layer.end
        assert Activity.BUSY not in layer.stalls


def test_a_slower_memory_takes_longer_and_progress_is_shown(monkeypatch):
    monkeypatch.setattr("sim.cycles.prediction.BUDGET", 1000)
    program = compile_graph(random_network(np.random.default_rng(8)), NANO)
    seen = []
    cycles = predict(program, progress=seen.append).cycles
    assert seen == [1000 * (n + 1) for n in range(len(seen))]
    assert len(seen) == (cycles - 1) // 1000 > 0
    assert predict(program, MemoryModel(bandwidth=0.1)).cycles > cycles


def changed(program, opcode, **fields):
    """``program`` with other fields in the first instruction of a kind."""
    instructions = isa.read_program(program.code)
    index = next(i for i, found in enumerate(instructions) if found.opcode is opcode)
    old = instructions[index]
    instructions[index] = isa.Instruction(opcode, {**old.fields, **fields})
    return msgspec.structs.replace(program, code=isa.program_bytes(instructions))


def test_a_program_that_does_not_end_is_refused():
    program = compile_graph(toy()[0], NANO)
    with pytest.raises(DnaError, match=r"the program stands still in cycle \d+"):
        predict(changed(program, Opcode.END, wait=1 << Engine.LOAD))


def test_a_slow_memory_is_no_hang():
    """Found by the fuzzer (seed 81, case 195): an SDRAM of 40 MHz behind a machine at 1 GHz."""
    builder = GraphBuilder("input", (2, 8, 61), 1.0, 0)
    graph = builder.finish(builder.add("sum", "input", "input", Output(2.0, 0)))
    program = compile_graph(graph, dataclasses.replace(MACHINES["4x2x2"], burst_words=16))
    assert predict(program, MemoryModel.named("sdr-40x16", 1000)).cycles > 80_000


def test_a_token_too_many_is_refused():
    program = compile_graph(toy()[0], NANO)
    instructions = isa.read_program(program.code)
    load = next(found for found in instructions if found.opcode is Opcode.LOAD)
    extra = isa.Instruction(Opcode.LOAD, {**load.fields, "wait": 0, "signal": 1 << Engine.STORE})
    instructions[1:1] = [extra] * (isa.TOKEN_LIMIT + 1)
    header = isa.Instruction(Opcode.HEADER, {**instructions[0].fields, "length": len(instructions)})
    code = isa.program_bytes([header, *instructions[1:]])
    with pytest.raises(DnaError, match="a token too many"):
        predict(msgspec.structs.replace(program, code=code))


def test_a_memory_with_errors_is_refused():
    program = compile_graph(toy()[0], NANO)
    with pytest.raises(DnaError, match="knows no bus errors"):
        predict(program, MemoryModel(errors=(range(8),)))
