import random

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from hw.streams.delay import delay


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_a_value_as_it_was(cycles):
    m = Module()
    value, late = Signal(signed(5)), Signal(signed(5))
    m.d.comb += late.eq(delay(m, value, cycles, "value"))
    m.d.sync += Signal().eq(0)  # so that there is a clock
    draw = random.Random(cycles)
    seen = []

    async def testbench(ctx):
        for _ in range(20):
            seen.append(draw.randrange(-16, 16))
            ctx.set(value, seen[-1])
            assert len(seen) <= cycles or ctx.get(late) == seen[-1 - cycles]
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert len(seen) == 20


def test_data_outlives_a_reset_and_flags_do_not():
    m = Module()
    value = Signal()
    data = delay(m, value, 1, "data")
    flag = delay(m, value, 1, "flag", reset_less=False)
    assert data.reset_less and not flag.reset_less
