"""Cuts requests for runs of DRAM words into bursts that obey AXI4."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.interfaces import DRAM_REQUEST_LAYOUT, FaultSignature
from hw.status import Fault


def burst_layout(config: DnaConfig) -> data.StructLayout:
    """A burst.

    Members:
        offset: unsigned(32), byte offset in the memory window.
        length: unsigned, DRAM words, 1 to ``burst_words``.
        single: ``length`` is 1.
        last: it ends its request.
    """
    length = unsigned(config.burst_words.bit_length())
    return data.StructLayout({"offset": unsigned(32), "length": length, "single": 1, "last": 1})


class BurstSplitter(wiring.Component):
    """Requests of any length in, aligned bursts out.

    A burst ends where ``burst_words`` words are aligned, so it never crosses 4 KiB, nor the border
    of a port's granule. Of a request that is empty, not aligned to a DRAM word or not inside
    [``base``, ``base + size``) there are no bursts; ``fault`` stays high instead.

    A request goes through three registers: as it came; with its sums; judged. From the last one its
    bursts are counted off. Each moves when the one behind it is empty.

    Latency: the first burst is valid 5 cycles after its request was taken; then one a cycle. Rate:
    a request in 2 cycles.

    Stall: ``requests`` is ready when the first register is empty.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``burst_words``.

    Ports:
        requests: in, stream of ``DRAM_REQUEST_LAYOUT``.
        bursts: out, stream of :func:`burst_layout`.
        base: in, unsigned(32), first byte offset that may be touched.
        size: in, unsigned(32), bytes that may be touched; those behind 4 GiB may not. Neither
            changes while there are requests.
        fault: out, OUT_OF_WINDOW or BAD_FIELD, with the request's offset.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "requests": In(stream.Signature(DRAM_REQUEST_LAYOUT)),
                "bursts": Out(stream.Signature(burst_layout(config))),
                "base": In(unsigned(32)),
                "size": In(unsigned(32)),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the three registers and the counter of bursts."""
        m = Module()
        config = self._config
        word_bits = config.dram_bytes_per_cycle.bit_length() - 1
        run_bits = config.burst_words.bit_length() - 1  # of a word's place between two borders
        low_bits = word_bits + run_bits

        # As it came.
        came = Signal()
        offset, length = Signal(32), Signal(32)
        summed = Signal()
        m.d.comb += self.requests.ready.eq(~came)
        with m.If(~came):
            m.d.sync += [
                came.eq(self.requests.valid),
                offset.eq(self.requests.payload.offset),
                length.eq(self.requests.payload.length),
            ]

        # With its sums. ``reach`` counts words from the border below the first one to the last one.
        limit = Signal(33)
        end = Signal(33)
        reach = Signal(33 - word_bits)
        below, bad, long = Signal(), Signal(), Signal()
        summed_offset = Signal(32)
        first = offset[word_bits:low_bits]
        m.d.sync += limit.eq(self.base + self.size)
        with m.If(came & ~summed):
            m.d.sync += [
                came.eq(0),
                summed.eq(1),
                summed_offset.eq(offset),
                end.eq(offset + (length[: 32 - word_bits] << word_bits)),
                reach.eq(length[: 32 - word_bits] + first),
                below.eq(offset < self.base),
                bad.eq((length == 0) | (offset[:word_bits] != 0)),
                long.eq(length[32 - word_bits :] != 0),
            ]

        # Judged.
        judged, wrong = Signal(), Signal()
        judged_offset = Signal(32)
        last_word = Signal.like(reach)
        with m.If(summed & ~judged):
            m.d.sync += [
                summed.eq(0),
                judged.eq(1),
                judged_offset.eq(summed_offset),
                last_word.eq(reach - 1),
                wrong.eq(bad | below | long | (end > limit) | (end[32] & end[:32].any())),
                self.fault.code.eq(Mux(bad, Fault.BAD_FIELD, Fault.OUT_OF_WINDOW)),
            ]
        m.d.comb += [
            self.fault.valid.eq(judged & wrong),
            self.fault.address.eq(judged_offset),
        ]

        # Counted off: the burst that begins at word ``place`` behind a border, and ``more`` others,
        # the last one of which ends with word ``stop`` behind another border.
        active, only = Signal(), Signal()
        more = Signal(len(last_word) - run_bits)
        border = Signal(32 - low_bits)
        place, stop = Signal(run_bits), Signal(run_bits)
        ends_at = Signal(run_bits)
        burst = self.bursts.payload
        m.d.comb += ends_at.eq(Mux(only, stop, config.burst_words - 1))
        with m.If(~self.bursts.valid | self.bursts.ready):
            m.d.sync += [
                self.bursts.valid.eq(active),
                burst.offset.eq(Cat(Const(0, word_bits), place, border)),
                burst.length.eq(ends_at - place + 1),
                burst.single.eq(ends_at == place),
                burst.last.eq(only),
            ]
            with m.If(active):
                m.d.sync += [
                    active.eq(~only),
                    only.eq(more == 1),
                    more.eq(more - 1),
                    border.eq(border + 1),
                    place.eq(0),
                ]
        with m.If(judged & ~wrong & ~active):
            m.d.sync += [
                judged.eq(0),
                active.eq(1),
                Cat(place, border).eq(judged_offset[word_bits:]),
                Cat(stop, more).eq(last_word),
                only.eq((last_word >> run_bits) == 0),
            ]
        return m
