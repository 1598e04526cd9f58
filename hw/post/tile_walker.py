"""The order in which POST visits the feature words of a layer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress

_WIDTHS = field_widths(Opcode.POST)

LOOPS = ("out_width", "pixel_tiles", "tile_pixels", "last_pixels", "split", "out_words")
"""The fields of POST, unchanged, that say which words there are and in which order."""


def step_layout(config: DnaConfig) -> data.StructLayout:
    """Up to ``post_words`` words of one pixel.

    Members:
        address: unsigned, feature word of the first.
        enable: unsigned(post_words), which of them there are, from bit 0 on without gaps.
        chunk: unsigned, number of the first within its channel tile, divided by ``post_words``.
        ends_pixel: no more words of the pixel in this channel tile.
        ends_tile: besides, the last pixel of a tile.
        ends_layer: besides, the last tile.
    """
    return data.StructLayout(
        {
            "address": unsigned(config.feature_address_bits),
            "enable": unsigned(config.post_words),
            "chunk": unsigned(ceil_log2(config.modules // config.post_words)),
            "ends_pixel": 1,
            "ends_tile": 1,
            "ends_layer": 1,
        }
    )


class TileWalker(wiring.Component):
    """Walks the words of a tensor: channel tile, pixel tile, pixel, ``post_words`` words at a time.

    Word j of channel tile t of output pixel (y, x) is at ``base + y * pitch + x * out_words +
    t * g + j``, modulo the size of the feature memory, g = modules >> split. The last channel tile
    has as many words as are left of ``out_words``.

    Rate: a step per cycle. Latency: the first is there in the cycle after ``start``.

    Stall: a step stays until it is taken.

    Args:
        config: uses ``modules``, ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        start: in, one cycle high to begin a walk; the one before must have been taken to its end.
        out_width, pixel_tiles, tile_pixels, last_pixels, split, out_words: in, the fields of POST,
            constant during a walk; counts at least 1, ``split`` at most log2 of ``modules``.
        base: in, unsigned, feature word of pixel (0, 0); read in the cycle of ``start``.
        pitch: in, unsigned, feature words from one row to the next, constant during a walk.
        steps: out, stream of :func:`step_layout`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                **{name: In(unsigned(_WIDTHS[name])) for name in LOOPS},
                "base": In(unsigned(config.feature_address_bits)),
                "pitch": In(unsigned(config.feature_address_bits)),
                "steps": Out(stream.Signature(step_layout(config))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a counter for each loop and an address for each that moves one."""
        m = Module()
        config, step = self._config, self.steps.payload

        group = Signal(range(config.modules + 1))
        words = Signal.like(group)
        left = Signal.like(group)
        first_word = Signal(range(config.modules))
        words_left = Signal.like(self.out_words)
        column = Signal.like(self.out_width)
        pixel = Signal.like(self.tile_pixels)
        tile = Signal.like(self.pixel_tiles)

        tile_address = Signal.like(self.base, reset_less=True)
        next_tile_address = Signal.like(self.base)
        pixel_address = RowAddress(
            m, self.base.shape(), pitch=self.pitch, name="pixel_address", reset_less=True
        )

        last_tile = Signal()
        last_column = Signal()
        ends_pixel = Signal()
        ends_tile = Signal()
        ends_layer = Signal()
        m.d.comb += [
            group.eq(config.modules >> self.split),
            words.eq(Mux(words_left < group, words_left, group)),
            last_tile.eq(tile == self.pixel_tiles - 1),
            last_column.eq(column == self.out_width - 1),
            next_tile_address.eq(tile_address + group),
            step.address.eq(pixel_address.here + first_word),
            left.eq(words - first_word),
            step.enable.eq(thermometer(left, config.post_words)),
            step.chunk.eq(first_word >> ceil_log2(config.post_words)),
            ends_pixel.eq(left <= config.post_words),
            ends_tile.eq(
                ends_pixel & (pixel == Mux(last_tile, self.last_pixels, self.tile_pixels) - 1)
            ),
            ends_layer.eq(ends_tile & last_tile & (words_left <= group)),
            step.ends_pixel.eq(ends_pixel),
            step.ends_tile.eq(ends_tile),
            step.ends_layer.eq(ends_layer),
        ]
        with m.If(self.steps.valid & self.steps.ready):
            m.d.sync += first_word.eq(first_word + config.post_words)
            with m.If(ends_pixel):
                m.d.sync += [
                    first_word.eq(0),
                    pixel.eq(pixel + 1),
                    column.eq(column + 1),
                    *pixel_address.advance(self.out_words),
                ]
                with m.If(last_column):
                    m.d.sync += [column.eq(0), *pixel_address.advance_row()]
            with m.If(ends_tile):
                m.d.sync += [pixel.eq(0), tile.eq(tile + 1)]
                with m.If(last_tile):
                    m.d.sync += [
                        tile.eq(0),
                        column.eq(0),
                        words_left.eq(words_left - group),
                        tile_address.eq(next_tile_address),
                        *pixel_address.begin(next_tile_address),
                    ]
            with m.If(ends_layer):
                m.d.sync += self.steps.valid.eq(0)
        with m.If(self.start):
            m.d.sync += [
                self.steps.valid.eq(1),
                words_left.eq(self.out_words),
                tile_address.eq(self.base),
                *pixel_address.begin(self.base),
            ]
        return m
