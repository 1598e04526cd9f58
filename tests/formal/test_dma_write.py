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
        inputs = [dut.halt, axi.aw.ready, axi.w.ready, axi.b.valid, axi.b.payload.resp, data]
        inputs += [client.requests.valid, client.words.valid]
        inputs += [client.requests.payload.offset, client.requests.payload.length]
        for signal in inputs:
            any_value(m, signal)
        m.d.comb += client.words.payload.eq(data)

        asks, sends = axi.aw.valid & axi.aw.ready, axi.w.valid & axi.w.ready
        answered = axi.b.valid & axi.b.ready
        # The burst under way: its length from its address on, the words sent, what is over.
        open_, length, sent = Signal(), Signal(8), Signal(8)
        addressed, ended = Signal(), Signal()
        m.d.sync += [
            open_.eq((open_ | axi.aw.valid) & ~answered),
            addressed.eq((addressed | asks) & ~answered),
            ended.eq((ended | (sends & axi.w.payload.last)) & ~answered),
            sent.eq(Mux(answered, 0, sent + sends)),
        ]
        with m.If(axi.aw.valid):
            m.d.sync += length.eq(axi.aw.payload.len)
        m.d.comb += Assume(~axi.b.valid | (addressed & ended))  # no answer before its burst

        waits = before(m, axi.aw.valid & ~axi.aw.ready)
        address = Cat(
            axi.aw.payload.addr,
            axi.aw.payload.len,
            axi.aw.payload.id,
            axi.aw.payload.size,
            axi.aw.payload.burst,
        )
        same_address = address == before(m, address)
        with m.If(waits):
            claim(m, "aw_stays", axi.aw.valid)
            claim(m, "aw_is_stable", same_address)
        word = Cat(axi.w.payload.data, axi.w.payload.strb, axi.w.payload.last)
        same_word = word == before(m, word)
        with m.If(before(m, axi.w.valid & ~axi.w.ready)):
            claim(m, "w_stays", axi.w.valid)
            claim(m, "w_is_stable", same_word)
        with m.If(axi.aw.valid):
            claim(m, "inside_a_page", inside_a_page(axi.aw.payload.addr, axi.aw.payload.len))
            claim(m, "one_burst_at_a_time", ~addressed)
        now = Mux(axi.aw.valid, axi.aw.payload.len, length)
        with m.If(axi.w.valid):
            claim(m, "wlast_is_the_last", axi.w.payload.last == (sent == now))
            claim(m, "words_belong_to_a_burst", (open_ | axi.aw.valid) & ~ended)
        claim(m, "no_answer_before_the_end", ~axi.b.ready | (addressed & ended))
        claim(m, "idle_when_nothing_is_open", ~dut.idle | ~(axi.aw.valid | open_))
        halted = before(m, dut.halt)
        with m.If(halted & axi.aw.valid):
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
                claim(m, "words_in_order", axi.w.payload.data[0] == tracked)
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
        ("with m.If(aw.ready):", "with m.If(1):", "aw_stays"),
        ("len.eq(burst.length - 1)", "len.eq(burst.length)", "inside_a_page"),
        ("w.payload.last.eq(left == 1)", "w.payload.last.eq(left == 2)", "wlast_is_the_last"),
        ("words.r_en.eq(w.valid & w.ready)", "words.r_en.eq(1)", "w_stays"),
        (
            "w.payload.data.eq(words.r_data)",
            "w.payload.data.eq(client.words.payload)",
            "w_is_stable",
        ),
        (
            "w.payload.data.eq(words.r_data)",
            "w.payload.data.eq(client.words.payload)",
            "words_in_order",
        ),
        ("(left != 0) & words.r_rdy", "words.r_rdy", "words_belong_to_a_burst"),
        ("words.w_en.eq(client.words.valid)", "words.w_en.eq(1)", "words_come_first"),
        ("(left == 0) & ~aw.valid", "left == 0", "no_answer_before_the_end"),
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
