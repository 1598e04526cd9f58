import random

import pytest
from amaranth.sim import Simulator

from hw.streams.register_slice import RegisterSlice


@pytest.mark.parametrize(("give", "take"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.3, 0.4)])
def test_words_come_out_in_order_and_ready_depends_on_nothing(give, take):
    dut, rng, words = RegisterSlice(8), random.Random(1), list(range(200))
    got, cycles = [], 0

    async def bench(ctx):
        nonlocal cycles
        todo, offered = list(words), False
        while len(got) < len(words):
            ready = ctx.get(dut.input.ready)
            ctx.set(dut.output.ready, rng.random() < take)
            offered = bool(todo) and (offered or rng.random() < give)
            ctx.set(dut.input.valid, offered)
            ctx.set(dut.input.payload, todo[0] if offered else 255)
            assert ctx.get(dut.input.ready) == ready
            *_, accepted, valid, taken, word = await ctx.tick().sample(
                dut.input.ready, dut.output.valid, dut.output.ready, dut.output.payload
            )
            if offered and accepted:
                todo.pop(0)
                offered = False
            if valid and taken:
                got.append(word)
            cycles += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert got == words
    if give == take == 1.0:
        assert cycles == len(words) + 1
