import random

import pytest
from amaranth.sim import Simulator

from hw.streams.round_robin import RoundRobin


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_next_after_the_one_served_last_goes_first(count):
    dut = RoundRobin(count=count)
    rng = random.Random(count)
    served = []

    async def bench(ctx):
        last = 0
        for _ in range(200):
            requests, serve = rng.randrange(1 << count), rng.random() < 0.5
            ctx.set(dut.requests, requests)
            ctx.set(dut.serve, serve and requests != 0)
            order = [(last + 1 + step) % count for step in range(count)]
            expected = next((index for index in order if requests >> index & 1), None)
            if expected is not None:
                assert ctx.get(dut.grant) == expected
                if serve:
                    served.append(expected)
                    last = expected
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert set(served) == set(range(count))


def test_a_rhythm_of_service_starves_nobody():
    """All ask all the time, and one is served in every other cycle."""
    dut = RoundRobin(count=2)
    served = []

    async def bench(ctx):
        ctx.set(dut.requests, 0b11)
        for cycle in range(20):
            ctx.set(dut.serve, cycle % 2)
            if cycle % 2:
                served.append(ctx.get(dut.grant))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert served == [1, 0] * 5


def test_a_count_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not 0"):
        RoundRobin(count=0)
