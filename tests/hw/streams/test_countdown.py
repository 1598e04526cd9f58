import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.streams.countdown import Countdown


def walk(turns, step, rounds=3, before=1):
    """Of each turn of some rounds: what is left, ``last`` and ``next_last``."""
    m = Module()
    count, begin = Signal(8, init=turns), Signal()
    loop = Countdown(m, count, name="loop", step=step)
    with m.If(begin | loop.last):
        m.d.sync += loop.begin()
    with m.Else():
        m.d.sync += loop.step()
    seen = []

    async def testbench(ctx):
        await ctx.tick().repeat(before)
        ctx.set(begin, 1)
        await ctx.tick()
        ctx.set(begin, 0)
        for _ in range(rounds * -(-turns // step)):
            seen.append((ctx.get(loop.left), ctx.get(loop.last), ctx.get(loop.next_last)))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


@pytest.mark.parametrize("step", [1, 2, 4])
@pytest.mark.parametrize("turns", [1, 2, 3, 4, 5, 8, 9, 255])
def test_the_last_turn_is_known_in_it_and_before_it(turns, step):
    lefts = list(range(turns, 0, -step))
    last = [left <= step for left in lefts]
    following = [*last[1:], last[0]]
    assert walk(turns, step) == list(zip(lefts, last, following, strict=True)) * 3
