import dataclasses
import re

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import (
    ISA_VERSION,
    MAGIC,
    TOKEN_LIMIT,
    Engine,
    Instruction,
    Opcode,
    program_bytes,
    read_program,
)
from sim.interpreter.program import Interpreter, ProgramError
from sim.interpreter.semantics import Semantics
from sim.reference import ReferenceModel
from sw.compiler import compile_graph
from tests.support.graphs import random_image, random_small_graph
from tests.support.programs import noise, random_network

NANO = PRESETS["nano"]


def op(opcode, **fields):
    for mask in ("wait", "signal"):
        fields[mask] = sum(1 << engine for engine in fields.get(mask, ()))
    return Instruction(opcode, fields)


def run(*body, config=NANO, dram=None, seed=None, feature=None, header=None):
    """Run ``body`` between HEADER and END; return the interpreter."""
    fields = {
        "magic": MAGIC,
        "isa_version": ISA_VERSION,
        "config": int(config.digest, 16),
        "length": len(body) + 2,
        **(header or {}),
    }
    program = [op(Opcode.HEADER, **fields), *body, op(Opcode.END)]
    machine = Interpreter(config, np.zeros(4096, np.uint8) if dram is None else dram)
    if feature is not None:
        machine.feature[: len(feature)] = feature
    machine.run(program_bytes(program), seed=seed)
    return machine


def ramp(words):
    return (np.arange(words * NANO.rows) % 251 - 125).astype(np.int8).reshape(words, -1)


def test_every_instruction_has_a_meaning():
    """But for those that begin and end a program."""
    known = set(Semantics(NANO, np.zeros(0, np.uint8))._methods)
    assert known == set(Opcode) - {Opcode.HEADER, Opcode.END}


# Instructions, each against a picture of what it should do.


def test_load_cuts_windows_that_overlap():
    dram = np.arange(4096).astype(np.uint8)
    machine = run(
        op(
            Opcode.LOAD,
            dram=100,
            dram_pitch=20,
            row_bytes=9,
            rows=2,
            windows=3,
            window_bytes=6,
            window_step=4,
            window_lead=2,
            window_words=2,
            out_base=10,
            out_pitch=8,
            fill=-1,
        ),
        dram=dram,
    )
    f = -1
    row = np.array(
        [f, f, 0, 1, 2, 3, f, f, 2, 3, 4, 5, 6, 7, f, f, 6, 7, 8, f, f, f, f, f], np.int8
    )
    first = np.where(row == f, f, row + 100).astype(np.int8)
    np.testing.assert_array_equal(machine.feature[10:16].ravel(), first)
    second = np.where(row == f, f, row + 120).astype(np.int8)
    np.testing.assert_array_equal(machine.feature[18:24].ravel(), second)
    assert not machine.feature[16:18].any()


def test_store_writes_rows_and_nothing_else():
    dram = np.full(4096, 99, np.uint8)
    run(
        op(Opcode.STORE, in_base=3, in_pitch=10, rows=2, row_words=3, dram=64, dram_pitch=32),
        dram=dram,
        feature=ramp(64),
    )
    expected = np.full(4096, 99, np.uint8)
    for row in range(2):
        words = ramp(64)[3 + 10 * row : 6 + 10 * row]
        expected[64 + 32 * row : 76 + 32 * row] = words.reshape(-1).view(np.uint8)
    np.testing.assert_array_equal(dram, expected)


def test_max_pool_ignores_padding():
    feature = ramp(64)
    machine = run(
        op(
            Opcode.MAX_POOL,
            in_pitch=9,
            in_words=2,
            in_step=2,
            out_step=2,
            in_height=3,
            in_width=4,
            kernel_height=3,
            kernel_width=2,
            stride=2,
            pad_top=1,
            pad_left=1,
            out_height=2,
            out_width=3,
            out_base=100,
            out_pitch=7,
        ),
        feature=feature,
    )
    for oy in range(2):
        for ox in range(3):
            inside = [
                feature[y * 9 + x * 2 : y * 9 + x * 2 + 2]
                for y in range(2 * oy - 1, 2 * oy + 2)
                for x in range(2 * ox - 1, 2 * ox + 1)
                if 0 <= y < 3 and 0 <= x < 4
            ]
            got = machine.feature[100 + oy * 7 + ox * 2 :][:2]
            np.testing.assert_array_equal(got, np.max(inside, axis=0))


