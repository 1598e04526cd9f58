"""Programs with several outputs: every map that the host reads is stored, whatever reads it too."""

import msgspec
import numpy as np
import pytest

from hw.config import PRESETS
from sim.driver import Driver
from sim.functional import FunctionalModel
from sim.functional.flatbuffer import emit
from sim.functional.litert import LiteRT
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.replay import check_graph
from tests.support.batches import check_batch
from tests.support.programs import (
    check_program,
    noise,
    random_config,
    random_network,
    with_more_outputs,
)

NANO = PRESETS["nano"]


def drawn(seed, *, tflite=False):
    """A random network with more than one output; one that TFLite can say, too."""
    rng = np.random.default_rng(seed)
    while True:
        graph = with_more_outputs(rng, random_network(rng))
        if graph.others and (not tflite or _can_be_said(graph)):
            return rng, graph


def _can_be_said(graph):
    """TFLite has no pool of any padding."""
    try:
        emit(graph)
    except DnaError as error:
        if "TFLite cannot pad" not in str(error):
            raise
        return False
    return True


@pytest.mark.parametrize("seed", range(12))
def test_every_output_is_in_memory(seed):
    rng, graph = drawn(seed)
    config = random_config(rng, 1 << 14) if seed % 2 else NANO
    image = noise(rng, graph)
    program = check_program(graph, config, image, (None, 1))
    assert [tensor.tensor for tensor in program.memory.outputs] == list(graph.outputs)
    writable = program.memory.writable
    for tensor in program.memory.outputs:
        assert writable.offset <= tensor.region.offset <= tensor.region.end <= writable.end


@pytest.mark.parametrize("seed", range(4))
def test_several_images(seed):
    rng, graph = drawn(100 + seed)
    check_batch(rng, graph, NANO, 3)


def test_the_hardware_stores_them():
    rng, graph = drawn(7)
    program, image = compile_graph(graph, NANO), noise(rng, graph)
    expected = ReferenceModel(graph).run_all(image)
    with open_simulator(NANO, size=program.memory.size, record_writes=True) as machine:
        assert verify_program(machine, program, image, expected).mismatches == 0
        Driver(machine, program).run(image)
        for tensor in program.memory.outputs:
            got = tensor.read(machine.memory).reshape(-1)
            assert np.array_equal(got, expected[tensor.tensor].reshape(-1))


def test_a_wrong_value_of_a_further_output_is_seen():
    rng, graph = drawn(7)
    program, image = compile_graph(graph, NANO), noise(rng, graph)
    wrong = dict(ReferenceModel(graph).run_all(image))
    name = graph.others[0]
    wrong[name] = wrong[name] ^ 1
    with open_simulator(NANO, size=program.memory.size, record_writes=True) as machine:
        assert verify_program(machine, program, image, wrong).logits == wrong[name].size


@pytest.mark.parametrize("seed", range(6))
def test_all_engines_have_all_outputs(seed):
    rng, graph = drawn(200 + seed, tflite=True)
    image = noise(rng, graph)
    model = FunctionalModel(graph)
    expected = ReferenceModel(graph).outputs(image)
    assert len(expected) == len(graph.outputs)
    for _ in range(2):  # memory that a map gives to another one
        for got, right in zip(model.outputs(image), expected, strict=True):
            assert np.array_equal(got, right)
    for got, right in zip(LiteRT(emit(graph)).run(image), expected, strict=True):
        assert np.array_equal(got.reshape(-1), right.reshape(-1))
    assert np.array_equal(model.run(image[None])[0], expected[0])


def test_an_output_is_named_once():
    _, graph = drawn(3)
    twice = msgspec.structs.replace(graph, others=(graph.output,))
    with pytest.raises(DnaError, match="named twice"):
        check_graph(twice)
