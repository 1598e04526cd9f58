import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi_codes import Response
from hw.bus.dma_write import DmaWriter
from hw.status import Fault
from tests.hw.bus.test_dma_read import PORTS

BASE = 0x8000_0000


def run(requests, *, pace=1.0, seed=0, refuse=None, withhold=0, ports=1, latency=0):
    """Write ``requests`` [(word, length)]; the memory written, done pulses and the fault.

    The last ``withhold`` words never come.
    """
    config = PORTS[ports]
    dut = DmaWriter(config)
    size, port_size = config.dram_bytes_per_cycle, config.port_bytes
    rng = random.Random(seed)
    data = [rng.getrandbits(8 * size) for _ in range(sum(length for _, length in requests))]
    written = {}
    state = {"done": 0, "fault": None, "open": 0, "most": 0, "cycles": 0}

    def memory(number):
        axi = dut.axi[number]

        async def serve(ctx):
            bursts, came, answers, answer, cycle = [], [], [], None, 0
            sampled = ctx.tick().sample(
                axi.aw.valid, axi.aw.ready, axi.aw.payload.addr, axi.aw.payload.len,
                axi.w.valid, axi.w.ready, axi.w.payload.data, axi.w.payload.last, axi.b.ready,
            )  # fmt: skip
            async for *_, awv, awr, awaddr, awlen, wv, wr, wdata, wlast, bready in sampled:
                cycle += 1
                if awv and awr:
                    count = awlen + 1
                    assert awaddr // 4096 == (awaddr + port_size * count - 1) // 4096
                    assert (awaddr - BASE) // 256 % ports == number
                    bursts.append([(awaddr - BASE) // port_size + i for i in range(count)])
                    state["open"] += 1
                    state["most"] = max(state["most"], state["open"])
                if wv and wr:
                    came.append((wdata, wlast))
                if answer is not None and bready:
                    answer = None
                    state["open"] -= 1
                if bursts and len(came) >= len(bursts[0]) and rng.random() < pace:
                    addresses = bursts.pop(0)
                    words, came = came[: len(addresses)], came[len(addresses) :]
                    assert [last for _, last in words] == [0] * (len(words) - 1) + [1]
                    bad = refuse in [address // ports for address in addresses]
                    answers.append((cycle + latency, Response.DECERR if bad else Response.OKAY))
                    written.update(zip(addresses, (word for word, _ in words), strict=True))
                if answer is None and answers and answers[0][0] <= cycle:
                    answer = answers.pop(0)[1]
                ctx.set(axi.aw.ready, rng.random() < pace)
                ctx.set(axi.w.ready, rng.random() < pace)
                ctx.set(axi.b.valid, answer is not None)
                ctx.set(axi.b.payload.resp, answer or Response.OKAY)

        return serve

    async def bench(ctx):
        ctx.set(dut.window_base, BASE)
        ctx.set(dut.write_base, 512 * size)
        ctx.set(dut.write_size, 1024 * size)
        todo, words = list(requests), data[: len(data) - withhold]
        client = dut.client
        offer = False
        for _ in range(5000):
            state["cycles"] += 1
            ctx.set(client.requests.valid, bool(todo))
            if todo:
                ctx.set(client.requests.payload.offset, todo[0][0] * size)
                ctx.set(client.requests.payload.length, todo[0][1])
            offer = bool(words) and (offer or rng.random() < pace)
            ctx.set(client.words.valid, offer)
            ctx.set(client.words.payload, words[0] if offer else rng.getrandbits(8 * size))
            *_, request, word, done, fault, code, address = await ctx.tick().sample(
                client.requests.ready, client.words.ready, client.done,
                dut.fault.valid, dut.fault.code, dut.fault.address,
            )  # fmt: skip
            if todo and request:
                todo.pop(0)
            if offer and word:
                words.pop(0)
                offer = False
            state["done"] += done
            if fault:
                state["fault"] = (Fault(code), address)
                return
            if state["done"] == len(requests):
                return
        state["idle"] = ctx.get(dut.idle)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    for number in range(ports):
        simulator.add_testbench(memory(number), background=True)
    simulator.add_testbench(bench)
    simulator.run()
    whole = {}
    for address, beat in written.items():
        whole[address // ports] = whole.get(address // ports, 0) | beat << (
            8 * port_size * (address % ports)
        )
    return data, whole, state


@pytest.mark.parametrize("ports", PORTS)
@pytest.mark.parametrize(("seed", "pace"), [(0, 1.0), (1, 0.5), (2, 0.2)])
def test_every_word_lands_where_it_should_and_nothing_else_is_touched(seed, pace, ports):
    rng = random.Random(seed)
    starts = rng.sample(range(512, 1400, 64), 4)
    requests = [(start + rng.randrange(10), rng.randrange(1, 50)) for start in starts]
    data, written, state = run(requests, pace=pace, seed=seed, ports=ports)
    addresses = [first + i for first, length in requests for i in range(length)]
    assert (state["done"], state["fault"], state["open"]) == (4, None, 0)
    assert written == dict(zip(addresses, data, strict=True))


@pytest.mark.parametrize("ports", PORTS)
def test_bursts_do_not_wait_for_the_answers_of_those_before(ports):
    _, written, state = run([(512, 400)], latency=100, ports=ports)
    assert len(written) == 400
    assert 5 < state["most"] <= PORTS[ports].outstanding_bursts
    assert state["cycles"] < 400 + 5 * 130, "as many round trips as it takes for 8 bursts each"


def test_a_writer_that_stops_does_not_hold_the_bus():
    _, written, state = run([(512, 32)], withhold=5)
    assert (state["done"], state["open"], state["idle"]) == (0, 0, 1)
    assert len(written) == 16


@pytest.mark.parametrize("request_", [(511, 1), (1535, 2), (0, 1)])
def test_what_leaves_the_writable_part_is_refused(request_):
    _, written, state = run([request_])
    assert state["fault"] == (Fault.OUT_OF_WINDOW, request_[0] * 8)
    assert not written


@pytest.mark.parametrize("ports", PORTS)
def test_a_bus_error_names_its_burst(ports):
    _, _, state = run([(520, 20), (600, 90)], refuse=530, ports=ports, pace=0.5)
    assert state["fault"] == (Fault.BUS_WRITE, 528 * PORTS[ports].dram_bytes_per_cycle)
    assert state["done"] == 0
