"""AXI4's rules for a manager's writes, and that each word goes out once, in its place.

That an address stays and where a burst ends is proved by induction. The rest is proved for as many
cycles as two bursts take from their request to their answer.
"""

import pytest
from amaranth.hdl import Assume, Cat, Mux, Signal

from hw.bus import dma_write
from tests.formal.dma import CONFIG, constant_window, inside_a_page
from tests.formal.prove import (
    any_constant,
    any_value,
    before,
    claim,
    prove,
    prove_always,
    reach,
    refute,
    variant,
)

CYCLES = 13


def bench(*changes):
    def fill(m):
        module = variant(dma_write, *changes)
        m.submodules.dut = dut = module.DmaWriter(CONFIG)
        axi, client = dut.axi, dut.client
        constant_window(m, dut.window_base, dut.write_base, dut.write_size)
        data = Signal()  # one bit is enough: nothing depends on data
        inputs = [dut.halt, axi.awready, axi.wready, axi.bvalid, axi.bresp, data]
        inputs += [client.requests.valid, client.words.valid]
        inputs += [client.requests.payload.offset, client.requests.payload.length]
        for signal in inputs:
            any_value(m, signal)
        m.d.comb += client.words.payload.eq(data)

        asks, sends = axi.awvalid & axi.awready, axi.wvalid & axi.wready
        answered = axi.bvalid & axi.bready
        # The burst under way: its length from its address on, the words sent, what is over.
        open_, length, sent = Signal(), Signal(8), Signal(8)
        addressed, ended = Signal(), Signal()
        m.d.sync += [
            open_.eq((open_ | axi.awvalid) & ~answered),
            addressed.eq((addressed | asks) & ~answered),
            ended.eq((ended | (sends & axi.wlast)) & ~answered),
            sent.eq(Mux(answered, 0, sent + sends)),
        ]
        with m.If(axi.awvalid):
            m.d.sync += length.eq(axi.awlen)
        m.d.comb += Assume(~axi.bvalid | (addressed & ended))  # no answer before its burst

        waits = before(m, axi.awvalid & ~axi.awready)
        address = Cat(axi.awaddr, axi.awlen, axi.awid, axi.awsize, axi.awburst)
        same_address = address == before(m, address)
        with m.If(waits):
            claim(m, "aw_stays", axi.awvalid)
            claim(m, "aw_is_stable", same_address)
        word = Cat(axi.wdata, axi.wstrb, axi.wlast)
        same_word = word == before(m, word)
        with m.If(before(m, axi.wvalid & ~axi.wready)):
            claim(m, "w_stays", axi.wvalid)
            claim(m, "w_is_stable", same_word)
        with m.If(axi.awvalid):
            claim(m, "inside_a_page", inside_a_page(axi.awaddr, axi.awlen))
            claim(m, "one_burst_at_a_time", ~addressed)
        now = Mux(axi.awvalid, axi.awlen, length)
        with m.If(axi.wvalid):
            claim(m, "wlast_is_the_last", axi.wlast == (sent == now))
            claim(m, "words_belong_to_a_burst", (open_ | axi.awvalid) & ~ended)
        claim(m, "no_answer_before_the_end", ~axi.bready | (addressed & ended))
        claim(m, "idle_when_nothing_is_open", ~dut.idle | ~(axi.awvalid | open_))
        halted = before(m, dut.halt)
        with m.If(halted & axi.awvalid):
            claim(m, "halt_starts_nothing", waits)

        number = any_constant(m, range(2 * CONFIG.burst_words), name="number")
        came, gone = Signal(range(CYCLES)), Signal(range(CYCLES))
        tracked = Signal()
        with m.If(client.words.valid & client.words.ready):
            m.d.sync += came.eq(came + 1)
            with m.If(came == number):
                m.d.sync += tracked.eq(data)
        with m.If(sends):
            m.d.sync += gone.eq(gone + 1)
            claim(m, "words_come_first", gone < came)
            with m.If(gone == number):
                claim(m, "words_in_order", axi.wdata[0] == tracked)
        reach(m, "second_answer", answered & (gone == 2 * CONFIG.burst_words))
        reach(m, "w_before_aw", sends & waits)

    return fill


def test_axi_writes():
    prove(bench(), depth=CYCLES, induction=False)


def test_the_address_channel_for_all_time():
    prove_always(bench(), "aw_stays", "inside_a_page", depth=2)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(axi.awready):", "with m.If(1):", "aw_stays"),
        ("awlen.eq(burst.length - 1)", "awlen.eq(burst.length)", "inside_a_page"),
        ("axi.wlast.eq(left == 1)", "axi.wlast.eq(left == 2)", "wlast_is_the_last"),
        ("words.r_en.eq(axi.wvalid & axi.wready)", "words.r_en.eq(1)", "w_stays"),
        ("axi.wdata.eq(words.r_data)", "axi.wdata.eq(client.words.payload)", "w_is_stable"),
        ("axi.wdata.eq(words.r_data)", "axi.wdata.eq(client.words.payload)", "words_in_order"),
        ("(left != 0) & words.r_rdy", "words.r_rdy", "words_belong_to_a_burst"),
        ("words.w_en.eq(client.words.valid)", "words.w_en.eq(1)", "words_come_first"),
        ("(left == 0) & ~axi.awvalid", "left == 0", "no_answer_before_the_end"),
        (
            'm.State("send"):',
            'm.State("send"):\n                m.d.comb += self.idle.eq(1)',
            "idle_when_nothing_is_open",
        ),
        (" & ~self.halt)", ")", "halt_starts_nothing"),
    ],
)
def test_a_broken_writer_is_found(old, new, violated):
    refute(bench((old, new)), violated, depth=CYCLES)
