import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.sim import Simulator

from hw.arithmetic.integers import clamp, thermometer


def values(shape, expression, inputs):
    """What ``expression`` gives for each of ``inputs``."""
    m, given, out = Module(), Signal(shape), Signal(signed(16))
    m.d.comb += out.eq(expression(given))
    found = []

    async def bench(ctx):
        for value in inputs:
            ctx.set(given, value)
            found.append(ctx.get(out))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize(("low", "high"), [(-128, 127), (0, 5), (-3, -3)])
def test_clamp(low, high):
    inputs = range(-512, 512)
    found = values(signed(10), lambda value: clamp(value, low, high), inputs)
    assert found == [min(max(value, low), high) for value in inputs]


@pytest.mark.parametrize("width", [1, 3, 8])
def test_thermometer(width):
    found = values(4, lambda count: thermometer(count, width), range(16))
    assert found == [(1 << min(count, width)) - 1 for count in range(16)]
