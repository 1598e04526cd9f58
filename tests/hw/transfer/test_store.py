import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.status import Activity, Fault
from hw.transfer.store import StoreEngine
from tests.hw.support.engines import Dram, EngineBench, Feature, always, never, paces, reads

NANO = dataclasses.replace(PRESETS["nano"], feature_words=1024)
CONFIGS = {
    "two words in one": NANO,
    "one to one": dataclasses.replace(NANO, lanes=8),
    "eight in one, two a cycle": dataclasses.replace(
        NANO, modules=8, rows=2, columns=2, lanes=4, dram_bytes_per_cycle=16
    ),
    "two words in two": dataclasses.replace(NANO, rows=8, columns=8, lanes=16),
    "half a word": dataclasses.replace(NANO, rows=16, columns=16, lanes=16),
    "two words in four": dataclasses.replace(NANO, rows=16, columns=16, lanes=32),
    "four words in two": dataclasses.replace(NANO, modules=4, lanes=16),
}
BENCHES = {}


def bench_of(name):
    if name not in BENCHES:
        BENCHES[name] = EngineBench(StoreEngine(CONFIGS[name]))
    return BENCHES[name]


def store(config, rng, rows, row_words, base=0):
    word = config.dram_bytes_per_cycle
    row = -(-row_words * config.rows // word)
    return Instruction(
        Opcode.STORE,
        {
            "layer": 9,
            "in_base": int(rng.integers(0, 100)),
            "in_pitch": row_words + int(rng.integers(0, 5)),
            "rows": rows,
            "row_words": row_words,
            "dram": base * word,
            "dram_pitch": (row + int(rng.integers(0, 3))) * word,
        },
    )


def expect(dram, feature, instruction):
    word, rows = dram.word, feature.config.rows
    for row in range(instruction["rows"]):
        first = instruction["in_base"] + row * instruction["in_pitch"]
        stored = feature.words[first : first + instruction["row_words"]].tobytes()
        stored += bytes(-len(stored) % word)
        offset = instruction["dram"] + row * instruction["dram_pitch"]
        dram.bytes[offset : offset + len(stored)] = np.frombuffer(stored, np.uint8)
    assert rows


def run(name, seed, pace, shapes, **kwargs):
    config, bench, rng = CONFIGS[name], bench_of(name), np.random.default_rng(seed)
    feature = Feature(config, rng)
    dram = Dram(config, rng, 1 << 15)
    expected = Dram(config, rng, 1 << 15)
    expected.bytes[:] = dram.bytes
    program = [store(config, rng, *shape, 100 * i) for i, shape in enumerate(shapes)]
    for instruction in program:
        expect(expected, feature, instruction)
    port = dram.writes(bench.dut.memory, pace())
    result = bench.run(
        program, [*reads(bench.dut.features, feature, pace()), *port], chance=pace(), **kwargs
    )
    np.testing.assert_array_equal(dram.bytes, expected.bytes)
    assert len(result.done) == len(shapes) and result.fault is None
    return result, port


@pytest.mark.parametrize("name", CONFIGS)
def test_shapes_without_stalls(name):
    shapes = [(1, 1), (3, 1), (2, 2), (3, 3), (1, 4), (2, 5), (2, 7), (2, 8), (3, 9)]
    run(name, 0, lambda: always, shapes)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(3))
def test_random_stalls(name, seed):
    rng = random.Random(seed)
    shapes = [(rng.randint(1, 5), rng.randint(1, 20)) for _ in range(5)]
    run(name, seed, paces(rng), shapes)


@pytest.mark.parametrize("name", CONFIGS)
def test_rate(name):
    config = CONFIGS[name]
    result, port = run(name, 0, lambda: always, [(4, 16)])
    cycles = port[1].cycles
    reads_, writes_ = 64 // config.post_words, 64 * config.rows // config.dram_bytes_per_cycle
    assert len(cycles) == writes_
    # The first DRAM word comes as soon as it is complete, the last one with the slower side.
    assert cycles[-1] - cycles[0] <= max(reads_, writes_) - 1
    # Ten cycles to the acknowledgement.
    assert result.done == [cycles[-1] + 10]
    assert result.activity[Activity.WAIT_DRAM] >= 9


@pytest.mark.parametrize(
    ("stopped", "activity"), [(0, Activity.WAIT_FEATURE), (1, Activity.WAIT_DRAM)]
)
def test_activity_names_what_is_waited_for(stopped, activity):
    name = "two words in one"
    config, bench, rng = CONFIGS[name], bench_of(name), np.random.default_rng(0)
    choice = [always, always]
    choice[stopped] = never
    dram = Dram(config, rng, 1 << 12)
    result = bench.run(
        [store(config, rng, 3, 9)],
        [
            *reads(bench.dut.features, Feature(config, rng), choice[0]),
            *dram.writes(bench.dut.memory, choice[1]),
        ],
        cycles=200,
    )
    assert not result.done and result.activity[activity] > 150


@pytest.mark.parametrize(
    "changes",
    [{"rows": 0}, {"row_words": 0}, {"in_base": 1024}, {"dram": 4}, {"dram_pitch": 12}],
)
def test_faults(changes):
    name = "two words in one"
    config, bench, rng = CONFIGS[name], bench_of(name), np.random.default_rng(0)
    dram = Dram(config, rng, 1 << 12)
    before = dram.bytes.copy()
    instruction = Instruction(Opcode.STORE, {**store(config, rng, 3, 9).fields, **changes})
    result = bench.run(
        [instruction],
        [
            *reads(bench.dut.features, Feature(config, rng), always),
            *dram.writes(bench.dut.memory, always),
        ],
    )
    assert result.fault == (Fault.BAD_FIELD, 9)
    np.testing.assert_array_equal(dram.bytes, before)
