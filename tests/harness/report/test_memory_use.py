import msgspec
import numpy as np
import pytest

from harness.report.memory_use import Block, blocks, most_words
from hw.isa import ISA_VERSION, MAGIC, Engine, Instruction, Opcode, program_bytes, read_program
from hw.isa.accesses import Memory, accesses
from sim.cycles import Span
from tests.support.report_runs import compiled, predicted


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
    writers = sum(
        rows.memory is Memory.FEATURE
        for op in read_program(program.code)
        for rows in accesses(op, program.config).writes
    )
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
