"""Cuts requests for runs of DRAM words into bursts that obey AXI4."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
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
        last: it ends its request.
    """
    length_bits = config.burst_words.bit_length()
    return data.StructLayout({"offset": unsigned(32), "length": unsigned(length_bits), "last": 1})


class BurstSplitter(wiring.Component):
    """Requests of any length in, aligned bursts out.

    A burst ends where ``burst_words`` words are aligned, so it never crosses 4 KiB. A request that
    is empty, not aligned to a DRAM word or not inside [``base``, ``base + size``) is not taken;
    ``fault`` stays high instead.

    Latency: the first burst is valid one cycle after its request; then one a cycle.

    Stall: ``requests`` is ready when no burst of an earlier request is left.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``burst_words``.

    Ports:
        requests: in, stream of ``DRAM_REQUEST_LAYOUT``.
        bursts: out, stream of :func:`burst_layout`.
        base: in, unsigned(32), first byte offset that may be touched.
        size: in, unsigned(32), bytes that may be touched.
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
        """Build the splitter."""
        m = Module()
        config = self._config
        word_bits = config.dram_bytes_per_cycle.bit_length() - 1

        word = Signal(32 - word_bits)  # next DRAM word
        left = Signal(32)  # words still to be asked for

        request = self.requests.payload
        start = request.offset[word_bits:]
        end = Signal(33)
        limit = Signal(33)
        bad = Signal()
        outside = Signal()
        m.d.comb += [
            end.eq(request.offset + (request.length << word_bits)),
            limit.eq(self.base + self.size),
            bad.eq((request.length == 0) | (request.offset[:word_bits] != 0)),
            outside.eq(
                (request.offset < self.base)
                | (request.length[32 - word_bits :] != 0)
                | (end > limit)
            ),
            self.fault.valid.eq(self.requests.valid & (bad | outside)),
            self.fault.code.eq(Mux(bad, Fault.BAD_FIELD, Fault.OUT_OF_WINDOW)),
            self.fault.address.eq(request.offset),
            self.requests.ready.eq((left == 0) & ~bad & ~outside),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [word.eq(start), left.eq(request.length)]

        room = Signal(range(config.burst_words + 1))
        burst = self.bursts.payload
        m.d.comb += [
            room.eq(config.burst_words - (word & (config.burst_words - 1))),
            self.bursts.valid.eq(left != 0),
            burst.offset.eq(word << word_bits),
            burst.last.eq(left <= room),
            burst.length.eq(Mux(burst.last, left, room)),
        ]
        with m.If(self.bursts.valid & self.bursts.ready):
            m.d.sync += [word.eq(word + burst.length), left.eq(left - burst.length)]
        return m
