import random

import numpy as np
from cocotb.triggers import FallingEdge

from tests.cocotb.bench import compare, hardware_test, reset
from tests.cocotb.designs import DESIGNS
from tests.hw.support.streams import from_bits, to_bits


@hardware_test
async def random_weights_vectors_and_stalls(dut):
    design = DESIGNS["systolic_array"]()
    rows, columns = design.rows, design.columns
    dut.enable.value = 0
    await reset(dut)
    weights_now = np.zeros((2, rows, columns), int)
    vectors, weights_before = [], []  # one entry for each enabled cycle

    # Both planes hold known weights before anything is compared.
    writes = [(plane, row) for plane in range(2) for row in range(rows)]
    for _ in range(1000):
        plane, row = writes.pop() if writes else (random.randrange(2), random.randrange(rows))
        enable, load = bool(writes) or random.random() < 0.7, bool(writes) or random.random() < 0.5
        activations = [random.choice([-128, random.randrange(-128, 128)]) for _ in range(rows)]
        weights = [random.choice([-128, random.randrange(-128, 128)]) for _ in range(columns)]
        dut.enable.value = enable
        dut.activations.value = to_bits(design.activations.shape(), activations)
        dut.plane.value = used = random.randrange(2)
        dut.load.value = load
        dut.load_row.value = row
        dut.load_plane.value = plane
        dut.weights.value = to_bits(design.weights.shape(), weights)
        await FallingEdge(dut.clk)
        if enable:
            vectors.append((activations, used))
            weights_before.append(weights_now.copy())
            if load:
                weights_now[plane, row] = weights
        first = len(vectors) - design.latency
        if first >= 0:
            activations, used = vectors[first]
            expected = sum(activations[r] * weights_before[first + r][used, r] for r in range(rows))
            actual = from_bits(design.sums.shape(), int(dut.sums.value))
            compare(actual, expected.tolist())
