import msgspec
import numpy as np
import pytest

from harness.report.memory_use import Block, blocks, most_words, read, written
from hw.isa import ISA_VERSION, MAGIC, Engine, Instruction, Opcode, program_bytes, read_program
from sim.cycles import Span
from sim.interpreter.program import Interpreter
from sim.interpreter.semantics import Semantics
from sim.reference import ReferenceModel
from tests.support.graphs import random_image, random_small_graph
from tests.support.report_runs import compiled, predicted


class Checked(Semantics):
    """Executes, but what an instruction should not read is noise, and what it writes is checked."""

    def __init__(self, config, dram):
        super().__init__(config, dram)
        self.rng = np.random.default_rng(0)
        self.opcodes = set()

    def execute(self, op):
        before = self.feature.copy()
        hidden = np.ones(len(before), bool)
        for words in read(op):
            hidden[words.start : words.stop] = False
        self.feature[hidden] = self.rng.integers(-128, 128, self.feature.shape, np.int8)[hidden]
        noisy = self.feature.copy()
        super().execute(op)
        changed = np.flatnonzero((self.feature != noisy).any(axis=1))
        target = written(op)
        if target is None:
            assert not len(changed)
            self.feature[:] = before
            return
        assert {changed[0], changed[-1]} <= set(target)
        # Equal values are no change, so the ends may look as if nothing had been written there.
        assert len(target) - (changed[-1] - changed[0] + 1) <= len(target) // 8 + 2
        keep = np.ones(len(before), bool)
        keep[changed] = False
        self.feature[keep & hidden] = before[keep & hidden]
        self.opcodes.add(op.opcode)


def test_instructions_touch_what_it_says_and_nothing_else():
    graph = random_small_graph(np.random.default_rng(1), (48, 48, 3))
    program = compiled()
    image = random_image(np.random.default_rng(0), graph)
    machine = Interpreter(program.config, program.image(image))
    machine.semantics = Checked(program.config, machine.semantics.dram)
    machine.run(program.code)
    logits = program.memory.output.read(machine.semantics.dram).ravel()
    expected = ReferenceModel(graph).run_all(image)[graph.output]
    np.testing.assert_array_equal(logits, expected)
    assert machine.semantics.opcodes >= {Opcode.LOAD, Opcode.POST, Opcode.MAX_POOL, Opcode.MEAN}


def followed(*instructions):
    """Blocks of a program in which instruction n runs in the cycles 100 n to 100 n + 49."""
    ends = [
        Instruction(
            Opcode.HEADER,
            {
                "magic": MAGIC,
                "isa_version": ISA_VERSION,
                "config": int(compiled().config.digest, 16),
                "length": len(instructions) + 2,
            },
        ),
        Instruction(Opcode.END, {}),
    ]
    code = program_bytes([ends[0], *instructions, ends[1]])
    program = msgspec.structs.replace(compiled(), code=code)
    spans = [
        Span(
            index=n,
            engine=op.engine,
            layer=op["layer"],
            dispatched=0,
            start=100 * n,
            end=100 * n + 49,
            activity=(),
        )
        for n, op in enumerate(read_program(code))
    ]
    return blocks(program, spans)


def load(base, words, layer=0):
    fields = {"rows": 1, "windows": words, "window_words": 1, "out_base": base, "layer": layer}
    return Instruction(Opcode.LOAD, fields)


def store(base, words):
    return Instruction(Opcode.STORE, {"in_base": base, "rows": 1, "row_words": words})


def test_a_block_lives_until_it_was_read_for_the_last_time():
    first, second = followed(load(0, 10), load(10, 5), store(2, 3), store(9, 2))
    assert (first.base, first.words, first.start, first.end) == (0, 10, 100, 450)
    assert (second.base, second.words, second.start, second.end) == (10, 5, 200, 450)
    assert first.engine == "LOAD"


def test_a_block_that_nothing_reads_ends_with_its_instruction():
    (block,) = followed(load(3, 4), store(0, 3), store(7, 1))
    assert (block.start, block.end) == (100, 150)


def test_what_was_overwritten_is_not_read_any_more():
    old, new = followed(load(0, 10), load(0, 10), store(0, 10))
    assert (old.end, new.end) == (150, 350)


def test_the_rest_of_a_block_that_was_overwritten_in_part_is():
    old, new = followed(load(0, 10), load(4, 2), store(4, 2), store(6, 1))
    assert (old.end, new.end) == (450, 350)


def test_the_run_of_a_network():
    program = compiled()
    held = blocks(program, predicted().spans)
    writers = sum(written(op) is not None for op in read_program(program.code))
    assert len(held) == writers > 0
    for block in held:
        assert 0 <= block.base < block.base + block.words <= program.config.feature_words
        assert 0 <= block.start < block.end <= predicted().cycles
    assert {block.engine for block in held} == {
        engine.name for engine in (Engine.LOAD, Engine.POST, Engine.POOL)
    }


@pytest.mark.parametrize("seed", range(5))
def test_most_words(seed):
    rng = np.random.default_rng(seed)
    held, users = [], np.zeros((40, 30), bool)
    for _ in range(12):
        base, words = int(rng.integers(0, 25)), int(rng.integers(1, 5))
        start, length = int(rng.integers(0, 30)), int(rng.integers(1, 10))
        held.append(Block(0, "POST", "x", base, words, start, start + length))
        users[start : start + length, base : base + words] = True
    assert most_words(held, 30) == users.sum(axis=1).max()
    assert most_words([], 30) == 0
