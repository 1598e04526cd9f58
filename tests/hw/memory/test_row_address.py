import random

from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hw.memory.row_address import RowAddress

BITS = 6


def test_a_random_walk_is_where_arithmetic_says():
    m = Module()
    move, amount, pitch = Signal(2), Signal(8), Signal(8)
    address = RowAddress(m, BITS, pitch=pitch, name="address")
    with m.Switch(move):
        with m.Case(1):
            m.d.sync += address.begin(amount)
        with m.Case(2):
            m.d.sync += address.advance(amount)
        with m.Case(3):
            m.d.sync += address.advance_row()
    draw = random.Random(0)

    async def bench(ctx):
        start = row = along = 0
        step = draw.getrandbits(8)
        ctx.set(pitch, step)
        for _ in range(300):
            kind, value = draw.randrange(4), draw.getrandbits(8)
            ctx.set(move, kind)
            ctx.set(amount, value)
            await ctx.tick()
            if kind == 1:
                start, row, along = value, 0, 0
            elif kind == 2:
                along += value
            elif kind == 3:
                row, along = row + 1, 0
            first = start + row * step
            assert ctx.get(address.row) == first % (1 << BITS)
            assert ctx.get(address.here) == (first + along) % (1 << BITS)
            assert ctx.get(address.next_row) == (first + step) % (1 << BITS)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_the_address_may_be_a_signal_that_is_there_already():
    port = Signal(BITS)
    address = RowAddress(Module(), BITS, pitch=3, name="address", here=port)
    assert address.here is port
    assert address.row.name == "address_row"
