"""AXI4's rules for a manager's reads, and that no beat comes without a place for it.

The bursts are any that the splitter may give. That an address stays is proved by induction.
What a reader gets is proved for as many cycles as it takes to use up its credits, to get some back
and to ask again.
"""

import inspect

import pytest
from amaranth.hdl import Assume, Cat, Const, Mux, Signal

from hw.bus import burst_address, dma_read, read_queue
from hw.memory.buffered_fifo import BufferedFifo
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

CLIENTS = 2
CREDITS = CONFIG.burst_words * CONFIG.outstanding_bursts
CYCLES = 13


class CheckedFifo(BufferedFifo):
    """Claims that nothing is written when there is no room."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        claim(m, "every_beat_has_a_place", ~self.w_en | self.w_rdy)
        return m


def bench(*changes):
    def fill(m):
        changed = [
            variant(
                source, *[change for change in changes if change[0] in inspect.getsource(source)]
            )
            for source in (dma_read, read_queue, burst_address)
        ]
        module, queue, address = changed
        queue.BufferedFifo = CheckedFifo
        queue.BurstSplitter = AnySplitter
        module.ReadQueue, module.BurstAddress = queue.ReadQueue, address.BurstAddress
        m.submodules.dut = dut = module.DmaReader(CONFIG, clients=CLIENTS)
        axi = dut.axi[0]
        constant_window(m, dut.window_base, dut.window_size)
        data = Signal()  # one bit is enough: nothing depends on data
        inputs = [
            dut.halt,
            axi.ar.ready,
            axi.r.valid,
            axi.r.payload.id,
            axi.r.payload.resp,
            axi.r.payload.last,
            data,
        ]
        for index in range(CLIENTS):
            client = dut.clients[index]
            inputs += [client.words.ready]
        for signal in inputs:
            any_value(m, signal)
        m.d.comb += axi.r.payload.data.eq(data)
        m.d.comb += Assume(~axi.r.valid | (axi.r.payload.id < CLIENTS))

        # One reader, any, and one of its words, any.
        one = any_constant(m, 1, name="one")
        number = any_constant(m, range(2 * CREDITS), name="number")
        asks = axi.ar.valid & axi.ar.ready
        words = [dut.clients[index].words for index in range(CLIENTS)]
        due, word = [], Signal()
        for index in range(CLIENTS):
            left = Signal(range(4 * CREDITS), name=f"due{index}")
            comes = axi.r.valid & (axi.r.payload.id == index)
            m.d.sync += left.eq(
                left + Mux(asks & (axi.ar.payload.id == index), axi.ar.payload.len + 1, 0) - comes
            )
            m.d.comb += Assume(~comes | (left != 0))  # the memory sends what it was asked for
            due.append(left)
        came, taken = Signal(range(CYCLES)), Signal(range(CYCLES))
        takes = Mux(one, words[1].valid & words[1].ready, words[0].valid & words[0].ready)
        with m.If(axi.r.valid & (axi.r.payload.id == one)):
            m.d.sync += came.eq(came + 1)
            with m.If(came == number):
                m.d.sync += word.eq(data)
        with m.If(takes):
            m.d.sync += taken.eq(taken + 1)
            claim(m, "words_are_beats_that_came", taken < came)
            with m.If(taken == number):
                claim(
                    m, "words_in_order", Mux(one, words[1].payload[0], words[0].payload[0]) == word
                )
        held = came - taken + Mux(one, due[1], due[0])
        claim(m, "no_more_than_credits", held <= CREDITS + 1)  # one has left the FIFO

        waits = before(m, axi.ar.valid & ~axi.ar.ready)
        address = Cat(
            axi.ar.payload.addr,
            axi.ar.payload.len,
            axi.ar.payload.id,
            axi.ar.payload.size,
            axi.ar.payload.burst,
        )
        same = address == before(m, address)
        with m.If(waits):
            claim(m, "ar_stays", axi.ar.valid)
            claim(m, "ar_is_stable", same)
        with m.If(axi.ar.valid):
            claim(m, "inside_a_page", inside_a_page(axi.ar.payload.addr, axi.ar.payload.len))
        claim(m, "idle_when_nothing_is_due", ~dut.idle | (Cat(*due) == Const(0)) & ~axi.ar.valid)
        # What was granted before goes out.
        rested = before(m, before(m, dut.halt) & dut.halt & ~axi.ar.valid)
        claim(m, "halt_starts_nothing", ~(rested & axi.ar.valid))
        reach(m, "all_credits_used", held == CREDITS)
        reach(m, "credits_used_again", held + taken > CREDITS)
        reach(m, "ar_waits", waits & axi.ar.ready)

    return fill


def test_axi_reads():
    prove(bench(), depth=CYCLES, induction=False)


def test_the_address_channel_for_all_time():
    prove_always(bench(), "ar_stays", "ar_is_stable", depth=2)


FREE = "(pick(free, port) >= burst.length)"


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        (FREE, "(pick(free, port) != 0)", "every_beat_has_a_place"),
        (FREE, "(burst.length != 0)", "no_more_than_credits"),
        (
            "Cat(kept, comes.beat.data, bad",
            "Cat(kept, comes.beat.bad.replicate(64), bad",
            "words_in_order",
        ),
        ("axi.r.valid & (beat.id == index)", "axi.r.valid", "words_are_beats_that_came"),
        ("with m.If(channel.ready):", "with m.If(1):", "ar_stays"),
        ("(~channel.valid | channel.ready)", "1", "ar_is_stable"),
        ("(length << ceil_log2(config.dram_ports)) - 1", "length", "inside_a_page"),
        ("(due == 0) & ~address.pending", "~address.pending", "idle_when_nothing_is_due"),
        ("& ~self.halt", "", "halt_starts_nothing"),
    ],
)
def test_a_broken_reader_is_found(old, new, violated):
    refute(bench((old, new)), violated, depth=CYCLES)