def test_mean_takes_float_bits():
    feature = ramp(64)
    multiplier, offset = np.float32(1 / 6), np.float32(-3.25)
    machine = run(
        op(
            Opcode.MEAN,
            in_pitch=8,
            in_words=2,
            in_height=2,
            in_width=3,
            out_base=50,
            multiplier=int(multiplier.view(np.uint32)),
            offset=int(offset.view(np.uint32)),
        ),
        feature=feature,
    )
    pixels = [feature[y * 8 + x * 2 :][:2].astype(float) for y in range(2) for x in range(3)]
    expected = np.rint(np.sum(pixels, axis=0) / 6 - 3.25)
    np.testing.assert_array_equal(machine.feature[50:52], expected)


def convolution(**changes):
    """CONV and POST of 2 x 2 pixels, one channel tile of k = 2, with zero weights; and those."""
    window = {
        "in_pitch": 3,
        "in_words": 1,
        "in_height": 3,
        "in_width": 3,
        "kernel_height": 1,
        "kernel_width": 2,
        "stride": 1,
    }
    tiles = {
        "out_width": 2,
        "channel_tiles": 1,
        "pixel_tiles": 1,
        "tile_pixels": 4,
        "last_pixels": 4,
        "split": 1,
    }
    conv = {**window, **tiles, "slices": 2, "passes": 1, "tag": 1, "neighbours": 0}
    post = {**tiles, "out_base": 100, "out_pitch": 2, "out_words": 1, "lo": -128, "hi": 127}
    for name, value in changes.items():
        for fields in (conv, post):
            if name in fields:
                fields[name] = value
    wide = NANO.modules * NANO.columns
    header = (1).to_bytes(2, "little") + (0xFFFE).to_bytes(2, "little")
    bias = np.array([[7, 1065353216]] * 4, "<i4").tobytes()  # scale 1.0
    stream = header.ljust(wide, b"\0") + bias + bytes(NANO.rows * wide)
    dram = np.zeros(4096, np.uint8)
    dram[: len(stream)] = np.frombuffer(stream, np.uint8)
    weights = op(Opcode.WEIGHTS, length=len(stream) // NANO.dram_bytes_per_cycle)
    return [weights, op(Opcode.CONV, **conv), op(Opcode.POST, **post)], dram


def test_convolution_with_zero_weights_gives_the_bias():
    body, dram = convolution()
    machine = run(*body, dram=dram)
    np.testing.assert_array_equal(machine.feature[100:104], 7)


# Whole programs.


@pytest.fixture(scope="module")
def compiled():
    rng = np.random.default_rng(3)
    graph = random_small_graph(rng, (33, 30, 3))
    config = dataclasses.replace(NANO, feature_words=512)
    program = compile_graph(graph, config)
    assert program.memory.spill.length
    image = random_image(rng, graph)
    return program, image, ReferenceModel(graph).run_all(image)[graph.output]


def execute(program, image, code=None, seed=None):
    dram = program.image(image)
    Interpreter(program.config, dram).run(program.code if code is None else code, seed=seed)
    return program.memory.output.read(dram).ravel()


@pytest.mark.parametrize("seed", [None, *range(8)])
def test_any_order_of_the_engines_gives_the_same(compiled, seed):
    program, image, expected = compiled
    np.testing.assert_array_equal(execute(program, image, seed=seed), expected)


def test_a_second_run_gives_the_same(compiled):
    program, image, expected = compiled
    dram = program.image(image)
    machine = Interpreter(program.config, dram)
    for _ in range(2):
        machine.run(program.code, seed=5)
        np.testing.assert_array_equal(program.memory.output.read(dram).ravel(), expected)


def test_only_the_writable_region_changes(compiled):
    program, image, _ = compiled
    before = program.image(image)
    after = before.copy()
    Interpreter(program.config, after).run(program.code)
    changed = np.flatnonzero(before != after)
    assert changed.min() >= program.memory.writable.offset
    assert changed.max() < program.memory.writable.end


def without_token(code, producer, consumer):
    """The program with all tokens of one pair removed."""
    edited = []
    for instruction in read_program(code):
        fields = dict(instruction.fields)
        if instruction.engine is consumer:
            fields["wait"] &= ~(1 << producer)
        if instruction.engine is producer:
            fields["signal"] &= ~(1 << consumer)
        edited.append(Instruction(instruction.opcode, fields))
    return program_bytes(edited)


def test_every_kind_of_token_is_needed(compiled):
    """Without them some order of the engines breaks: the random order finds missing tokens."""
    program, image, expected = compiled
    pairs = {
        (producer, op.engine)
        for op in read_program(program.code)
        for producer in Engine
        if op["wait"] >> producer & 1 and producer is not op.engine
    }
    assert len(pairs) >= 6
    for producer, consumer in pairs:
        code = without_token(program.code, producer, consumer)
        for seed in range(100):
            try:
                got = execute(program, image, code, seed)
            except ProgramError:
                break
            if (got != expected).any():
                break
        else:
            pytest.fail(f"tokens from {producer.name} to {consumer.name} do nothing")


# What the machine refuses.


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"magic": 1}, "magic 0x1"),
        ({"isa_version": 99}, "isa_version 0x63"),
        ({"config": 5}, "config 0x5"),
        ({"length": 7}, "truncated: 2 of 7"),
    ],
)
def test_programs_for_another_machine(header, message):
    with pytest.raises(ProgramError, match=message):
        run(header=header)


