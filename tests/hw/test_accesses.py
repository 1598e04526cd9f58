"""What instructions are said to touch, against what the interpreter touches when it runs them."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.isa.accesses import Accesses, Memory, Rows, accesses
from sim.interpreter.program import Interpreter
from sim.interpreter.semantics import Semantics
from sim.reference import ReferenceModel
from sw.compiler import compile_graph
from sw.frontends.tflite import import_model, read
from tests.support.graphs import depthwise_graph, random_image, random_small_graph
from tests.support.programs import (
    least_feature_words,
    noise,
    random_config,
    random_layer,
    random_network,
)
from tests.support.tflite_random import random_model

NANO = PRESETS["nano"]
WINDOWS = (Opcode.CONV, Opcode.MAX_POOL, Opcode.DEPTHWISE)


class Recorded:
    """A feature memory that remembers which words were read and written."""

    def __init__(self, words):
        self.words = words
        self.reads, self.writes = set(), set()

    def __getitem__(self, addresses):
        self.reads.update(addresses.ravel().tolist())
        return self.words[addresses]

    def __setitem__(self, addresses, values):
        self.writes.update(addresses.ravel().tolist())
        self.words[addresses] = values


class Recorder(Semantics):
    """Executes, and compares what an instruction touches with what is said of it.

    Attributes:
        seen: how often each opcode was compared.
    """

    def __init__(self, config, dram):
        super().__init__(config, dram)
        self.seen = Counter()

    def _dram_part(self, start, length):
        self.bytes.update(range(start, start + length))
        return super()._dram_part(start, length)

    def execute(self, op):
        plain, self.bytes = self.feature, set()
        self.feature = Recorded(plain)
        super().execute(op)
        recorded, self.feature = self.feature, plain
        said = accesses(op, self.config)
        assert recorded.writes == words_of(said.writes, Memory.FEATURE)
        read = words_of(said.reads, Memory.FEATURE)
        if op.opcode in WINDOWS:
            assert recorded.reads <= read
            read = under_windows(op) | words_of(said.reads[1:], Memory.FEATURE)
        assert recorded.reads == read
        writes = op.opcode is Opcode.STORE
        assert self.bytes == words_of(said.writes if writes else said.reads, Memory.DRAM)
        assert not words_of(said.reads if writes else said.writes, Memory.DRAM)
        self.seen[op.opcode] += 1


def words_of(rows, memory):
    """All words or bytes of one memory; each range is as its rows say."""
    chosen = [part for part in rows if part.memory is memory]
    for part in chosen:
        touched = list(part)
        assert len(touched) == part.size
        assert (part.span.start, part.span.stop) == (min(touched), max(touched) + 1)
    return {word for part in chosen for word in part}


def under_windows(op):
    """The words of the input that are under any window, padding left out."""

    def seen(outputs, stride, pad, kernel, size):
        return {
            at
            for output in range(outputs)
            for at in range(output * stride - pad, output * stride - pad + kernel)
            if 0 <= at < size
        }

    outputs = (
        op["out_height"]
        if op.opcode is not Opcode.CONV
        else ((op["pixel_tiles"] - 1) * op["tile_pixels"] + op["last_pixels"]) // op["out_width"]
    )
    column_stride, columns = op.fields.get("column_stride", 0) or op["stride"], op["out_width"]
    if op.fields.get("neighbours"):
        column_stride, columns = op["neighbour_columns"], columns * op["neighbours"]
    rows = seen(outputs, op["stride"], op["pad_top"], op["kernel_height"], op["in_height"])
    columns = seen(columns, column_stride, op["pad_left"], op["kernel_width"], op["in_width"])
    step = op.fields.get("in_step", op["in_words"])
    return {
        op["in_base"] + row * op["in_pitch"] + column * step + word
        for row in rows
        for column in columns
        for word in range(op["in_words"])
    }


def run_recorded(graph, config):
    """How often each opcode was compared in a run of ``graph``."""
    least = least_feature_words(graph, config)
    if least is not None:
        config = dataclasses.replace(config, feature_words=least)
    program = compile_graph(graph, config)
    machine = Interpreter(config, program.image(noise(np.random.default_rng(1), graph)))
    recorder = machine.semantics = Recorder(config, machine.semantics.dram)
    machine.run(program.code)
    return recorder.seen


def random_case(seed):
    """A network, a single layer, or a network of operators that ResNet50 has not."""
    rng = np.random.default_rng(seed)
    match seed % 3:
        case 0:
            graph = random_network(rng)
        case 1:
            graph = random_layer(rng)
        case _:
            graph = import_model(read(random_model(rng), "model")).graph
    return graph, random_config(rng, feature_words=[16, 8192][seed // 3 % 2])


@pytest.mark.parametrize("seed", range(48))
def test_random_programs_touch_what_is_said(seed):
    assert run_recorded(*random_case(seed)).total() > 2


def test_a_network_touches_what_is_said():
    seen = run_recorded(random_small_graph(np.random.default_rng(1), (48, 48, 3)), NANO)
    seen += run_recorded(depthwise_graph(np.random.default_rng(1), (12, 10, 9)), NANO)
    assert set(seen) == set(Opcode) - {Opcode.HEADER, Opcode.END}


def test_the_ends_of_a_program_touch_nothing():
    for opcode in (Opcode.HEADER, Opcode.END):
        assert accesses(Instruction(opcode, {}), NANO) == Accesses()


def test_rows():
    rows = Rows(Memory.DRAM, 100, 3, rows=3, pitch=10)
    assert list(rows) == [100, 101, 102, 110, 111, 112, 120, 121, 122]
    assert (rows.size, rows.stop, rows.span) == (9, 123, range(100, 123))
    assert Rows(Memory.FEATURE, 7, 2).span == range(7, 9)


class Checked(Semantics):
    """Executes, but what an instruction is not said to read is noise."""

    def __init__(self, config, dram):
        super().__init__(config, dram)
        self.rng = np.random.default_rng(0)
        self.opcodes = set()

    def execute(self, op):
        before = self.feature.copy()
        hidden = np.ones(len(before), bool)
        said = accesses(op, self.config)
        hidden[list(words_of(said.reads, Memory.FEATURE))] = False
        self.feature[hidden] = self.rng.integers(-128, 128, self.feature.shape, np.int8)[hidden]
        super().execute(op)
        hidden[list(words_of(said.writes, Memory.FEATURE))] = False
        self.feature[hidden] = before[hidden]
        self.opcodes.add(op.opcode)


@pytest.mark.parametrize(
    ("graph", "opcodes"),
    [
        (
            random_small_graph(np.random.default_rng(1), (48, 48, 3)),
            {Opcode.LOAD, Opcode.POST, Opcode.MAX_POOL, Opcode.MEAN},
        ),
        (depthwise_graph(np.random.default_rng(1), (12, 10, 9)), {Opcode.DEPTHWISE}),
    ],
)
def test_what_an_instruction_is_not_said_to_read_does_not_matter(graph, opcodes):
    program = compile_graph(graph, NANO)
    image = random_image(np.random.default_rng(0), graph)
    machine = Interpreter(NANO, program.image(image))
    machine.semantics = Checked(NANO, machine.semantics.dram)
    machine.run(program.code)
    logits = program.memory.output.read(machine.semantics.dram).ravel()
    expected = ReferenceModel(graph).run_all(image)[graph.output]
    np.testing.assert_array_equal(logits, expected)
    assert machine.semantics.opcodes >= opcodes
