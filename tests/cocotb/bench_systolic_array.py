import random

import numpy as np
from cocotb.triggers import FallingEdge

from tests.cocotb.bench import compare, hardware_test, reset
from tests.cocotb.designs import COMPONENTS
from tests.hw.support.streams import from_bits, to_bits


@hardware_test
async def random_weights_vectors_and_swaps(dut):
    design = COMPONENTS["systolic_array"]()
    rows, columns = design.rows, design.columns
    dut.load.value = dut.swap.value = 0
    await reset(dut)
    coming = np.zeros((rows, columns), int)
    vectors, coming_then = [], []  # one entry for each cycle
    used = None  # by the latest vector of which the sums are there

    # All weights are known before they are put to use.
    writes = list(range(rows))
    for _ in range(1000):
        load, swap = bool(writes) or random.random() < 0.5, not writes and random.random() < 0.3
        row = writes.pop() if writes else random.randrange(rows)
        activations = [random.choice([-128, random.randrange(-128, 128)]) for _ in range(rows)]
        weights = [random.choice([-128, random.randrange(-128, 128)]) for _ in range(columns)]
        dut.activations.value = to_bits(design.activations.shape(), activations)
        dut.swap.value = swap
        dut.load.value = load
        dut.load_row.value = row
        dut.weights.value = to_bits(design.weights.shape(), weights)
        await FallingEdge(dut.clk)
        vectors.append((activations, swap))
        coming_then.append(coming.copy())
        if load:
            coming[row] = weights
        first = len(vectors) - design.latency
        if first >= 0:
            activations, swap = vectors[first]
            if swap:
                # Row r meets the swap r cycles after row 0 does.
                used = np.stack([coming_then[first + r][r] for r in range(rows)])
            if used is None:
                continue
            expected = np.array(activations) @ used
            actual = from_bits(design.sums.shape(), int(dut.sums.value))
            compare(actual, expected.tolist())
