"""The credits of CONV: none is lost, none too many, and nobody waits for nothing.

Nothing behind the admission can stop, so what it lets in must have its place: weights, and a tile
of the accumulation memory.
"""

import pytest
from amaranth.hdl import Assume, Signal

from hw.config import DnaConfig
from hw.conv import admission
from tests.formal.prove import before, claim, free, prove, reach, refute, variant

ROWS, TILES = 2, 2
CONFIG = DnaConfig(
    name="test",
    modules=4,
    rows=ROWS,
    columns=ROWS,
    lanes=ROWS,
    accumulation_depth=2,
    dram_bytes_per_cycle=8,
    feature_words=64,
    weight_fifo_words=4,
)
DEPTH = 10


def place(m, module):
    """An admission with tiles that leave the memory when they like."""
    m.submodules.dut = dut = module.Admission(CONFIG)
    free(m, dut)
    enters, loads = Signal(), Signal()
    inside = Signal(range(TILES + 2))  # tiles that have begun and not left
    m.d.comb += [
        enters.eq(dut.pixels.valid & dut.pixels.ready),
        loads.eq(dut.rows.valid & dut.rows.ready),
        Assume(~dut.released | (inside != 0)),
    ]
    m.d.sync += inside.eq(inside + (enters & dut.pixels.payload.begins) - dut.released)
    return dut, enters, loads, inside


def credits(module=admission):
    def fill(m):
        dut, enters, _, inside = place(m, module)
        claim(m, "never_more_tiles_than_fit", inside <= TILES)
        claim(m, "the_first_credit_first", dut.credits[0] | ~dut.credits[1])
        claim(m, "a_credit_for_each_free_tile", dut.credits[0] + dut.credits[1] + inside == TILES)
        reach(m, "full", (inside == TILES) & before(m, enters))

    return fill


def weights(module=admission):
    def fill(m):
        dut, enters, loads, _ = place(m, module)
        rows = Signal(range(ROWS + 1))  # of the next weights
        used = Signal()  # there are weights in use
        with m.If(dut.swap):
            m.d.sync += rows.eq(loads)
        with m.Elif(loads):
            m.d.sync += rows.eq(rows + 1)
        m.d.sync += used.eq((used | dut.swap) & ~(enters & dut.pixels.payload.last))
        claim(m, "a_pixel_has_weights", ~enters | used | dut.swap)
        claim(m, "only_complete_weights_are_used", ~dut.swap | (rows == ROWS))
        claim(m, "weights_in_use_stay", ~(dut.swap & used))
        claim(m, "no_weights_are_overwritten", ~loads | dut.swap | (rows != ROWS))
        claim(m, "rows_are_counted", (rows <= ROWS) & (dut.load_row == rows % ROWS))
        claim(m, "known_when_complete", (dut.swap | ~dut.rows.ready) == (rows == ROWS))
        claim(m, "used_as_soon_as_can_be", dut.swap == ((rows == ROWS) & ~used))
        claim(m, "known_when_there", dut.has_weights == (used | (rows == ROWS)))
        reach(m, "both_sets_are_there", used & (rows == ROWS) & dut.has_weights)

    return fill


def progress(module=admission):
    """Rows and pixels are always there, and tiles leave: then a pixel enters every R cycles."""

    def fill(m):
        dut, enters, _, _ = place(m, module)
        m.d.comb += Assume(dut.pixels.valid & dut.rows.valid)
        waited = Signal(range(ROWS + 2))
        rows = Signal(range(ROWS + 1))
        with m.If(dut.swap):
            m.d.sync += rows.eq(1)
        with m.Elif(dut.load):
            m.d.sync += rows.eq(rows + 1)
        blocked = dut.pixels.payload.begins & ~dut.credits[0]
        with m.If(enters | blocked):
            m.d.sync += waited.eq(0)
        with m.Else():
            m.d.sync += waited.eq(waited + 1)
        claim(m, "a_pixel_enters_in_time", waited <= ROWS)
        # While one waits for weights, they come.
        claim(m, "rows_come", dut.has_weights | (waited <= rows))
        claim(m, "until_there_are_weights", dut.has_weights | (rows < ROWS))
        claim(m, "then_nobody_waits", ~dut.has_weights | (waited <= ROWS))
        claim(m, "rows_are_counted", (rows <= ROWS) & (dut.load_row == rows % ROWS))
        claim(m, "known_when_complete", (dut.swap | ~dut.rows.ready) == (rows == ROWS))
        reach(m, "a_pixel_waits_for_all_its_rows", waited == ROWS)

    return fill


@pytest.mark.parametrize("bench", [credits, weights, progress], ids=lambda bench: bench.__name__)
def test_admission(bench):
    prove(bench(), depth=DEPTH, induction=True)


@pytest.mark.parametrize(
    ("bench", "old", "new", "violated"),
    [
        (credits, "Out(2, init=0b11)", "Out(3, init=0b111)", "never_more_tiles_than_fit"),
        (credits, "paid & ~self.released", "taken & ~self.released", "a_credit_for_each_free_tile"),
        (credits, "(self.credits[0] | ~pixel.begins)", "1", "never_more_tiles_than_fit"),
        (weights, "~(complete & in_use)", "1", "no_weights_are_overwritten"),
        (
            weights,
            "self.swap.eq(complete & ~in_use)",
            "self.swap.eq(complete)",
            "weights_in_use_stay",
        ),
        (weights, "self._rows - 1)", "self._rows - 2)", "only_complete_weights_are_used"),
        (
            weights,
            "self.has_weights.eq(in_use | complete)",
            "self.has_weights.eq(1)",
            "a_pixel_has_weights",
        ),
        (progress, "~(complete & in_use)", "in_use", "a_pixel_enters_in_time"),
    ],
)
def test_a_wrong_admission_is_found(bench, old, new, violated):
    refute(bench(variant(admission, (old, new))), violated, depth=DEPTH)
