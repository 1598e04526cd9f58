import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.conv.systolic_array import SystolicArray


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (4, 3), (3, 4), (2, 4)])
def test_every_vector_meets_the_weights_that_its_rows_hold(rows, columns):
    """Weights change at random between vectors, and a random enable freezes the lot."""
    dut = SystolicArray(rows=rows, columns=columns)
    rng = random.Random(rows * 10 + columns)
    checks = 0

    async def testbench(ctx):
        nonlocal checks
        weights_now = np.zeros((2, rows, columns), int)
        vectors, weights_before = [], []  # one entry for each enabled cycle
        for _ in range(400):
            enable = rng.random() < 0.7
            activations = [rng.choice([-128, rng.randrange(-128, 128)]) for _ in range(rows)]
            plane, load, load_plane = (rng.randrange(2) for _ in "abc")
            row = rng.randrange(rows)
            weights = [rng.choice([-128, rng.randrange(-128, 128)]) for _ in range(columns)]
            ctx.set(dut.enable, enable)
            ctx.set(dut.activations, activations)
            ctx.set(dut.plane, plane)
            ctx.set(dut.weights, weights)
            ctx.set(dut.load, load)
            ctx.set(dut.load_row, row)
            ctx.set(dut.load_plane, load_plane)
            await ctx.tick()
            if enable:
                vectors.append((activations, plane))
                weights_before.append(weights_now.copy())
                if load:
                    weights_now[load_plane, row] = weights
            start = len(vectors) - dut.latency
            if start >= 0:
                activations, plane = vectors[start]
                expected = sum(
                    activations[r] * weights_before[start + r][plane, r] for r in range(rows)
                )
                assert list(ctx.get(dut.sums)) == expected.tolist()
                checks += 1

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert checks > 300


@pytest.mark.parametrize("value", [1, 0, -4, "4", 2.0])
@pytest.mark.parametrize("name", ["rows", "columns"])
def test_refuses_a_bad_size(name, value):
    sizes = {"rows": 4, "columns": 4, name: value}
    with pytest.raises(ValueError, match=f"{name} must be .* not {value!r}"):
        SystolicArray(**sizes)
