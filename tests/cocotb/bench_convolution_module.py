import random

import numpy as np

from tests.cocotb.bench import compare, hardware_test, random_paces, run
from tests.cocotb.designs import DESIGNS
from tests.hw.support.passes import Tile


async def run_tiles(dut, shapes, pace):
    """Run tiles of (passes, pixels) and check every word; the transfers."""
    design = DESIGNS["convolution_module"]()
    rng = np.random.default_rng(random.getrandbits(32))
    tiles = [Tile.random(rng, passes=k, pixels=n, rows=4, columns=4) for k, n in shapes]
    expected = [word for tile in tiles for word in tile.sum_words]
    transfers = await run(
        dut,
        design,
        send={
            "weights": [word for tile in tiles for word in tile.weight_words],
            "activations": [word for tile in tiles for word in tile.activation_words],
        },
        receive={"sums": len(expected)},
        pace=pace,
        seed=random.getrandbits(32),
    )
    compare(transfers["sums"].words, expected)
    return transfers


@hardware_test
async def random_passes_at_random_paces(dut):
    for _ in range(4):
        shapes = [(random.randint(1, 4), random.randint(1, 9)) for _ in range(8)]
        await run_tiles(dut, shapes, random_paces("weights", "activations", "sums"))


@hardware_test
async def passes_follow_each_other_without_a_bubble(dut):
    cycles = (await run_tiles(dut, [(20, 4)], {}))["sums"].cycles
    compare(cycles, list(range(cycles[0], cycles[0] + 20 * 4)))
