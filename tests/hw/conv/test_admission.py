import random

import pytest
from amaranth.sim import Simulator

from hw.config import PRESETS
from hw.conv.admission import Admission

ROWS = PRESETS["nano"].rows


class Bench:
    """Pixels and rows at random paces, and tiles that drain when they like."""

    def __init__(self):
        self.dut = Admission(PRESETS["nano"])
        self.simulator = Simulator(self.dut)
        self.simulator.add_clock(1e-6)
        self.simulator.add_testbench(self.testbench)
        self.used = False

    def run(self, tiles, *, pixels=1.0, rows=1.0, drains=1.0, seed=0):
        """``tiles``: (passes, pixels); the cycles in which pixels, rows and swaps went in."""
        if self.used:
            self.simulator.reset()
        self.used = True
        self.todo = [
            {"begins": int(k == n == 0), "last": int(n == count - 1), "final": int(k == passes - 1)}
            for passes, count in tiles
            for k in range(passes)
            for n in range(count)
        ]
        self.rows_left = ROWS * sum(passes for passes, _ in tiles)
        self.chances, self.random = (pixels, rows, drains), random.Random(seed)
        self.pixels, self.rows, self.swaps, self.releases = [], [], [], []
        self.simulator.run()
        assert not self.todo and not self.rows_left
        return self

    def chance(self, number):
        return self.random.random() < self.chances[number]

    async def testbench(self, ctx):
        dut, cycle = self.dut, 0
        places, complete = 2, 0  # tiles that may begin, tiles that may drain
        coming, current, row = None, None, 0  # passes whose weights are there
        passes = 0
        while self.todo or self.rows_left or self.releases[-1:] == [cycle]:
            assert cycle < 5000, "stuck"
            ctx.set(dut.pixels.valid, bool(self.todo) and self.chance(0))
            if self.todo:
                ctx.set(dut.pixels.payload, self.todo[0])
            ctx.set(dut.rows.valid, self.rows_left > 0 and self.chance(1))
            released = complete > 0 and self.chance(2)
            ctx.set(dut.released, released)
            _, _, valid, ready, offers, takes, swap, load, load_row = await ctx.tick().sample(
                dut.pixels.valid,
                dut.pixels.ready,
                dut.rows.valid,
                dut.rows.ready,
                dut.swap,
                dut.load,
                dut.load_row,
            )
            assert load == (offers and takes)
            if swap:
                assert current is None and coming == ROWS, "a swap of what is not complete"
                current, coming = passes, 0
                passes += 1
                self.swaps.append(cycle)
            if load:
                assert load_row == row and coming != ROWS, "overwrites what nobody used"
                row = (row + 1) % ROWS
                coming = (coming or 0) + 1
                self.rows_left -= 1
                self.rows.append(cycle)
            if valid and ready:
                pixel = self.todo.pop(0)
                assert current is not None, "no weights"
                self.pixels.append(cycle)
                if pixel["begins"]:
                    assert places, "no place for a tile"
                    places -= 1
                if pixel["last"]:
                    current = None
                complete += pixel["last"] and pixel["final"]
            if released:
                complete -= 1
                places += 1
                self.releases.append(cycle)
            cycle += 1


@pytest.fixture(scope="module")
def bench():
    return Bench()


@pytest.mark.parametrize("seed", range(6))
def test_random_tiles_at_random_paces(bench, seed):
    rng = random.Random(seed)
    tiles = [(rng.randint(1, 4), rng.randint(1, 9)) for _ in range(15)]
    paces = {name: rng.choice([0.2, 0.6, 1.0]) for name in ("pixels", "rows", "drains")}
    bench.run(tiles, **paces, seed=seed)


@pytest.mark.parametrize("pixels", [ROWS, ROWS + 1, 9])
def test_no_bubble_between_passes_as_long_as_the_array_is_high(bench, pixels):
    run = bench.run([(10, pixels)])
    assert run.pixels == list(range(ROWS, ROWS + 10 * pixels))


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_a_shorter_pass_costs_the_cycles_of_its_weights(bench, pixels):
    run = bench.run([(10, pixels)])
    assert run.pixels[::pixels] == [ROWS * (number + 1) for number in range(10)]
    assert run.rows == list(range(10 * ROWS))


def test_weights_of_two_passes_are_taken_before_any_pixel(bench):
    run = bench.run([(3, 4)], pixels=0.02, seed=3)
    assert run.rows[: 2 * ROWS] == list(range(2 * ROWS))
    # The third set is taken from the cycle on in which the second is put to use.
    assert run.rows[2 * ROWS] == run.pixels[3] + 1 == run.swaps[1]


def test_a_third_tile_waits_for_the_first_to_leave(bench):
    run = bench.run([(1, 4)] * 4, drains=0.05, seed=1)
    assert run.pixels[8] == run.releases[0] + 1
