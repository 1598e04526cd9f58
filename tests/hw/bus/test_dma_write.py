import random

import pytest
from amaranth.sim import Simulator

from hw.bus.axi_codes import Response
from hw.bus.dma_write import DmaWriter
from hw.config import PRESETS
from hw.status import Fault

NANO = PRESETS["nano"]
BASE = 0x8000_0000
WRITE_BASE, WRITE_SIZE = 4096, 8192


def run(requests, *, pace=1.0, seed=0, refuse=None, withhold=0):
    """Write ``requests`` [(word, length)]; the memory written, done pulses and the fault.

    The last ``withhold`` words never come.
    """
    dut = DmaWriter(NANO)
    axi, rng = dut.axi, random.Random(seed)
    data = [rng.getrandbits(64) for _ in range(sum(length for _, length in requests))]
    written = {}
    state = {"done": 0, "fault": None, "open": 0}

    async def memory(ctx):
        addresses, left, answer = [], [], None
        async for *_, awv, awr, awaddr, awlen, wv, wr, wdata, wlast, bready in ctx.tick().sample(
            axi.aw.valid, axi.aw.ready, axi.aw.payload.addr, axi.aw.payload.len,
            axi.w.valid, axi.w.ready, axi.w.payload.data, axi.w.payload.last, axi.b.ready,
        ):  # fmt: skip
            if awv and awr:
                count = awlen + 1
                assert awaddr // 4096 == (awaddr + 8 * count - 1) // 4096
                addresses = [(awaddr - BASE) // 8 + i for i in range(count)]
                state["open"] = count
            if wv and wr:
                left.append((wdata, wlast))
            if answer is not None and bready:
                answer = None
            if addresses and len(left) == len(addresses) and rng.random() < pace:
                assert [last for _, last in left] == [0] * (len(left) - 1) + [1]
                answer = Response.DECERR if refuse in addresses else Response.OKAY
                written.update(zip(addresses, (word for word, _ in left), strict=True))
                addresses, left, state["open"] = [], [], 0
            ctx.set(axi.aw.ready, rng.random() < pace)
            ctx.set(axi.w.ready, rng.random() < pace)
            ctx.set(axi.b.valid, answer is not None)
            ctx.set(axi.b.payload.resp, answer or Response.OKAY)

    async def bench(ctx):
        ctx.set(dut.window_base, BASE)
        ctx.set(dut.write_base, WRITE_BASE)
        ctx.set(dut.write_size, WRITE_SIZE)
        todo, words = list(requests), data[: len(data) - withhold]
        client = dut.client
        offer = False
        for _ in range(5000):
            ctx.set(client.requests.valid, bool(todo))
            if todo:
                ctx.set(client.requests.payload.offset, todo[0][0] * 8)
                ctx.set(client.requests.payload.length, todo[0][1])
            offer = bool(words) and (offer or rng.random() < pace)
            ctx.set(client.words.valid, offer)
            ctx.set(client.words.payload, words[0] if offer else rng.getrandbits(64))
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
    simulator.add_testbench(memory, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    return data, written, state


@pytest.mark.parametrize(("seed", "pace"), [(0, 1.0), (1, 0.5), (2, 0.2)])
def test_every_word_lands_where_it_should_and_nothing_else_is_touched(seed, pace):
    rng = random.Random(seed)
    starts = rng.sample(range(512, 1400, 64), 4)
    requests = [(start + rng.randrange(10), rng.randrange(1, 50)) for start in starts]
    data, written, state = run(requests, pace=pace, seed=seed)
    addresses = [first + i for first, length in requests for i in range(length)]
    assert state == {"done": 4, "fault": None, "open": 0}
    assert written == dict(zip(addresses, data, strict=True))


def test_a_writer_that_stops_does_not_hold_the_bus():
    _, written, state = run([(512, 32)], withhold=5)
    assert (state["done"], state["open"], state["idle"]) == (0, 0, 1)
    assert len(written) == 16


@pytest.mark.parametrize("request_", [(511, 1), (1535, 2), (0, 1)])
def test_what_leaves_the_writable_part_is_refused(request_):
    _, written, state = run([request_])
    assert state["fault"] == (Fault.OUT_OF_WINDOW, request_[0] * 8)
    assert not written


def test_a_bus_error_names_its_burst():
    _, _, state = run([(520, 20)], refuse=530)
    assert state["fault"] == (Fault.BUS_WRITE, 528 * 8)
    assert state["done"] == 0
