import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.status import Activity, Fault
from hw.transfer.load import LoadEngine
from tests.hw.support.engines import (
    Dram,
    EngineBench,
    Feature,
    Pending,
    always,
    never,
    paces,
    writes,
)

NANO = dataclasses.replace(PRESETS["nano"], feature_words=2048)
CONFIGS = {
    "nano": NANO,
    "two words a cycle": dataclasses.replace(NANO, lanes=8),
    "many in one": dataclasses.replace(
        NANO, modules=8, rows=2, columns=2, lanes=4, dram_bytes_per_cycle=16
    ),
    "words wider than dram": dataclasses.replace(NANO, rows=16, columns=16, lanes=16),
    "two wide words": dataclasses.replace(NANO, rows=16, columns=16, lanes=32),
}
BENCHES = {}


def bench_of(name):
    if name not in BENCHES:
        BENCHES[name] = EngineBench(LoadEngine(CONFIGS[name]))
    return BENCHES[name]


def load(config, **fields):
    defaults = {"layer": 3, "rows": 1, "windows": 1, "dram_pitch": 0, "out_base": 0}
    fields = {**defaults, **fields}
    words = -(-fields["window_bytes"] // config.rows)
    fields.setdefault("window_words", words)
    fields.setdefault("out_pitch", fields["windows"] * fields["window_words"])
    return Instruction(Opcode.LOAD, fields)


def expect(feature, dram, i):
    """The LOAD ``i``, as hw.isa describes it."""
    config = feature.config
    for row in range(i["rows"]):
        start = i["dram"] + row * i["dram_pitch"]
        line = dram.bytes[start : start + i["row_bytes"]].view(np.int8)
        assert len(line) == i["row_bytes"]
        for window in range(i["windows"]):
            out = np.full(i["window_words"] * config.rows, i["fill"], np.int8)
            for byte in range(i["window_bytes"]):
                place = window * i["window_step"] - i["window_lead"] + byte
                if 0 <= place < len(line):
                    out[byte] = line[place]
            address = i["out_base"] + row * i["out_pitch"] + window * i["window_words"]
            feature.words[address : address + i["window_words"]] = out.reshape(-1, config.rows)
            feature.written[address : address + i["window_words"]] += 1


def run(name, instructions, pace=lambda: always, seed=0, latency=10):
    config, bench = CONFIGS[name], bench_of(name)
    rng = np.random.default_rng(seed)
    dram = Dram(config, rng, 1 << 14)
    feature, expected = Feature(config, rng), Feature(config, rng)
    expected.words[:] = feature.words
    for instruction in instructions:
        expect(expected, dram, instruction)
    port = writes(bench.dut.results, feature, pace())
    memory = dram.reads(bench.dut.memory, pace(), latency)
    result = bench.run(instructions, [*memory, *port], chance=pace())
    assert result.fault is None and len(result.done) == len(instructions)
    np.testing.assert_array_equal(feature.words, expected.words)
    np.testing.assert_array_equal(feature.written, expected.written)
    assert not memory[1].words, "DRAM words are left"
    assert result.done[-1] >= port[0].cycles[-1]
    return result, port[0].cycles, memory[1].cycles


# The first layers of networks: 7x7 on RGB with stride 2 and 1, and 3x3 with stride 2.
FIRST_LAYERS = [
    {"row_bytes": 60, "windows": 10, "window_bytes": 21, "window_step": 6, "window_lead": 9},
    {"row_bytes": 60, "windows": 20, "window_bytes": 21, "window_step": 3, "window_lead": 9},
    {"row_bytes": 33, "windows": 6, "window_bytes": 9, "window_step": 6, "window_lead": 0},
]
OTHERS = [
    # Plain copies, one window or a word each.
    {"row_bytes": 64, "windows": 1, "window_bytes": 64, "window_step": 64},
    {"row_bytes": 64, "windows": 4, "window_bytes": 16, "window_step": 16},
    {"row_bytes": 1, "windows": 1, "window_bytes": 1, "window_step": 1},
    # Channels that do not fill their words; more words than the bytes need.
    {"row_bytes": 30, "windows": 10, "window_bytes": 3, "window_step": 3},
    {"row_bytes": 30, "windows": 3, "window_bytes": 10, "window_step": 10, "window_words": 9},
    # Windows far before, far behind, and with gaps wider than the ring between them.
    {"row_bytes": 9, "windows": 40, "window_bytes": 8, "window_step": 8, "window_lead": 255},
    {"row_bytes": 3000, "windows": 3, "window_bytes": 5, "window_step": 900, "window_lead": 2},
    # Rows of which nothing, or only the beginning, is wanted.
    {"row_bytes": 500, "windows": 1, "window_bytes": 4, "window_step": 4},
    {"row_bytes": 100, "windows": 1, "window_bytes": 4, "window_step": 4, "window_lead": 200},
]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("fields", FIRST_LAYERS + OTHERS)
def test_windows(name, fields):
    instructions = [
        load(CONFIGS[name], dram=start, dram_pitch=pitch, rows=3, fill=fill, **fields)
        for start, pitch, fill in ((0, 3000, -128), (5, 3003, 77))
    ]
    run(name, instructions)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_widest_overlap(name):
    limit = CONFIGS[name].load_overlap_bytes
    for step in (1, 7):
        for start in (0, 3, 7):
            fields = {"window_bytes": limit + step, "window_step": step, "window_lead": 11}
            run(name, [load(CONFIGS[name], dram=start, row_bytes=400, windows=5, **fields)])


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(6))
def test_random_windows_and_stalls(name, seed):
    rng = random.Random(seed)
    config = CONFIGS[name]
    instructions = []
    for _ in range(3):
        step = rng.randint(1, 40)
        instructions.append(
            load(
                config,
                dram=rng.randrange(100),
                dram_pitch=rng.randrange(300),
                row_bytes=rng.randint(1, 200),
                rows=rng.randint(1, 4),
                windows=rng.randint(1, 8),
                window_bytes=rng.randint(1, step + min(config.load_overlap_bytes, 60)),
                window_step=step,
                window_lead=rng.choice([0, 0, 1, 9, 100]),
                out_base=rng.randrange(200),
                fill=rng.randint(-128, 127),
            )
        )
    run(name, instructions, paces(rng), seed)


