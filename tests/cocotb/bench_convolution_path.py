import random

import numpy as np

from tests.cocotb.bench import compare, hardware_test, random_paces, run
from tests.cocotb.designs import DESIGNS
from tests.hw.passes import layer


@hardware_test
async def random_tiles_at_random_paces(dut):
    design = DESIGNS["convolution_path"]()
    for _ in range(3):
        shapes = [(random.randint(1, 5), random.randint(1, 8)) for _ in range(6)]
        rng = np.random.default_rng(random.getrandbits(32))
        output = (random.randrange(-128, 128), -120, 110)
        send, expected = layer(rng, shapes, design.config, design.lanes, output)
        transfers = await run(
            dut,
            design,
            inputs=dict(zip(("zero_point", "lo", "hi"), output, strict=True)),
            send=send,
            receive={"outputs": len(expected)},
            pace=random_paces("weights", "activations", "parameters", "outputs"),
            seed=random.getrandbits(32),
        )
        compare(transfers["outputs"].words, expected)
