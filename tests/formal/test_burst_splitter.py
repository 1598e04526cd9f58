"""That every request becomes legal bursts of all of its words, in order, or a fault."""

import pytest
from amaranth.hdl import Signal

from hw.bus import burst_splitter
from tests.formal.dma import CONFIG, is_legal
from tests.formal.prove import any_constant, any_value, before, claim, prove, reach, refute, variant

WORD = CONFIG.dram_bytes_per_cycle
CYCLES = 11


def bench(*changes):
    """A splitter that gets one request, any, again and again."""

    def fill(m):
        module = variant(burst_splitter, *changes)
        m.submodules.dut = dut = module.BurstSplitter(CONFIG)
        base, size = any_constant(m, 32, name="base"), any_constant(m, 32, name="size")
        offset, length = any_constant(m, 32, name="offset"), any_constant(m, 32, name="length")
        request, burst = dut.requests.payload, dut.bursts.payload
        m.d.comb += [
            dut.base.eq(base),
            dut.size.eq(size),
            request.offset.eq(offset),
            request.length.eq(length),
        ]
        for signal in (dut.requests.valid, dut.bursts.ready):
            any_value(m, signal)
        bad = (length == 0) | (offset % WORD != 0)
        end = offset + length * WORD
        wrong = bad | (offset < base) | (end > base + size) | (end > 1 << 32)

        taken = dut.bursts.valid & dut.bursts.ready
        given = Signal(32)  # words of the request that is being split
        claim(m, "what_is_wrong_gives_no_burst", ~(dut.bursts.valid & wrong))
        claim(m, "what_is_right_gives_no_fault", ~(dut.fault.valid & ~wrong))
        with m.If(dut.fault.valid):
            claim(m, "the_fault_names_the_request", dut.fault.address == offset)
        with m.If(dut.bursts.valid):
            claim(m, "bursts_are_legal", is_legal(burst))
            claim(m, "bursts_follow_each_other", burst.offset == offset + given * WORD)
            claim(m, "last_is_the_end", burst.last == (given + burst.length == length))
        with m.If(taken):
            m.d.sync += given.eq(given + burst.length)
            with m.If(burst.last):
                m.d.sync += given.eq(0)
        same = burst.as_value() == before(m, burst.as_value())
        waits = before(m, dut.bursts.valid & ~dut.bursts.ready)
        with m.If(waits):
            claim(m, "bursts_stay", dut.bursts.valid & same)
        reach(m, "three_bursts", taken & burst.last & (given == 2 * CONFIG.burst_words))
        reach(m, "another_request", taken & before(m, taken & burst.last & (length != 1)))
        reach(m, "fault", dut.fault.valid)

    return fill


def test_requests_become_bursts():
    prove(bench(), depth=CYCLES, induction=False)


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("(end > limit)", "(end > limit + 8)", "what_is_wrong_gives_no_burst"),
        ("bad | below | long |", "bad | long |", "what_is_wrong_gives_no_burst"),
        ("(end > limit)", "(end >= limit)", "what_is_right_gives_no_fault"),
        ("Mux(only, stop, config.burst_words - 1)", "Mux(only, stop, 0)", "bursts_are_legal"),
        ("ends_at == place", "ends_at == stop", "bursts_are_legal"),
        ("place.eq(0)", "place.eq(place)", "bursts_follow_each_other"),
        ("only.eq(more == 1)", "only.eq(more == 2)", "last_is_the_end"),
        ("with m.If(~self.bursts.valid | self.bursts.ready):", "with m.If(1):", "bursts_stay"),
        ("address.eq(judged_offset)", "address.eq(0)", "the_fault_names_the_request"),
    ],
)
def test_a_broken_splitter_is_found(old, new, violated):
    refute(bench((old, new)), violated, depth=CYCLES)
