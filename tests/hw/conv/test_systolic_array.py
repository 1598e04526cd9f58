import random

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.conv.systolic_array import SystolicArray


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (4, 3), (3, 4), (2, 4)])
def test_every_vector_meets_the_weights_that_its_rows_hold(rows, columns):
    """Rows of weights change at random between vectors, and swaps come at random too."""
    dut = SystolicArray(rows=rows, columns=columns)
    rng = random.Random(rows * 10 + columns)
    checks = 0

    async def testbench(ctx):
        nonlocal checks
        coming = np.zeros((rows, columns), int)
        vectors, coming_then = [], []  # one entry for each cycle
        used = np.zeros((0, rows, columns), int)  # by the vector of each cycle
        for _ in range(400):
            activations = [rng.choice([-128, rng.randrange(-128, 128)]) for _ in range(rows)]
            swap, load = rng.random() < 0.3, rng.random() < 0.5
            row = rng.randrange(rows)
            weights = [rng.choice([-128, rng.randrange(-128, 128)]) for _ in range(columns)]
            ctx.set(dut.activations, activations)
            ctx.set(dut.swap, swap)
            ctx.set(dut.weights, weights)
            ctx.set(dut.load, load)
            ctx.set(dut.load_row, row)
            await ctx.tick()
            vectors.append((activations, swap))
            coming_then.append(coming.copy())
            if load:
                coming[row] = weights
            start = len(vectors) - dut.latency
            if start >= 0:
                activations, swap = vectors[start]
                # Row r meets the swap r cycles after row 0 does.
                found = np.stack([coming_then[start + r][r] for r in range(rows)])
                before = used[-1] if len(used) else np.zeros((rows, columns), int)
                used = np.concatenate([used, (found if swap else before)[None]])
                expected = np.array(activations) @ used[-1]
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
