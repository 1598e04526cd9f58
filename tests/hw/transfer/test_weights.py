import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.status import Activity, Fault
from hw.transfer.weights import WeightEngine
from tests.hw.support.engines import Dram, EngineBench, Sink, always, never, paces, unpack

CONFIG = dataclasses.replace(PRESETS["nano"], weight_fifo_words=8)
WORD = CONFIG.dram_bytes_per_cycle


@pytest.fixture(scope="module")
def bench():
    return EngineBench(WeightEngine(CONFIG))


def weights(first, length):
    return Instruction(Opcode.WEIGHTS, {"layer": 5, "dram": first * WORD, "length": length})


def run(bench, runs, *, pace=lambda: always, output=None, latency=10, **kwargs):
    dram = Dram(CONFIG, np.random.default_rng(1), 256 * WORD)
    got = []
    sink = Sink(bench.dut.words, output or pace(), lambda bits, cycle: got.append(bits))
    port = dram.reads(bench.dut.memory, pace(), latency)
    result = bench.run([weights(*item) for item in runs], [*port, sink], chance=pace(), **kwargs)
    words = dram.bytes.view("<u8")
    expected = [int(word) for first, length in runs for word in words[first : first + length]]
    return result, got, expected, port, sink


def test_words_come_in_order(bench):
    runs = [(3, 1), (0, 20), (100, 7), (7, 2), (8, 1), (50, 33)]
    result, got, expected, port, sink = run(bench, runs, surplus=60)
    assert got == expected and len(result.done) == len(runs)
    # Done when the last word is in the FIFO.
    ends = np.cumsum([length for _, length in runs]) - 1
    assert result.done == [port[1].cycles[end] for end in ends]
    # One word per cycle: behind the first one, which is short, the requests ran ahead of the words.
    assert port[1].cycles[1:] == list(
        range(port[1].cycles[1], port[1].cycles[1] + len(expected) - 1)
    )
    assert sink.cycles[0] == port[1].cycles[0] + 2


@pytest.mark.parametrize("seed", range(6))
def test_random_stalls(bench, seed):
    rng = random.Random(seed)
    runs = [(rng.randrange(200), rng.randint(1, 40)) for _ in range(8)]
    result, got, expected, *_ = run(bench, runs, pace=paces(rng), surplus=300)
    assert got == expected and len(result.done) == len(runs)


def test_fifo_fills_and_activity_says_so(bench):
    result, got, *_ = run(bench, [(0, 30)], output=never, cycles=200)
    assert not got and not result.done
    assert result.activity[Activity.WAIT_OUTPUT] == 200 - (
        result.activity[Activity.BUSY] + result.activity[Activity.WAIT_DRAM]
    )
    assert result.activity[Activity.BUSY] == 1 + CONFIG.weight_fifo_words
    result, *_ = run(bench, [(0, 3)], output=never, latency=50)
    assert result.activity[Activity.BUSY] == 1 + 3
    assert result.activity[Activity.WAIT_DRAM] == 51  # the latency, and the request's register


@pytest.mark.parametrize(
    "fields", [{"dram": 8, "length": 0}, {"dram": 4, "length": 1}, {"dram": 1, "length": 1}]
)
def test_faults(bench, fields):
    dram = Dram(CONFIG, np.random.default_rng(1), 256)
    bad = Instruction(Opcode.WEIGHTS, {"layer": 6, **fields})
    port = dram.reads(bench.dut.memory, always)
    sink = Sink(bench.dut.words, always, lambda bits, cycle: unpack(bits, 64))
    result = bench.run([bad], [*port, sink])
    assert result.fault == (Fault.BAD_FIELD, 6)
    assert not dram.words_read
