import random

import pytest
from amaranth.sim import Simulator

from hw.config import PRESETS
from hw.depthwise.line_buffer import LineBuffer
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_ROWS

NANO = PRESETS["nano"]
BITS = 8 * NANO.rows


def place(row, column):
    return {"row": row % DEPTHWISE_ROWS, "column": column // 3 % 128, "third": column % 3}


@pytest.mark.parametrize("seed", range(3))
def test_any_block_is_read_while_other_pixels_are_written(seed):
    """Against a dictionary of pixels; masks and fill come a cycle behind the address."""
    dut, rng = LineBuffer(NANO), random.Random(seed)
    fill = rng.randrange(-128, 128)
    padding = sum((fill & 0xFF) << 8 * channel for channel in range(NANO.rows))
    pixels, expected, seen = {}, [], 0

    async def bench(ctx):
        nonlocal seen
        ctx.set(dut.fill, fill)
        masks = (0, 0)
        for cycle in range(1500):
            # Rows and columns from one before the first on, as windows at a border have them.
            row, column = rng.randrange(-1, 12), rng.choice([-1, *range(9), 381, 382, 383])
            rows = {y for y in range(3) if rng.random() < 0.9}
            columns = {x for x in range(3) if 0 <= column + x < DEPTHWISE_COLUMNS}
            read = rng.random() < 0.8
            ctx.set(dut.read, read)
            ctx.set(dut.at, place(row, column))
            ctx.set(dut.rows_inside, masks[0])
            ctx.set(dut.columns_inside, masks[1])
            masks = sum(1 << y for y in rows), sum(1 << x for x in columns)
            block = []
            for y in range(3):
                for x in range(3):
                    inside = y in rows and x in columns
                    key = ((row + y) % DEPTHWISE_ROWS, column + x)
                    block.append(pixels.get(key) if inside else padding)
            expected.append(block if read else None)
            if cycle >= dut.LATENCY and expected[cycle - dut.LATENCY] is not None:
                for tap, value in zip(dut.taps, expected[cycle - dut.LATENCY], strict=True):
                    if value is not None:
                        assert ctx.get(tap) == value
                        seen += value != padding
            word = rng.getrandbits(BITS)
            key = (rng.randrange(DEPTHWISE_ROWS), rng.choice([*range(12), 381, 382, 383]))
            write = rng.random() < 0.9
            ctx.set(dut.write, write)
            ctx.set(dut.place, place(*key))
            ctx.set(dut.word, word)
            await ctx.tick()
            if write:
                pixels[key] = word

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen > 3000
