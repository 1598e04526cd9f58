import pytest
from amaranth.hdl import Signal

from hw.bus import csr
from hw.bus.axi import Response
from hw.config import PRESETS
from tests.formal.prove import before, claim, free, prove, reach, refute, variant


def bench(module=csr):
    """The rules of AXI4-Lite for a subordinate, whatever the manager does."""

    def fill(m):
        m.submodules.dut = dut = module.ControlRegisters(PRESETS["nano"])
        free(m, dut)
        bus = dut.bus
        addresses, words, answers = Signal(8), Signal(8), Signal(8)  # of writes, so far
        asked, read = Signal(8), Signal(8)
        m.d.sync += [
            addresses.eq(addresses + (bus.awvalid & bus.awready)),
            words.eq(words + (bus.wvalid & bus.wready)),
            answers.eq(answers + (bus.bvalid & bus.bready)),
            asked.eq(asked + (bus.arvalid & bus.arready)),
            read.eq(read + (bus.rvalid & bus.rready)),
        ]
        with m.If(before(m, bus.bvalid & ~bus.bready)):
            claim(m, "b_stays", bus.bvalid)
        same = bus.rdata == before(m, bus.rdata)
        with m.If(before(m, bus.rvalid & ~bus.rready)):
            claim(m, "r_stays", bus.rvalid)
            claim(m, "r_is_stable", same)
        claim(m, "an_answer_for_each_address", addresses == (answers + bus.bvalid)[:8])
        claim(m, "an_answer_for_each_word", words == (answers + bus.bvalid)[:8])
        claim(m, "an_answer_for_each_read", asked == (read + bus.rvalid)[:8])
        with m.If(~bus.bvalid & bus.awvalid & bus.wvalid):
            claim(m, "a_write_is_taken", bus.awready & bus.wready)
        with m.If(~bus.rvalid & bus.arvalid):
            claim(m, "a_read_is_taken", bus.arready)
        claim(m, "answers_are_okay", (bus.bresp == Response.OKAY) & (bus.rresp == Response.OKAY))
        reach(m, "answers_wait", bus.bvalid & bus.rvalid & before(m, bus.bvalid & bus.rvalid))

    return fill


def test_axi_lite():
    prove(bench(), depth=4, induction=True)


WRITE = "write.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready))"


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(bus.bready):", "with m.If(1):", "b_stays"),
        ("with m.If(bus.rready):", "with m.If(1):", "r_stays"),
        ("arready.eq(~bus.rvalid | bus.rready)", "arready.eq(1)", "r_is_stable"),
        ("arready.eq(~bus.rvalid | bus.rready)", "arready.eq(1)", "an_answer_for_each_read"),
        (WRITE, "write.eq(bus.awvalid & bus.wvalid)", "an_answer_for_each_address"),
        ("bus.wready.eq(write)", "bus.wready.eq(bus.wvalid)", "an_answer_for_each_word"),
        (WRITE, "write.eq(bus.bready & bus.awvalid & bus.wvalid)", "a_write_is_taken"),
        ("arready.eq(~bus.rvalid | bus.rready)", "arready.eq(bus.rready)", "a_read_is_taken"),
        ("bus.wready.eq(write)", "bus.wready.eq(write), bus.bresp.eq(2)", "answers_are_okay"),
    ],
)
def test_a_broken_subordinate_is_found(old, new, violated):
    refute(bench(variant(csr, (old, new))), violated, depth=4)
