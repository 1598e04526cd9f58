import random

from amaranth.hdl import Module
from amaranth.sim import Simulator

from hw.streams.skid_buffer import SkidBuffer


def test_words_asked_for_while_there_is_room_arrive_in_order_at_full_rate():
    dut = SkidBuffer(8)
    asked, taken, cycles = [], [], []
    draw = random.Random(1)

    async def testbench(ctx):
        arriving = None
        for cycle in range(600):
            # At first the consumer is always ready, later it is not.
            ready = cycle < 100 or draw.random() < 0.5
            ctx.set(dut.arrives, arriving is not None)
            ctx.set(dut.word, draw.randrange(256) if arriving is None else arriving)
            ctx.set(dut.output.ready, ready)
            room, valid, word = (
                ctx.get(dut.room),
                ctx.get(dut.output.valid),
                ctx.get(dut.output.payload),
            )
            if valid and ready:
                taken.append(word)
                cycles.append(cycle)
            arriving = None
            if room and (cycle < 100 or draw.random() < 0.8) and cycle < 580:
                arriving = draw.randrange(256)
                asked.append(arriving)
            await ctx.tick()

    top = Module()
    top.submodules.dut = dut
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert len(taken) > 250
    assert taken == asked
    assert cycles[:98] == list(range(1, 99))
