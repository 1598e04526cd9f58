import random

import pytest
from amaranth.sim import Simulator

from hw.bus.clock_crossing import MACHINE_DOMAIN, MEMORY_DOMAIN, ClockCrossing

OUTWARDS, BACK = ("ar", "aw", "w"), ("r", "b")
WORDS = 24
NS = 1e-9


async def send(ctx, domain, channel, words, pace, rng):
    for word in words:
        while rng.random() > pace:
            await ctx.tick(domain)
        ctx.set(channel.payload.as_value(), word)
        ctx.set(channel.valid, 1)
        await ctx.tick(domain).until(channel.ready)
        ctx.set(channel.valid, 0)


async def receive(ctx, domain, channel, found, pace, rng):
    while True:
        ctx.set(channel.ready, rng.random() < pace)
        _, _, valid, ready, payload = await ctx.tick(domain).sample(
            channel.valid, channel.ready, channel.payload.as_value()
        )
        if valid and ready:
            found.append(payload)


def run(machine_ns, memory_ns, phase_ns, paces, seed):
    """What went in and came out of every channel."""
    rng = random.Random(seed)
    dut = ClockCrossing(data_bytes=4, id_bits=2, depth=4)
    simulator = Simulator(dut)
    simulator.add_clock(machine_ns * NS, domain=MACHINE_DOMAIN)
    simulator.add_clock(memory_ns * NS, phase=phase_ns * NS, domain=MEMORY_DOMAIN)
    sent, found = {}, {name: [] for name in (*OUTWARDS, *BACK)}
    for name in found:
        ends = [(MACHINE_DOMAIN, dut.machine), (MEMORY_DOMAIN, dut.memory)]
        (from_domain, source), (to_domain, target) = ends if name in OUTWARDS else reversed(ends)
        width = len(getattr(source, name).payload.as_value())
        sent[name] = [rng.getrandbits(width) for _ in range(WORDS)]

        async def producer(ctx, name=name, domain=from_domain, source=source):
            await send(ctx, domain, getattr(source, name), sent[name], paces[0], rng)

        async def consumer(ctx, name=name, domain=to_domain, target=target):
            await receive(ctx, domain, getattr(target, name), found[name], paces[1], rng)

        simulator.add_testbench(producer)
        simulator.add_testbench(consumer, background=True)
    # Ten cycles a word, of the slower clock and at the slower pace, are more than it takes.
    simulator.run_until(10 * WORDS * max(machine_ns, memory_ns) / min(paces) * NS)
    return sent, found


@pytest.mark.parametrize("paces", [(1, 1), (0.7, 0.3)])
@pytest.mark.parametrize("clocks", [(10, 10, 5), (10, 7, 1), (10, 3, 0), (3, 10, 2), (10, 37, 4)])
def test_every_word_arrives_once_and_in_order(clocks, paces):
    sent, found = run(*clocks, paces, seed=str((clocks, paces)))
    assert found == sent


@pytest.mark.parametrize("depth", [0, 2, 12, 4.0, "8"])
def test_a_depth_that_cannot_be_is_refused(depth):
    with pytest.raises(ValueError, match=f"not {depth!r}"):
        ClockCrossing(data_bytes=8, id_bits=2, depth=depth)