def test_a_flipped_bit():
    code = bytearray(compile_graph(random_network(np.random.default_rng(1)), NANO).code)
    code[100] ^= 4
    with pytest.raises(ProgramError, match="instruction 1: the checksum is wrong"):
        Interpreter(NANO, np.zeros(4096, np.uint8)).run(bytes(code))


POOL = {
    "in_words": 1,
    "in_step": 1,
    "in_height": 1,
    "in_width": 1,
    "kernel_height": 1,
    "kernel_width": 1,
    "stride": 1,
    "out_height": 1,
    "out_width": 1,
    "out_step": 1,
}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            [op(Opcode.MAX_POOL, wait=[Engine.LOAD], **POOL)],
            r"END does not wait for .*\(MAX_POOL\)",
        ),
        ([op(Opcode.MAX_POOL, signal=[Engine.STORE], **POOL)], "1 tokens from POOL to STORE"),
        (
            [op(Opcode.MAX_POOL, signal=[Engine.STORE], **POOL)] * (TOKEN_LIMIT + 1),
            f"more than {TOKEN_LIMIT} tokens from POOL to STORE",
        ),
        ([op(Opcode.MAX_POOL, **{**POOL, "out_base": 4096})], "feature words 4096 to 4096"),
        ([op(Opcode.STORE, rows=1, row_words=1, dram=4)], "store to 0x4 is not aligned"),
        ([op(Opcode.STORE, rows=1, row_words=1, dram=4096)], "outside the memory window"),
        ([op(Opcode.WEIGHTS, dram=4, length=1)], "weights at 0x4 are not aligned"),
        ([op(Opcode.WEIGHTS, length=1)], "8 bytes of weights are left"),
        ([op(Opcode.WEIGHTS, length=17)], r"END does not wait for .*\(WEIGHTS\)"),
        (
            [
                op(
                    Opcode.LOAD,
                    row_bytes=8,
                    rows=1,
                    windows=1,
                    window_step=1,
                    window_bytes=5,
                    window_words=1,
                )
            ],
            "a window of 5 bytes does not fit 1 words",
        ),
        ([op(Opcode.MAX_POOL, **{**POOL, "stride": 0})], "instruction 1 .*: stride is 0"),
        ([op(Opcode.STORE, row_words=1)], "rows is 0"),
    ],
)
def test_broken_programs(body, message):
    with pytest.raises(ProgramError, match=message):
        run(*body)


