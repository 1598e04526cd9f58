import pytest
from amaranth.hdl import Signal

from hw.bus import csr, register_file, registers
from hw.bus.axi_codes import Response
from hw.config import PRESETS
from tests.formal.prove import before, claim, free, prove, reach, refute, variant


def bench(make=lambda: csr.ControlRegisters(PRESETS["nano"])):
    """The rules of AXI4-Lite for a subordinate, whatever the manager does."""

    def fill(m):
        m.submodules.dut = dut = make()
        free(m, dut)
        bus = dut.bus
        addresses, words, answers = Signal(8), Signal(8), Signal(8)  # of writes, so far
        asked, read = Signal(8), Signal(8)
        m.d.sync += [
            addresses.eq(addresses + (bus.aw.valid & bus.aw.ready)),
            words.eq(words + (bus.w.valid & bus.w.ready)),
            answers.eq(answers + (bus.b.valid & bus.b.ready)),
            asked.eq(asked + (bus.ar.valid & bus.ar.ready)),
            read.eq(read + (bus.r.valid & bus.r.ready)),
        ]
        with m.If(before(m, bus.b.valid & ~bus.b.ready)):
            claim(m, "b_stays", bus.b.valid)
        same = bus.r.payload.data == before(m, bus.r.payload.data)
        with m.If(before(m, bus.r.valid & ~bus.r.ready)):
            claim(m, "r_stays", bus.r.valid)
            claim(m, "r_is_stable", same)
        # What is taken and not answered keeps its channel from taking more.
        held = addresses - (answers + bus.b.valid), words - (answers + bus.b.valid)
        claim(m, "an_answer_for_each_address", held[0][:8] == ~bus.aw.ready)
        claim(m, "an_answer_for_each_word", held[1][:8] == ~bus.w.ready)
        claim(m, "an_answer_for_each_read", (asked - read - bus.r.valid)[:8] == ~bus.ar.ready)
        with m.If(before(m, ~bus.aw.ready & ~bus.w.ready & ~bus.b.valid)):
            claim(m, "a_write_is_answered", bus.b.valid)
        waiting = ~bus.ar.ready & ~bus.r.valid
        with m.If(before(m, waiting & before(m, waiting))):
            claim(m, "a_read_is_answered", bus.r.valid)
        exclusive = Response.EXOKAY
        claim(
            m,
            "nothing_is_exclusive",
            (bus.b.payload.resp != exclusive) & (bus.r.payload.resp != exclusive),
        )
        reach(m, "answers_wait", bus.b.valid & bus.r.valid & before(m, bus.b.valid & bus.r.valid))

    return fill


def test_axi_lite():
    prove(bench(), depth=5, induction=True)


WRITE = "write.eq(addressed & worded & ~b.valid)"


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(b.ready):", "with m.If(1):", "b_stays"),
        ("with m.If(r.ready):", "with m.If(1):", "r_stays"),
        ("with m.If(asked & looked & ~r.valid)", "with m.If(asked & looked)", "r_is_stable"),
        ("ar.ready.eq(~asked)", "ar.ready.eq(1)", "an_answer_for_each_read"),
        (WRITE, "write.eq(addressed & worded)", "an_answer_for_each_address"),
        ("w.ready.eq(~worded)", "w.ready.eq(1)", "an_answer_for_each_word"),
        (WRITE, "write.eq(b.ready & addressed & worded & ~b.valid)", "a_write_is_answered"),
        ("looked & ~r.valid)", "looked & ~r.valid & r.ready)", "a_read_is_answered"),
        ("Response.SLVERR", "Response.EXOKAY", "nothing_is_exclusive"),
    ],
)
def test_a_broken_subordinate_is_found(old, new, violated):
    broken = variant(register_file, (old, new))

    def make():
        return broken.RegisterFile(registers.REGISTERS, address_bits=registers.ADDRESS_BITS)

    refute(bench(make), violated, depth=7)
