"""Writes what POOL computes to the feature memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.engine import thermometer
from hw.interfaces import FeatureWriteSignature
from hw.isa import FORMATS, Opcode

_WIDTHS = {field.name: field.width for field in FORMATS[Opcode.MAX_POOL].fields}


class GroupWriter(wiring.Component):
    """Writes the pixels of a tensor, which come in groups of words, ``post_words`` words a cycle.

    Rate: one write per cycle. Latency: 1 cycle from a group to its first write.

    Stall: a group waits until the last write of the one before is taken.

    Ports:
        start: in, one cycle high to begin a tensor; what follows is constant from then on.
        base, pitch: in, unsigned, feature word of pixel (0, 0), and words from one row to the next.
        words, width, height: in, unsigned, feature words of a pixel, columns, rows; at least 1.
        group: in, unsigned, words of a group; the last group of a pixel has what is left.
        valid: in, a group is on offer in ``words``.
        ready: out, it is taken if there is one.
        group_words: in, ``modules`` feature words of ``rows`` bytes, from word 0 of the group on.
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
                "width": In(unsigned(_WIDTHS["out_width"])),
                "height": In(unsigned(_WIDTHS["out_height"])),
                "group": In(range(config.modules + 1)),
                "valid": In(1),
                "ready": Out(1),
                "group_words": In(unsigned(8 * config.rows)).array(config.modules),
                "results": Out(FeatureWriteSignature(config)),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a register that shifts the words out, and the counters of words and pixels."""
        m = Module()
        count, write = self._config.post_words, self.results.requests

        held = [
            Signal.like(word, name=f"held_{index}", reset_less=True)
            for index, word in enumerate(self.group_words)
        ]
        held_words = Signal.like(self.group)
        ends_pixel = Signal()
        words_left = Signal.like(self.words)  # of the pixel, to come after those held
        columns_left = Signal.like(self.width)
        rows_left = Signal.like(self.height)
        row_address = Signal.like(write.payload.address)
        next_row_address = Signal.like(write.payload.address)
        address = Signal.like(write.payload.address)

        written = Signal()
        ends_group = Signal()
        m.d.comb += [
            write.valid.eq(held_words != 0),
            write.payload.address.eq(address),
            write.payload.enable.eq(thermometer(held_words, count)),
            write.payload.words.eq(Cat(held[:count])),
            written.eq(write.valid & write.ready),
            ends_group.eq(held_words <= count),
            self.ready.eq(~write.valid | (written & ends_group)),
            next_row_address.eq(row_address + self.pitch),
            self.finished.eq(
                written & ends_group & ends_pixel & (columns_left == 1) & (rows_left == 1)
            ),
        ]
        with m.If(written):
            m.d.sync += [
                *(word.eq(later) for word, later in zip(held, held[count:], strict=False)),
                held_words.eq(Mux(ends_group, 0, held_words - count)),
                address.eq(address + Mux(ends_group, held_words, count)),
            ]
            with m.If(ends_group & ends_pixel):
                m.d.sync += columns_left.eq(columns_left - 1)
                with m.If(columns_left == 1):
                    m.d.sync += [
                        columns_left.eq(self.width),
                        rows_left.eq(rows_left - 1),
                        row_address.eq(next_row_address),
                        address.eq(next_row_address),
                    ]
        with m.If(self.valid & self.ready):
            m.d.sync += [word.eq(new) for word, new in zip(held, self.group_words, strict=True)]
            with m.If(words_left <= self.group):
                m.d.sync += [
                    held_words.eq(words_left),
                    ends_pixel.eq(1),
                    words_left.eq(self.words),
                ]
            with m.Else():
                m.d.sync += [
                    held_words.eq(self.group),
                    ends_pixel.eq(0),
                    words_left.eq(words_left - self.group),
                ]
        with m.If(self.start):
            m.d.sync += [
                words_left.eq(self.words),
                columns_left.eq(self.width),
                rows_left.eq(self.height),
                row_address.eq(self.base),
                address.eq(self.base),
            ]
        return m