FOUR = dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=8, depthwise_words=4)
JOINED = {
    "in_words": 3,
    "in_height": 2,
    "in_width": 8,
    "kernel_height": 3,
    "kernel_width": 3,
    "stride": 1,
    "pad_top": 1,
    "pad_left": 1,
    "out_height": 2,
    "out_width": 8,
    "split": 2,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": 3}, "8 pixels do not share 4 words"),
        ({"split": 1}, "3 words are no odd multiple of 2"),
        ({"in_words": 2}, "2 words are no odd multiple of 1"),
        ({"in_width": 6, "out_width": 6}, "rows of 6 columns are not whole 4 pixels"),
        ({"out_width": 7}, "rows of 8 columns are not whole 4 pixels"),
        ({"in_width": 12, "stride": 3, "out_width": 4}, "do not share a window of this width or"),
        ({"kernel_width": 4}, "do not share a window of this width or stride"),
    ],
)
def test_pixels_that_cannot_share_cycles(changes, message):
    with pytest.raises(ProgramError, match=message):
        run(op(Opcode.DEPTHWISE, **JOINED | changes), config=FOUR)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": 2}, "split 2 is more than 2 modules"),
        ({"passes": 2}, "2 slices in 2 passes"),
        ({"tile_pixels": 17}, "a tile of 17 pixels does not fit"),
        ({"last_pixels": 5}, "a last tile of 5 pixels"),
        ({"tag": 2}, "tag 1, not 2"),
        ({"out_base": 1}, "POST writes over the input of its own CONV"),
        (
            {"kernel_height": 3, "kernel_width": 1, "slices": 3, "passes": 2, "in_pitch": 4},
            "bank conflict: with a pitch of 4 ",
        ),
        ({"neighbours": 2}, "neighbours have pixel_words 0"),
    ],
)
def test_convolutions_that_are_refused(changes, message):
    body, dram = convolution(**changes)
    if changes.get("passes") == 2:  # one more pass of weights
        body[0] = op(Opcode.WEIGHTS, length=body[0]["length"] + NANO.rows)
    with pytest.raises(ProgramError, match=message):
        run(*body, dram=dram)


def test_a_post_without_a_convolution_never_starts():
    body, _ = convolution()
    with pytest.raises(ProgramError, match=r"END does not wait for instruction 1 \(POST\)"):
        run(body[2])


def test_weights_in_front_of_a_convolution_must_fit_the_fifo():
    """WEIGHTS that are dispatched before the CONV that takes them block the program."""
    body, dram = convolution()
    small = dataclasses.replace(NANO, weight_fifo_words=2)
    weights = [op(Opcode.WEIGHTS, dram=8 * n, length=1) for n in range(body[0]["length"])]
    run(weights[0], *body[1:], *weights[1:], config=small, dram=dram)
    with pytest.raises(ProgramError, match="cannot go on"):
        run(*weights, *body[1:], config=small, dram=dram)


def test_a_waiting_instruction_in_front_blocks_what_follows():
    """Dispatch is in the order of the program, one instruction in front of each engine."""
    first = op(Opcode.MAX_POOL, wait=[Engine.STORE], **POOL)
    second = op(Opcode.MAX_POOL, **POOL)
    store = op(Opcode.STORE, rows=1, row_words=1, signal=[Engine.POOL])
    run(first, store, second)
    with pytest.raises(ProgramError, match="cannot go on"):
        run(first, second, store)


def test_after_sees_every_instruction_in_order(compiled):
    program, image, _ = compiled
    seen = []
    Interpreter(program.config, program.image(image)).run(
        program.code, after=lambda executed: seen.append(executed.number)
    )
    assert sorted(seen) == list(range(1, len(read_program(program.code)) - 1))


def test_after_sees_all_that_an_instruction_writes(compiled):
    program, image, _ = compiled
    machine = Interpreter(program.config, program.image(image))
    before = machine.feature.copy()
    writers = set()

    def check(executed):
        addresses, words = executed.written
        assert words.shape == (len(addresses), NANO.rows)
        if len(addresses):
            writers.add(executed.instruction.opcode)
        before[addresses] = words
        np.testing.assert_array_equal(before, executed.feature)

    machine.run(program.code, after=check)
    assert writers == {Opcode.LOAD, Opcode.POST, Opcode.MAX_POOL, Opcode.MEAN}


def test_noise_is_as_good_as_a_picture():
    rng = np.random.default_rng(6)
    graph = random_network(rng)
    program = compile_graph(graph, PRESETS["micro"])
    image = noise(rng, graph)
    expected = ReferenceModel(graph).run_all(image)[graph.output].ravel()
    np.testing.assert_array_equal(execute(program, image), expected)
    assert re.fullmatch(r"[0-9a-f]{16}", program.config.digest)
