import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from hw.arithmetic.serial_multiplier import FACTOR_BITS, SerialMultiplier


@pytest.mark.parametrize("subtract", [False, True])
def test_every_factor(subtract):
    m = Module()
    target, other = Signal(20), Signal(20)
    factor, begin = Signal(signed(FACTOR_BITS)), Signal()
    multiplier = SerialMultiplier(m, target, factor, subtract=subtract)
    with m.If(begin):
        m.d.sync += [multiplier.begin(77), other.eq(4321)]
    with m.Else():
        m.d.sync += [multiplier.step(other), other.eq(other << 2)]

    async def testbench(ctx):
        for value in range(-128, 128):
            ctx.set(factor, value)
            ctx.set(begin, 1)
            await ctx.tick()
            ctx.set(begin, 0)
            await ctx.tick().repeat(SerialMultiplier.STEPS)
            wanted = 77 + (-value if subtract else value) * 4321
            assert ctx.get(target) == wanted % (1 << 20), value

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
