"""AXI4's rules for a manager's writes, and that each word goes out once, in its place.

The bursts are any that the splitter may give. That an address stays is proved by induction. The
rest is proved for as many cycles as two bursts take from their request to their answer.
"""

import inspect

import pytest
from amaranth.hdl import Assume, Cat, Mux, Signal

from hw.bus import burst_address, dma_write, last_word
from tests.formal.dma import CONFIG, AnySplitter, constant_window, inside_a_page
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
        changed = [
            variant(
                source, *[change for change in changes if change[0] in inspect.getsource(source)]
            )
            for source in (dma_write, burst_address, last_word)
        ]
        module, address_module, last_module = changed
        module.BurstSplitter, module.BurstAddress = AnySplitter, address_module.BurstAddress
        module.LastWord = last_module.LastWord
        m.submodules.dut = dut = module.DmaWriter(CONFIG)
        axi, client = dut.axi[0], dut.client
        constant_window(m, dut.window_base)
        data = Signal()  # one bit is enough: nothing depends on data
        inputs = [dut.halt, axi.aw.ready, axi.w.ready, axi.b.valid, axi.b.payload.resp, data]
        for signal in (*inputs, client.words.valid):
            any_value(m, signal)
        m.d.comb += client.words.payload.eq(data)

        asks, sends = axi.aw.valid & axi.aw.ready, axi.w.valid & axi.w.ready
        ends = sends & axi.w.payload.last
        # Of all bursts so far: words asked for, words sent, bursts asked for, ended and answered.
        offered, sent = Signal(8), Signal(8)
        asked, ended, answered = Signal(8), Signal(8), Signal(8)
        fresh = axi.aw.valid & ~before(m, axi.aw.valid & ~axi.aw.ready)
        now = Signal(8)
        m.d.comb += now.eq(offered + Mux(fresh, axi.aw.payload.len + 1, 0))
        m.d.sync += [
            offered.eq(now),
            sent.eq(sent + sends),
            asked.eq(asked + asks),
            ended.eq(ended + ends),
            answered.eq(answered + axi.b.valid),
        ]
        # No answer before its burst.
        m.d.comb += Assume(~axi.b.valid | ((answered < asked) & (answered < ended)))

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
        # The ends of the bursts that were asked for, one bit for each word.
        bounds = Signal(2 * CYCLES)
        with m.If(fresh):
            m.d.sync += bounds.bit_select(offered + axi.aw.payload.len, 1).eq(1)
        here = fresh & (sent == (offered + axi.aw.payload.len)[:8])
        with m.If(axi.w.valid):
            bound = bounds.bit_select(sent, 1) | here
            claim(m, "words_belong_to_a_burst", sent < now)
            claim(m, "wlast_is_the_last", axi.w.payload.last == bound)
        claim(m, "answers_are_taken", axi.b.ready)
        open_ = axi.aw.valid | (asked != answered) | (ended != answered)
        claim(m, "idle_when_nothing_is_open", ~dut.idle | ~open_)
        rested = before(m, before(m, dut.halt) & dut.halt & ~axi.aw.valid)
        claim(m, "halt_starts_nothing", ~(rested & axi.aw.valid))
        claim(m, "no_more_than_may_be", asked - answered <= CONFIG.outstanding_bursts)

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
        reach(m, "second_answer", axi.b.valid & (answered == 1))
        reach(m, "two_bursts_open", asked - answered == 2)
        reach(m, "w_before_aw", sends & waits)

    return fill


def test_axi_writes():
    prove(bench(), depth=CYCLES, induction=False)


def test_the_address_channel_for_all_time():
    prove_always(bench(), "aw_stays", "aw_is_stable", depth=2)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("with m.If(channel.ready):", "with m.If(1):", "aw_stays"),
        ("(burst.length << ceil_log2(config.dram_ports)) - 1", "burst.length", "inside_a_page"),
        ("words.r_data[-1] & (part", "~words.r_data[-1] & (part", "wlast_is_the_last"),
        ("words.r_en.eq(sends & (part == parts - 1))", "words.r_en.eq(1)", "w_stays"),
        ("pick(beats, part)", "self.client.words.payload", "w_is_stable"),
        ("pick(beats, part)", "self.client.words.payload", "words_in_order"),
        ("words.r_rdy & (started != 0)", "words.r_rdy", "words_belong_to_a_burst"),
        ("queue.w_en.eq(taken & (port == number))", "queue.w_en.eq(1)", "words_come_first"),
        ("self.burst.single, ends", "1, ends", "wlast_is_the_last"),
        ("self.idle.eq(under_way == 0)", "self.idle.eq(1)", "idle_when_nothing_is_open"),
        (" & ~self.halt", "", "halt_starts_nothing"),
        ("& ~full", "", "no_more_than_may_be"),
    ],
)
def test_a_broken_writer_is_found(old, new, violated):
    refute(bench((old, new)), violated, depth=CYCLES)
