import random

import pytest
from amaranth.sim import Simulator

from hw.bus.dma_read import DmaReader
from hw.config import PRESETS
from hw.status import Fault
from tests.hw.support.axi_memory import AxiMemory

NANO = PRESETS["nano"]
BASE = 0x4_0000_0000


def run(requests, *, pace=1.0, seed=0, bad=(), window_size=1 << 16, halt_at=None):
    """Send ``requests`` (a list of (word, length) per reader); words got, bursts, fault, cycles."""
    dut = DmaReader(NANO, clients=len(requests))
    rng = random.Random(seed)
    words = [rng.getrandbits(64) for _ in range(window_size // 8)]
    memory = AxiMemory(dut.axi, data_bytes=8, words=words, base=BASE, seed=seed, pace=pace, bad=bad)
    got = [[] for _ in requests]
    state = {"fault": None, "cycles": 0}

    async def bench(ctx):
        ctx.set(dut.window_base, BASE)
        ctx.set(dut.window_size, window_size)
        todo = [list(queue) for queue in requests]
        expected = [sum(length for _, length in queue) for queue in requests]
        for cycle in range(20000):
            for index, queue in enumerate(todo):
                port = dut.clients[index]
                ctx.set(port.requests.valid, bool(queue))
                if queue:
                    ctx.set(port.requests.payload.offset, queue[0][0] * 8)
                    ctx.set(port.requests.payload.length, queue[0][1])
                ctx.set(port.words.ready, rng.random() < pace)
            ctx.set(dut.halt, halt_at is not None and cycle >= halt_at)
            ports = dut.clients
            sampled = await ctx.tick().sample(
                dut.fault.valid,
                dut.fault.code,
                dut.fault.address,
                dut.idle,
                *(
                    signal
                    for index in range(len(requests))
                    for signal in (
                        ports[index].requests.ready,
                        ports[index].words.valid,
                        ports[index].words.ready,
                        ports[index].words.payload,
                    )
                ),
            )
            fault, code, address, idle = sampled[2:6]
            for index in range(len(requests)):
                accepted, valid, ready, payload = sampled[6 + 4 * index : 10 + 4 * index]
                if accepted and todo[index]:
                    todo[index].pop(0)
                if valid and ready:
                    got[index].append(payload)
            state["cycles"] = cycle
            if fault:
                state["fault"] = (Fault(code), address)
                return
            if halt_at is not None and cycle > halt_at + 2000:
                assert idle
                return
            if all(len(words) == count for words, count in zip(got, expected, strict=True)):
                return
        raise AssertionError("the words never came")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(memory.serve_reads, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    return words, got, memory.bursts, state["fault"], state["cycles"]


@pytest.mark.parametrize(("seed", "pace"), [(0, 1.0), (1, 0.5), (2, 0.2), (3, 0.8)])
def test_each_reader_gets_its_words_in_order(seed, pace):
    rng = random.Random(seed)
    requests = [
        [(rng.randrange(4000), rng.randrange(1, 200)) for _ in range(rng.randrange(1, 4))]
        for _ in range(3)
    ]
    words, got, bursts, fault, _ = run(requests, pace=pace, seed=seed)
    assert fault is None
    assert len(bursts) > 3
    for queue, received in zip(requests, got, strict=True):
        assert received == [words[first + i] for first, length in queue for i in range(length)]


def test_a_lone_reader_gets_a_word_a_cycle():
    _, got, _, _, cycles = run([[(0, 1000)]])
    assert len(got[0]) == 1000
    assert cycles < 1000 + 30


def test_a_bus_error_names_its_burst():
    _, _, _, fault, _ = run([[(0, 4)], [(100, 40)]], bad=[120])
    assert fault == (Fault.BUS_READ, 112 * 8)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ((8191, 2), Fault.OUT_OF_WINDOW),
        ((9000, 1), Fault.OUT_OF_WINDOW),
        ((0, 0xFFFFFFFF), Fault.OUT_OF_WINDOW),
        ((16, 0), Fault.BAD_FIELD),
    ],
)
def test_what_leaves_the_window_is_refused(request_, code):
    _, _, bursts, fault, _ = run([[request_]])
    assert fault == (code, request_[0] * 8)
    assert not bursts


def test_halt_lets_bursts_end_and_starts_no_more():
    _, got, bursts, _, _ = run([[(0, 4000)]], halt_at=100, pace=0.5)
    assert 0 < len(got[0]) < 4000
    assert len(got[0]) == sum(count for _, count, _ in bursts)


def test_a_count_of_clients_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not 0"):
        DmaReader(NANO, clients=0)
