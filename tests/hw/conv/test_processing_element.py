import random

import pytest
from amaranth.sim import Simulator

from hw.conv.processing_element import ProcessingElement


def test_matches_a_model_of_the_weight_in_use_and_the_next():
    dut = ProcessingElement(sum_width=20)
    rng = random.Random(1)
    checks = 0

    async def testbench(ctx):
        nonlocal checks
        used = coming = 0
        operands = product = None
        for _ in range(500):
            activation, weight = (rng.choice([-128, 127, rng.randrange(-128, 128)]) for _ in "ab")
            swap, load = (rng.randrange(2) for _ in "ab")
            above = rng.randrange(-(2**17), 2**17)
            ctx.set(dut.activation_in, activation)
            ctx.set(dut.swap_in, swap)
            ctx.set(dut.sum_in, above)
            ctx.set(dut.weight, weight)
            ctx.set(dut.load, load)
            await ctx.tick()
            assert ctx.get(dut.activation_out) == activation
            assert ctx.get(dut.swap_out) == swap
            if product is not None:
                assert ctx.get(dut.sum_out) == above + product
                checks += 1
            product = None if operands is None else operands[0] * operands[1]
            used = coming if swap else used
            coming = weight if load else coming
            operands = activation, used

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert checks == 498


@pytest.mark.parametrize("sum_width", [15, 0, -1, "16", 16.0])
def test_refuses_a_narrow_sum(sum_width):
    with pytest.raises(ValueError, match=f"sum_width must be .* not {sum_width!r}"):
        ProcessingElement(sum_width=sum_width)
