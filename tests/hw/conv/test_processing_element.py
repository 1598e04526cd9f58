import random

import pytest
from amaranth.sim import Simulator

from hw.conv.processing_element import ProcessingElement


def test_matches_a_model_of_two_planes():
    dut = ProcessingElement(sum_width=20)
    rng = random.Random(1)
    checks = 0

    async def testbench(ctx):
        nonlocal checks
        weights = [0, 0]
        for _ in range(500):
            activation, weight = (rng.choice([-128, 127, rng.randrange(-128, 128)]) for _ in "ab")
            plane, load, load_plane = (rng.randrange(2) for _ in "abc")
            above = rng.randrange(-(2**17), 2**17)
            ctx.set(dut.activation_in, activation)
            ctx.set(dut.plane_in, plane)
            ctx.set(dut.sum_in, above)
            ctx.set(dut.weight, weight)
            ctx.set(dut.load, load)
            ctx.set(dut.load_plane, load_plane)
            await ctx.tick()
            assert ctx.get(dut.sum_out) == above + activation * weights[plane]
            assert ctx.get(dut.activation_out) == activation
            assert ctx.get(dut.plane_out) == plane
            checks += 1
            if load:
                weights[load_plane] = weight

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert checks == 500


@pytest.mark.parametrize("sum_width", [15, 0, -1, "16", 16.0])
def test_refuses_a_narrow_sum(sum_width):
    with pytest.raises(ValueError, match=f"sum_width must be .* not {sum_width!r}"):
        ProcessingElement(sum_width=sum_width)
