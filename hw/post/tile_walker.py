"""The order in which POST visits the feature words of a layer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress
from hw.streams.countdown import Countdown
from hw.streams.register_slice import RegisterSlice

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

    Rate: a step per cycle. Latency: the first is there 2 cycles after ``start``.

    Stall: a step stays until it is taken.

    Args:
        config: uses ``modules``, ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        start: in, one cycle high to begin a walk; the one before must have been taken to its end.
        out_width, pixel_tiles, tile_pixels, last_pixels, split, out_words: in, the fields of POST,
            constant from the cycle before ``start`` on; counts at least 1, ``split`` at most log2
            of ``modules``.
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
        """Build counters of the loops, addresses for those that move one, and the step's register.

        What ends with a step is in registers before it.
        """
        m = Module()
        config = self._config
        m.submodules.offered = offered = RegisterSlice(step_layout(config))
        wiring.connect(m, offered.output, wiring.flipped(self.steps))
        step = offered.input.payload

        group = Signal(range(config.modules + 1))
        words = Signal.like(group)  # of a pixel in this channel tile
        left = Signal.like(group)  # of them, from this step on
        first_word = Signal(range(config.modules))
        words_left = Signal.like(self.out_words)
        last_channels = Signal()
        walking = Signal()
        columns = Countdown(m, self.out_width, name="columns")
        tiles = Countdown(m, self.pixel_tiles, name="tiles")
        pixels = Countdown(m, self.tile_pixels, name="pixels")
        one_last_pixel = Signal(reset_less=True)

        tile_address = Signal.like(self.base, reset_less=True)
        next_tile_address = Signal.like(self.base)
        pixel_address = RowAddress(
            m, self.base.shape(), pitch=self.pitch, name="pixel_address", reset_less=True
        )

        moves = Signal()
        ends_pixel = Signal()
        ends_tile = Signal()
        ends_channels = Signal()
        m.d.comb += [
            group.eq(config.modules >> self.split),
            next_tile_address.eq(tile_address + group),
            moves.eq(walking & offered.input.ready),
            offered.input.valid.eq(walking),
            ends_pixel.eq(left <= config.post_words),
            ends_tile.eq(ends_pixel & pixels.last),
            ends_channels.eq(ends_tile & tiles.last),
        ]
        m.d.sync += one_last_pixel.eq(self.last_pixels == 1)
        begin_pixels = pixels.begin(
            Mux(tiles.next_last, self.last_pixels, self.tile_pixels),
            Mux(tiles.next_last, one_last_pixel, pixels.one),
        )

        def channels(there: Value, full: Value) -> list[Any]:
            """Begin a channel tile of the words that are ``there``, or of a group of them."""
            count = Mux(full, group, there[: len(words)])
            return [words.eq(count), left.eq(count)]

        m.d.comb += [
            step.address.eq(pixel_address.here + first_word),
            step.enable.eq(thermometer(left, config.post_words)),
            step.chunk.eq(first_word >> ceil_log2(config.post_words)),
            step.ends_pixel.eq(ends_pixel),
            step.ends_tile.eq(ends_tile),
            step.ends_layer.eq(ends_channels & last_channels),
        ]
        with m.If(moves):
            m.d.sync += [
                first_word.eq(first_word + config.post_words),
                left.eq(left - config.post_words),
            ]
            with m.If(ends_pixel):
                m.d.sync += [
                    first_word.eq(0),
                    left.eq(words),
                    *pixels.step(),
                    *columns.step(),
                    *pixel_address.advance(self.out_words),
                ]
                with m.If(columns.last):
                    m.d.sync += [*columns.begin(), *pixel_address.advance_row()]
            with m.If(ends_tile):
                m.d.sync += [*begin_pixels, *tiles.step()]
            with m.If(ends_channels):
                m.d.sync += [
                    *tiles.begin(),
                    *columns.begin(),
                    tile_address.eq(next_tile_address),
                    *pixel_address.begin(next_tile_address),
                    *channels(words_left - group, words_left >= group << 1),
                    words_left.eq(words_left - group),
                    last_channels.eq(words_left <= group << 1),
                    walking.eq(~last_channels),
                ]
        with m.If(self.start):
            m.d.sync += [
                walking.eq(1),
                words_left.eq(self.out_words),
                last_channels.eq(self.out_words <= group),
                *channels(self.out_words, self.out_words >= group),
                *columns.begin(),
                *tiles.begin(),
                *pixels.begin(
                    Mux(tiles.one, self.last_pixels, self.tile_pixels),
                    Mux(tiles.one, one_last_pixel, pixels.one),
                ),
                tile_address.eq(self.base),
                *pixel_address.begin(self.base),
            ]
        return m
