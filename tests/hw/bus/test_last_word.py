import dataclasses
import random

import pytest
from amaranth.sim import Simulator

from hw.bus.last_word import LastWord
from tests.formal.dma import CONFIG


@pytest.mark.parametrize("burst_words", [1, 2, 4, 16])
def test_the_last_word_of_every_burst(burst_words):
    dut = LastWord(dataclasses.replace(CONFIG, burst_words=burst_words))
    finished = []

    async def bench(ctx):
        draw = random.Random(burst_words)
        for _ in range(100):
            length = draw.randint(1, burst_words)
            ctx.set(dut.burst, {"length": length, "single": length == 1})
            for number in range(1, length + 1):
                for _ in range(draw.choice([0, 0, 3])):
                    ctx.set(dut.taken, 0)
                    await ctx.tick()
                ctx.set(dut.taken, 1)
                assert ctx.get(dut.last) == (number == length)
                await ctx.tick()
        finished.append(True)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert finished, "nothing was checked"
