import dataclasses
import random

import pytest
from amaranth.sim import Simulator

from hw.bus.burst_address import BurstAddress
from hw.bus.dma_read import DmaReader
from hw.config import PRESETS
from hw.status import Fault
from tests.hw.support.axi_memory import AxiMemory

NANO = PRESETS["nano"]
PORTS = {
    ports: dataclasses.replace(
        NANO,
        modules=4,
        dram_bytes_per_cycle=4 * max(ports, 2),
        dram_ports=ports,
        port_granule_bytes=256,
    )
    for ports in (1, 2, 4)
}
BASE = 0x4_0000_0000


def run(requests, *, pace=1.0, seed=0, bad=(), window_size=1 << 16, halt_at=None, ports=1):
    """Send ``requests`` (a list of (word, length) per reader); words got, bursts, fault, cycles."""
    config = PORTS[ports]
    dut = DmaReader(config, clients=len(requests))
    size, port_size = config.dram_bytes_per_cycle, config.port_bytes
    rng = random.Random(seed)
    content = rng.randbytes(window_size)
    words = [
        int.from_bytes(content[at : at + size], "little") for at in range(0, window_size, size)
    ]
    beats = [
        int.from_bytes(content[at : at + port_size], "little")
        for at in range(0, window_size, port_size)
    ]
    memories = [
        AxiMemory(axi, data_bytes=port_size, words=beats, base=BASE, seed=seed, pace=pace, bad=bad)
        for axi in dut.axi
    ]
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
                    ctx.set(port.requests.payload.offset, queue[0][0] * size)
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
            # A request of no words ends with a fault.
            ends = all(length for queue in requests for _, length in queue)
            if ends and [len(words) for words in got] == expected:
                return
        raise AssertionError("the words never came")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for memory in memories:
        simulator.add_testbench(memory.serve_reads, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    for number, memory in enumerate(memories):
        granules = {first * port_size // 256 % ports for first, *_ in memory.bursts}
        assert granules <= {number}, "a burst at another port than its granule's"
    bursts = [burst for memory in memories for burst in memory.bursts]
    return words, got, bursts, state["fault"], state["cycles"]


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize(("seed", "pace"), [(0, 1.0), (1, 0.5), (2, 0.2)])
def test_each_reader_gets_its_words_in_order(seed, pace, ports):
    rng = random.Random(seed)
    requests = [
        [(rng.randrange(4000), rng.randrange(1, 200)) for _ in range(rng.randrange(1, 4))]
        for _ in range(3)
    ]
    words, got, bursts, fault, _ = run(requests, pace=pace, seed=seed, ports=ports)
    assert fault is None
    assert len(bursts) > 3
    for queue, received in zip(requests, got, strict=True):
        assert received == [words[first + i] for first, length in queue for i in range(length)]


@pytest.mark.parametrize("ports", PORTS)
def test_a_lone_reader_gets_a_word_a_cycle(ports):
    _, got, bursts, _, cycles = run([[(0, 1000)]], ports=ports)
    assert len(got[0]) == 1000
    assert cycles < 1000 + 80
    assert sum(count for _, count, _ in bursts) == 1000 * ports


@pytest.mark.parametrize("ports", PORTS)
def test_a_bus_error_names_its_burst_and_its_word_is_not_handed_on(ports):
    _, got, _, fault, _ = run([[(0, 4)], [(100, 40)]], bad=[120 * ports], ports=ports)
    size = PORTS[ports].dram_bytes_per_cycle
    assert fault == (Fault.BUS_READ, 112 * size)
    assert len(got[1]) == 20


def test_a_window_high_up():
    """The offset's carry reaches the upper half of the address."""
    dut = BurstAddress(data_bytes=8, id_bits=2)
    seen = []

    async def bench(ctx):
        base = 0x1234_FFFF_F000
        ctx.set(dut.window_base, base)
        ctx.set(dut.channel.ready, 1)
        ctx.set(dut.bursts.valid, 1)
        for offset in (0, 0xFF8, 0x1000, 0xFFFF_F008):
            ctx.set(dut.bursts.payload.offset, offset)
            ctx.set(dut.bursts.payload.len, 3)
            await ctx.tick().until(dut.bursts.ready)
            address, size = (
                await ctx.tick()
                .sample(dut.channel.payload.addr, dut.channel.payload.size)
                .until(dut.channel.valid)
            )
            assert (address, size) == (base + offset, 3)
            seen.append(address)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(seen) == 4


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
