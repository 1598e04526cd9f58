"""FIFOs, Amaranth's and the one in a RAM: in order, nothing lost, nothing from nowhere.

The counts are proved by induction. The order is proved for as many cycles as it takes to write a
word at every position of the two pointers, and to read it however much was written behind it. One
bit of data is enough: nothing in a FIFO depends on it.
"""

import pytest
from amaranth.hdl import Signal
from amaranth.lib import fifo

from hw.memory import buffered_fifo
from tests.formal.prove import any_constant, any_value, claim, prove, reach, refute, variant

DEPTH = 4
CYCLES = 3 * DEPTH + 2
MODULES = {"SyncFIFO": fifo, "BufferedFifo": buffered_fifo}
REGISTERS = "some, full = Signal(), Signal()"
SHOWN = (REGISTERS, f"{REGISTERS}; self.registers = level, some, full")


def changed(kind, *changes):
    """The module of a FIFO with these changes; the one in a RAM shows its registers."""
    shown = [SHOWN] if kind == "BufferedFifo" else []
    return variant(MODULES[kind], *shown, *changes)


def place(m, kind, changes):
    dut = getattr(changed(kind, *changes), kind)(width=1, depth=DEPTH)
    m.submodules.dut = dut.elaborate(None)
    for signal in (dut.w_data, dut.w_en, dut.r_en):
        any_value(m, signal)
    return dut, dut.w_en & dut.w_rdy, dut.r_en & dut.r_rdy


def counts(kind, *changes):
    def fill(m):
        dut, written, read = place(m, kind, changes)
        inside = Signal(range(DEPTH + 1))
        m.d.sync += inside.eq(inside + written - read)
        claim(m, "level_is_what_is_inside", dut.level == inside)
        claim(m, "never_more_than_fit", inside <= DEPTH)
        with m.If(inside == 0):
            claim(m, "nothing_from_nowhere", ~dut.r_rdy)
            claim(m, "room_when_empty", dut.w_rdy)
        with m.If(inside == DEPTH):
            claim(m, "no_overflow", ~dut.w_rdy)
        if kind == "BufferedFifo":
            level, some, full = dut.registers
            claim(m, "knows_that_it_has_some", some == (level != 0))
            claim(m, "knows_that_it_is_full", full == (level == DEPTH - 1))
        reach(m, "full", (inside == DEPTH) & dut.r_rdy)

    return fill


def order(kind, *changes):
    """Word number n of those written, for any n, is word number n of those read."""

    def fill(m):
        dut, written, read = place(m, kind, changes)
        number = any_constant(m, range(2 * DEPTH), name="number")
        word = Signal()
        writes, reads = Signal(range(CYCLES)), Signal(range(CYCLES))
        with m.If(written):
            m.d.sync += writes.eq(writes + 1)
            with m.If(writes == number):
                m.d.sync += word.eq(dut.w_data)
        with m.If(read):
            m.d.sync += reads.eq(reads + 1)
            with m.If(reads == number):
                claim(m, "in_order", dut.r_data == word)
                reach(m, "after_a_lap_of_a_full_fifo", (number == DEPTH) & (writes == 2 * DEPTH))

    return fill


KINDS = pytest.mark.parametrize("kind", MODULES)


@KINDS
def test_counts(kind):
    prove(counts(kind), depth=8, induction=True)


@KINDS
def test_order(kind):
    prove(order(kind), depth=CYCLES, induction=False)


FULL = "self.w_rdy.eq(self.level != self.depth)"
EMPTY = "self.r_rdy.eq(self.level != 0)"
BUFFERED_FULL = "self.w_rdy.eq(~full)"


@pytest.mark.parametrize(
    ("kind", "old", "new", "violated"),
    [
        ("SyncFIFO", FULL, "self.w_rdy.eq(1)", "no_overflow"),
        ("SyncFIFO", EMPTY, "self.r_rdy.eq(1)", "nothing_from_nowhere"),
        ("SyncFIFO", FULL, "self.w_rdy.eq(self.level == 1)", "room_when_empty"),
        ("BufferedFifo", BUFFERED_FULL, "self.w_rdy.eq(1)", "no_overflow"),
        (
            "BufferedFifo",
            "fetched.eq(some & (~self.r_rdy | self.r_en))",
            "fetched.eq(~self.r_rdy | self.r_en)",
            "level_is_what_is_inside",
        ),
        ("BufferedFifo", "some.eq(level != 1)", "some.eq(1)", "knows_that_it_has_some"),
        ("BufferedFifo", "full.eq(level == words - 1)", "full.eq(0)", "knows_that_it_is_full"),
    ],
)
def test_a_fifo_that_miscounts_is_found(kind, old, new, violated):
    refute(counts(kind, (old, new)), violated, depth=8)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("SyncFIFO", "produce.eq(_incr(produce, self.depth))", "produce.eq(produce ^ 1)"),
        ("SyncFIFO", "consume.eq(_incr(consume, self.depth))", "consume.eq(consume - 1)"),
        ("BufferedFifo", "ram.read.eq(fetched)", "ram.read.eq(1)"),
    ],
)
def test_a_fifo_that_mixes_up_words_is_found(kind, old, new):
    refute(order(kind, (old, new)), "in_order", depth=CYCLES)
