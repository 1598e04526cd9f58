"""Beside Amaranth's own; what holds of every FIFO is proved in tests/formal/test_fifo.py."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.sim import Simulator

from hw.memory.buffered_fifo import BufferedFifo


def test_numbers_that_cannot_be():
    with pytest.raises(ValueError, match="depth must be an integer of at least 2, not 1"):
        BufferedFifo(width=8, depth=1)
    with pytest.raises(ValueError, match="width must be a positive integer, not -1"):
        BufferedFifo(width=-1, depth=4)


@pytest.mark.parametrize("depth", [2, 3, 5, 8])
def test_cycle_for_cycle_what_amaranth_has(depth):
    m = Module()
    m.submodules.ours = ours = BufferedFifo(width=8, depth=depth)
    m.submodules.theirs = theirs = SyncFIFOBuffered(width=8, depth=depth)

    async def bench(ctx):
        draw = random.Random(depth)
        taken = 0
        for _ in range(600):
            pace = 0.8 if draw.random() < 0.5 else 0.3
            word, put, take = draw.getrandbits(8), draw.random() < pace, draw.random() < 0.5
            for fifo in (ours, theirs):
                ctx.set(fifo.w_data, word)
                ctx.set(fifo.w_en, put)
                ctx.set(fifo.r_en, take)
            for name in ("w_rdy", "r_rdy", "level"):
                assert ctx.get(getattr(ours, name)) == ctx.get(getattr(theirs, name))
            if ctx.get(ours.r_rdy):
                assert ctx.get(ours.r_data) == ctx.get(theirs.r_data)
                taken += take
            await ctx.tick()
        assert taken > 100

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
