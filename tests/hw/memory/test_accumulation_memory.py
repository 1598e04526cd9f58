import random

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hw.memory.accumulation_memory import AccumulationMemory
from hw.microarchitecture import ACCUMULATION_LATENCY
from tests.hw.support.streams import from_bits

COLUMNS, DEPTH = 2, 8


class Bench:
    """Sends tiles as soon as the rules allow, or later, and takes pixels at a pace."""

    def __init__(self):
        self.dut = AccumulationMemory(columns=COLUMNS, depth=DEPTH)
        self.simulator = Simulator(self.dut)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.testbench)
        self.used = False

    def run(self, tiles, *, sums=1.0, pixels=1.0, seed=0):
        """Run ``tiles`` and check every pixel; the cycles of sums and of pixels."""
        if self.used:
            self.simulator.reset()
        self.used = True
        self.tiles, self.paces, self.random = tiles, (sums, pixels), random.Random(seed)
        self.sent, self.taken, self.words, self.released = [], [], [], []
        self.simulator.run()
        assert self.words == [word for tile in tiles for word in pixel_words(tile)]
        assert len(self.released) == len(tiles)
        return self

    async def testbench(self, ctx):
        dut = self.dut
        todo = [
            (number, n, word)
            for number, tile in enumerate(self.tiles)
            for n, word in sum_words(tile)
        ]
        expected = sum(tile.shape[1] for tile in self.tiles)
        touched = {}
        cycle = 0
        waiting = None
        while len(self.taken) < expected or len(self.released) < len(self.tiles):
            assert cycle < 20000, "stuck"
            send = False
            if todo:
                number, n, word = todo[0]
                allowed = number < 2 + len(self.released) and cycle >= touched.get((number, n), 0)
                send = allowed and self.random.random() < self.paces[0]
                ctx.set(dut.sums.payload, word)
            ctx.set(dut.sums.valid, send)
            ctx.set(dut.pixels.ready, self.random.random() < self.paces[1])
            _, _, valid, ready, bits, released = await ctx.tick().sample(
                dut.pixels.valid, dut.pixels.ready, Value.cast(dut.pixels.payload), dut.released
            )
            if send:
                todo.pop(0)
                touched[number, n] = cycle + ACCUMULATION_LATENCY
                self.sent.append(cycle)
            assert waiting in (None, (valid, bits)), "changed while waiting"
            waiting = (valid, bits) if valid and not ready else None
            if valid and ready:
                self.words.append(from_bits(dut.pixels.payload.shape(), bits))
                self.taken.append(cycle)
            if released:
                self.released.append(cycle)
            cycle += 1


def sum_words(tile):
    """(accumulator, word) of every pixel of every pass."""
    passes, pixels, _ = tile.shape
    for k in range(passes):
        for n in range(pixels):
            yield (
                n,
                {
                    "data": tile[k, n].tolist(),
                    "first": int(k == 0),
                    "last": int(n == pixels - 1),
                    "final": int(k == passes - 1),
                },
            )


def pixel_words(tile):
    wrapped = (tile.sum(axis=0) + 2**31) % 2**32 - 2**31
    return [
        {"data": row.tolist(), "last": int(n == len(wrapped) - 1)} for n, row in enumerate(wrapped)
    ]


@pytest.fixture(scope="module")
def bench():
    return Bench()


def random_tile(rng, passes, pixels):
    """int32 [passes, pixels, columns], large enough to wrap."""
    return rng.integers(-(2**31), 2**31, (passes, pixels, COLUMNS))


@pytest.mark.parametrize("seed", range(8))
def test_random_tiles_at_random_paces(bench, seed):
    rng = np.random.default_rng(seed)
    tiles = [
        random_tile(rng, int(rng.integers(1, 5)), int(rng.integers(1, DEPTH + 1)))
        for _ in range(20)
    ]
    pace = {name: float(rng.choice([0.2, 0.6, 1])) for name in ("sums", "pixels")}
    bench.run(tiles, **pace, seed=seed)


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, DEPTH])
def test_a_short_pass_adds_to_what_was_only_just_written(bench, pixels):
    tile = random_tile(np.random.default_rng(0), 12, pixels)
    run = bench.run([tile, tile])
    assert np.diff(run.sent[::pixels]).tolist() == [max(pixels, ACCUMULATION_LATENCY)] * 11 + [
        pixels,
        *[max(pixels, ACCUMULATION_LATENCY)] * 11,
    ]


def test_carries_go_from_the_low_half_into_the_high_one(bench):
    steps = [0xFFFF, 1, -1, -0x10000, 0x7FFF0000, 0x10000, -0x8000]
    tile = np.array([[[value, -value]] for value in steps])
    bench.run([tile])


def test_drains_while_the_other_tile_fills(bench):
    tiles = [random_tile(np.random.default_rng(n), 2, DEPTH) for n in range(6)]
    run = bench.run(tiles)
    # A full tile leaves a pixel a cycle, and the next comes in meanwhile.
    start = 2 * DEPTH - 1 + ACCUMULATION_LATENCY + 2
    assert run.taken[:DEPTH] == list(range(start, start + DEPTH))
    assert run.sent == list(range(6 * 2 * DEPTH))


def test_a_tile_is_released_when_its_last_pixel_has_left_the_memory(bench):
    tiles = [random_tile(np.random.default_rng(n), 1, 4) for n in range(4)]
    run = bench.run(tiles)
    # There it stood for a cycle in a slot, and in the next it was taken.
    assert run.released[0] == run.taken[3]
    run = bench.run(tiles, pixels=0.05, seed=2)
    assert run.sent[8] == run.released[0] + 1
    assert run.taken[1] <= run.released[0] <= run.taken[2] + 1


@pytest.mark.parametrize("depth", [0, 1, 3, 6, -8, "8"])
def test_refuses_a_bad_depth(depth):
    with pytest.raises(ValueError, match=f"depth must be .* not {depth!r}"):
        AccumulationMemory(columns=2, depth=depth)


@pytest.mark.parametrize("columns", [0, -1, "2"])
def test_refuses_bad_columns(columns):
    with pytest.raises(ValueError, match=f"columns must be .* not {columns!r}"):
        AccumulationMemory(columns=columns, depth=8)
