import random

from tests.cocotb.bench import compare, hardware_test, random_paces, run
from tests.cocotb.designs import COMPONENTS
from tests.hw.support.requantization import Case, f32_bits, requantize

LANES = 4


def random_case():
    """Half of them near the middle between two results."""
    total = random.randrange(-(2**31), 2**31) >> random.randrange(31)
    if total and random.random() < 0.5:
        half = random.randrange(260) + 0.5
        scale = min(f32_bits(half / abs(total)) + random.randint(-1, 1), 0x437FFFFF)
    else:
        scale = random.randint(0x00800000, 0x437FFFFF)
    bias = random.choice([0, random.randrange(-(2**31), 2**31)])
    return Case((total - bias + 2**31) % 2**32 - 2**31, bias, scale)


@hardware_test
async def random_words_at_random_paces(dut):
    for _ in range(4):
        words = [[random_case() for _ in range(LANES)] for _ in range(300)]
        lo, hi = sorted(random.sample(range(-128, 128), 2))
        output = (random.randrange(-128, 128), lo, hi)
        transfers = await run(
            dut,
            COMPONENTS["requantizer"](),
            inputs=dict(zip(("zero_point", "lo", "hi"), output, strict=True)),
            send={
                "i": [
                    {field: [getattr(case, field) for case in word] for field in Case._fields}
                    for word in words
                ]
            },
            receive={"o": len(words)},
            pace=random_paces("i", "o"),
            seed=random.getrandbits(32),
        )
        expected = [[requantize(case, *output) for case in word] for word in words]
        compare(transfers["o"].words, expected)
