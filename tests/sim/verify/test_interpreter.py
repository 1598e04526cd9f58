"""The interpreter finds the wrong values of a wrong program, and none of a right one."""

import msgspec
import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sim.interpreter.program import ProgramError
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.sim.verify.damage import damaged
from tests.support.graphs import random_image, random_small_graph
from tests.support.programs import noise, random_network

NANO = PRESETS["nano"]


def case(seed):
    """A random network, its program, an image and the right tensors."""
    rng = np.random.default_rng(seed)
    graph = random_network(rng)
    image = noise(rng, graph)
    return compile_graph(graph, NANO), image, ReferenceModel(graph).run_all(image)


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(3)
    graph = random_small_graph(rng, (33, 30, 3))
    image = random_image(rng, graph)
    return graph, image, ReferenceModel(graph).run_all(image)


@pytest.fixture(scope="module")
def small(network):
    graph, image, expected = network
    return compile_graph(graph, NANO), image, expected


def a_post(program):
    """Which POST, and the layer, its only writer, that has several rows and no addition."""
    posts = [op for op in read_program(program.code) if op.opcode is Opcode.POST]
    for table in program.layers:
        (*own,) = (index for index, op in enumerate(posts) if op["layer"] == table.number)
        if len(own) == 1 and table.shape[0] > 2 and not posts[own[0]]["residual"]:
            return own[0], posts[own[0]], table
    raise AssertionError("no layer is like this")


def of_layer(result, table):
    return next(layer for layer in result.layers if layer.name == table.name)


@pytest.mark.parametrize("seed", range(8))
def test_random_networks_have_no_mismatch(seed):
    program, image, expected = case(seed)
    for order in (None, 1):
        result = interpret_program(program, image, expected, seed=order)
        assert [layer.name for layer in result.layers] == [table.name for table in program.layers]
        assert [layer.values for layer in result.layers] == [
            np.prod(table.shape) for table in program.layers
        ]
        assert result.mismatches == result.logits == 0
        assert result.macs == sum(table.macs for table in program.layers)
        assert all(layer.cycles is layer.first is None for layer in result.layers)


def test_feature_maps_in_dram():
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng, (96, 96, 3))
    program, image = compile_graph(graph, NANO), random_image(rng, graph)
    assert program.memory.spill.length > 0
    result = interpret_program(program, image, ReferenceModel(graph).run_all(image))
    assert result.values > 0 and result.mismatches == 0


def test_a_part_of_a_network_takes_its_other_operand(network):
    graph, _, tensors = network
    part = graph.part(["block1.conv3", "block1.add"])
    program = compile_graph(part, NANO)
    (operand,) = program.memory.operands
    image = tensors[part.input]
    assert interpret_program(program, image, tensors).mismatches == 0
    other = {**tensors, operand.tensor: tensors[operand.tensor] ^ 64}
    assert interpret_program(program, image, other).mismatches > 0


def test_a_wrong_value_is_named_with_its_instruction():
    program, image, expected = case(5)
    table = program.layers[-1]
    wrong = {**expected, table.output: expected[table.output].copy()}
    wrong[table.output].reshape(-1)[-1] ^= 64
    result = interpret_program(program, image, wrong)
    assert [layer.mismatches for layer in result.layers] == [0] * (len(result.layers) - 1) + [1]
    first = result.layers[-1].first
    height, width, channels = table.shape
    assert first.where == (height - 1, width - 1, channels - 1)
    assert first.got == first.expected ^ 64 and first.cycle is None
    number, text = first.instruction
    assert read_program(program.code)[number]["layer"] == table.number
    assert text.split()[0] in ("post", "max_pool", "mean")
    assert result.logits == (1 if table.output == program.memory.output.tensor else 0)


def test_a_wrong_zero_point(small):
    program, image, expected = small
    index, post, table = a_post(program)
    wrong = damaged(program, Opcode.POST, index, zero_point=post["zero_point"] - 40)
    result = interpret_program(wrong, image, expected)
    layer = of_layer(result, table)
    before = result.layers[: result.layers.index(layer)]
    assert layer.mismatches > 0 and not any(found.mismatches for found in before)
    assert layer.first.expected == expected[table.output][layer.first.where]
    assert layer.first.got < layer.first.expected


def test_words_in_the_wrong_place_were_not_written(small):
    program, image, expected = small
    index, post, table = a_post(program)
    moved = damaged(program, Opcode.POST, index, out_base=post["out_base"] + post["out_pitch"])
    layer = of_layer(interpret_program(moved, image, expected), table)
    assert layer.first.where == (0, 0, 0) and layer.first.got is None
    assert layer.mismatches >= np.prod(table.shape[1:])


def test_words_written_twice_do_not_count(small):
    """All rows go where the first belongs: no row is as it should be, whatever is in there."""
    program, image, expected = small
    index, _, table = a_post(program)
    result = interpret_program(damaged(program, Opcode.POST, index, out_pitch=0), image, expected)
    assert of_layer(result, table).mismatches == np.prod(table.shape)


def test_logits_that_only_the_memory_outside_has_wrong(small):
    program, image, expected = small
    store = [op for op in read_program(program.code) if op.opcode is Opcode.STORE][-1]
    wrong = damaged(program, Opcode.STORE, in_base=store["in_base"] + 1)
    result = interpret_program(wrong, image, expected)
    assert not any(layer.mismatches for layer in result.layers)
    assert result.mismatches == result.logits > 0


def test_a_refused_program(small):
    program, image, expected = small
    with pytest.raises(ProgramError, match=r"instruction \d+ \(CONV of layer \d+\): .* tag"):
        interpret_program(damaged(program, Opcode.CONV, tag=4711), image, expected)


def test_a_flipped_bit_is_a_refused_program(small):
    program, image, expected = small
    code = bytearray(program.code)
    code[100] ^= 4
    with pytest.raises(ProgramError, match="the checksum is wrong"):
        interpret_program(msgspec.structs.replace(program, code=bytes(code)), image, expected)


@pytest.mark.parametrize("lacks", [True, False])
def test_instructions_that_the_table_does_not_have(small, lacks):
    program, image, expected = small
    other = 99 if lacks else a_post(program)[2].number
    message = "is of layer 99, which the program lacks" if lacks else "is one too many for "
    with pytest.raises(DnaError, match=rf"instruction \d+ {message}"):
        interpret_program(damaged(program, Opcode.POST, layer=other), image, expected)
