"""Writes what POOL computes to the feature memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.interfaces import FeatureWriteSignature
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress
from hw.streams.countdown import Countdown

_WIDTHS = field_widths(Opcode.MAX_POOL)


class GroupWriter(wiring.Component):
    """Writes the pixels of a tensor, which come in groups of ``post_words`` words.

    Rate: one group per cycle. Latency: 1 cycle from a group to its write.

    Stall: a group waits until the write of the one before is taken.

    Args:
        config: uses ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        start: in, one cycle high to begin a tensor; what follows is constant from the cycle before
            it on.
        base, pitch: in, unsigned, feature word of pixel (0, 0), and words from one row to the next.
        words, width, height: in, unsigned, feature words of a pixel, columns, rows; at least 1.
        step: in, unsigned, feature words from one pixel to the next.
        valid: in, a group is on offer in ``words``.
        ready: out, it is taken if there is one.
        group_words: in, unsigned(8 x ``lanes``), from word 0 of the group on; of the last group of
            a pixel, what is left of it is written.
        results: out, :class:`hw.interfaces.FeatureWriteSignature`.
        finished: out, the last write of the tensor is taken in this cycle.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(unsigned(config.feature_address_bits)),
                "pitch": In(unsigned(_WIDTHS["out_pitch"])),
                "words": In(unsigned(_WIDTHS["in_words"])),
                "step": In(unsigned(_WIDTHS["out_step"])),
                "width": In(unsigned(_WIDTHS["out_width"])),
                "height": In(unsigned(_WIDTHS["out_height"])),
                "valid": In(1),
                "ready": Out(1),
                "group_words": In(unsigned(8 * config.lanes)),
                "results": Out(FeatureWriteSignature(config)),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the register of the group that is written, and the counters of words and pixels."""
        m = Module()
        count, write = self._config.post_words, self.results.requests

        held = Signal.like(self.group_words, reset_less=True)
        held_words = Signal(range(count + 1))
        next_group = Signal.like(self.step)  # from there
        gap = Signal.like(self.step)  # behind a pixel
        ends_pixel = Signal()
        words_left = Signal.like(self.words)  # of the pixel, to come after those held
        columns = Countdown(m, self.width, name="columns")
        rows = Countdown(m, self.height, name="rows")
        address = RowAddress(m, write.payload.address.shape(), pitch=self.pitch, name="address")

        written = Signal()
        m.d.comb += [
            write.valid.eq(held_words != 0),
            write.payload.address.eq(address.here),
            write.payload.enable.eq(thermometer(held_words, count)),
            write.payload.words.eq(held),
            written.eq(write.valid & write.ready),
            self.ready.eq(~write.valid | written),
            self.finished.eq(written & ends_pixel & columns.last & rows.last),
        ]
        with m.If(written):
            m.d.sync += [held_words.eq(0), *address.advance(next_group)]
            with m.If(ends_pixel):
                m.d.sync += columns.step()
                with m.If(columns.last):
                    m.d.sync += [*columns.begin(), *rows.step(), *address.advance_row()]
        m.d.sync += gap.eq(self.step - self.words)
        with m.If(self.valid & self.ready):
            m.d.sync += held.eq(self.group_words)
            with m.If(words_left <= count):
                m.d.sync += [
                    held_words.eq(words_left),
                    next_group.eq(words_left + gap),
                    ends_pixel.eq(1),
                    words_left.eq(self.words),
                ]
            with m.Else():
                m.d.sync += [
                    held_words.eq(count),
                    next_group.eq(count),
                    ends_pixel.eq(0),
                    words_left.eq(words_left - count),
                ]
        with m.If(self.start):
            m.d.sync += [
                words_left.eq(self.words),
                *columns.begin(),
                *rows.begin(),
                *address.begin(self.base),
            ]
        return m