@pytest.mark.parametrize("name", CONFIGS)
def test_rate(name):
    config = CONFIGS[name]
    size = 64 * config.lanes
    _, cycles, words = run(
        name, [load(config, row_bytes=size, window_bytes=size, window_step=size, dram=0)]
    )
    slower = max(64, size // config.dram_bytes_per_cycle)
    assert cycles[-1] - cycles[0] < slower
    assert len(words) == size // config.dram_bytes_per_cycle

    # A window that overlaps takes a cycle for every post_words words of it.
    _, cycles, words = run(name, [load(config, dram=1, **FIRST_LAYERS[0])])
    per_window = -(-21 // config.lanes)
    assert len(cycles) == 10 * per_window
    dram_words = -(-61 // config.dram_bytes_per_cycle)
    assert cycles[-1] - words[0] <= max(10 * per_window, dram_words) + 6


def test_latency_and_the_gap_between_rows():
    fields = {"row_bytes": 64, "window_bytes": 64, "window_step": 64}
    result, cycles, words = run("nano", [load(NANO, rows=2, dram_pitch=64, **fields)])
    assert cycles[0] == words[0] + 5 and result.done == [cycles[-1] + Pending.AFTER + 1]
    assert max(np.diff(cycles)) <= 8


@pytest.mark.parametrize(
    ("stopped", "activity"), [(0, Activity.WAIT_DRAM), (1, Activity.WAIT_FEATURE)]
)
def test_activity_names_what_is_waited_for(stopped, activity):
    bench, rng = bench_of("nano"), np.random.default_rng(0)
    choice = [always, always]
    choice[stopped] = never
    result = bench.run(
        [load(NANO, **FIRST_LAYERS[0])],
        [
            *Dram(NANO, rng, 1 << 12).reads(bench.dut.memory, choice[0]),
            *writes(bench.dut.results, Feature(NANO, rng), choice[1]),
        ],
        cycles=200,
    )
    assert not result.done and result.activity[activity] > 150


@pytest.mark.parametrize(
    "changes",
    [
        {"row_bytes": 0},
        {"rows": 0},
        {"windows": 0},
        {"window_bytes": 0, "window_words": 1},
        {"window_step": 0},
        {"window_words": 5},
        {"window_words": 0},
        {"window_bytes": 6 + NANO.load_overlap_bytes + 1, "window_words": 100},
        {"out_base": 2048},
    ],
)
def test_faults(changes):
    bench, rng = bench_of("nano"), np.random.default_rng(0)
    feature, dram = Feature(NANO, rng), Dram(NANO, rng, 1 << 12)
    instruction = load(NANO, **{**FIRST_LAYERS[0], **changes})
    result = bench.run(
        [instruction],
        [*dram.reads(bench.dut.memory, always), *writes(bench.dut.results, feature, always)],
    )
    assert result.fault == (Fault.BAD_FIELD, 3)
    assert not feature.written.any() and not dram.words_read
