import random

from amaranth.sim import Simulator

from hw.control.token_counters import PRODUCERS, TokenCounters
from hw.isa import TOKEN_LIMIT, Engine


def run(bench):
    dut = TokenCounters()
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await bench(ctx, dut)

    simulator.add_testbench(testbench)
    simulator.run()


def test_tokens_are_counted_for_each_pair():
    seen = set()

    async def bench(ctx, dut):
        rng = random.Random(1)
        tokens = {(producer, consumer): 0 for producer in PRODUCERS for consumer in Engine}
        for _ in range(300):
            gives = [rng.getrandbits(len(Engine)) & rng.getrandbits(len(Engine)) for _ in PRODUCERS]
            waits = [
                rng.getrandbits(len(Engine)) & rng.getrandbits(len(Engine)) & ~1 for _ in Engine
            ]
            ready = [
                all(tokens[producer, consumer] for producer in PRODUCERS if wait >> producer & 1)
                for consumer, wait in zip(Engine, waits, strict=True)
            ]
            for position, give in enumerate(gives):
                ctx.set(dut.give[position], give)
            for consumer, wait in zip(Engine, waits, strict=True):
                ctx.set(dut.waits[consumer], wait)
            assert ctx.get(dut.ready) == sum(flag << c for c, flag in enumerate(ready))
            ctx.set(dut.take, ctx.get(dut.ready))
            for (producer, consumer), count in tokens.items():
                up = gives[PRODUCERS.index(producer)] >> consumer & 1
                down = ready[consumer] and waits[consumer] >> producer & 1
                lost = ctx.get(dut.lost[PRODUCERS.index(producer)]) >> consumer & 1
                assert lost == (count + up - down > TOKEN_LIMIT)
                tokens[producer, consumer] = count + up - down - lost
                seen.add(lost)
            await ctx.tick()

    run(bench)
    assert seen == {0, 1}


def test_who_waits_for_control_is_never_ready():
    everybody = (1 << len(Engine)) - 1

    async def bench(ctx, dut):
        ctx.set(dut.waits[Engine.CONV], 1 << Engine.CONTROL)
        for position in range(len(PRODUCERS)):
            ctx.set(dut.give[position], everybody)
        await ctx.tick()
        assert ctx.get(dut.ready) == everybody & ~(1 << Engine.CONV)

    run(bench)
