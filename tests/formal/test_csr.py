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
        claim(m, "an_answer_for_each_address", addresses == (answers + bus.b.valid)[:8])
        claim(m, "an_answer_for_each_word", words == (answers + bus.b.valid)[:8])
        claim(m, "an_answer_for_each_read", asked == (read + bus.r.valid)[:8])
        with m.If(~bus.b.valid & bus.aw.valid & bus.w.valid):
            claim(m, "a_write_is_taken", bus.aw.ready & bus.w.ready)
        with m.If(~bus.r.valid & bus.ar.valid):
            claim(m, "a_read_is_taken", bus.ar.ready)
        claim(
            m,
            "answers_are_okay",
            (bus.b.payload.resp == Response.OKAY) & (bus.r.payload.resp == Response.OKAY),
        )
        reach(m, "answers_wait", bus.b.valid & bus.r.valid & before(m, bus.b.valid & bus.r.valid))

    return fill


def test_axi_lite():
    prove(bench(), depth=4, induction=True)


WRITE = "write.eq(aw.valid & w.valid & (~b.valid | b.ready))"


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(b.ready):", "with m.If(1):", "b_stays"),
        ("with m.If(r.ready):", "with m.If(1):", "r_stays"),
        ("ar.ready.eq(~r.valid | r.ready)", "ar.ready.eq(1)", "r_is_stable"),
        ("ar.ready.eq(~r.valid | r.ready)", "ar.ready.eq(1)", "an_answer_for_each_read"),
        (WRITE, "write.eq(aw.valid & w.valid)", "an_answer_for_each_address"),
        (" w.ready.eq(write)", " w.ready.eq(w.valid)", "an_answer_for_each_word"),
        (WRITE, "write.eq(b.ready & aw.valid & w.valid)", "a_write_is_taken"),
        ("ar.ready.eq(~r.valid | r.ready)", "ar.ready.eq(r.ready)", "a_read_is_taken"),
        (" w.ready.eq(write)", " w.ready.eq(write), b.payload.resp.eq(2)", "answers_are_okay"),
    ],
)
def test_a_broken_subordinate_is_found(old, new, violated):
    broken = variant(register_file, (old, new))

    def make():
        return broken.RegisterFile(registers.REGISTERS, address_bits=registers.ADDRESS_BITS)

    refute(bench(make), violated, depth=4)
