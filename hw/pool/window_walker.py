"""The order in which POOL visits the feature words of its input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import thermometer
from hw.config import DnaConfig
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress

_WIDTHS = field_widths(Opcode.MAX_POOL)
_EXTENT = unsigned(_WIDTHS["in_height"])

WALK = {
    "in_base": unsigned(_WIDTHS["in_base"]),
    "in_pitch": unsigned(_WIDTHS["in_pitch"]),
    "in_words": _EXTENT,
    "in_height": _EXTENT,
    "in_width": _EXTENT,
    "kernel_height": _EXTENT,
    "kernel_width": _EXTENT,
    "stride": unsigned(_WIDTHS["stride"]),
    "pad_top": signed(_WIDTHS["pad_top"]),
    "pad_left": signed(_WIDTHS["pad_left"]),
    "out_height": _EXTENT,
    "out_width": _EXTENT,
}
"""Fields of MAX_POOL. The kernel may be as large as the input, which makes a MEAN of it."""


def tap_layout(config: DnaConfig) -> data.StructLayout:
    """A request for feature words under a window.

    Members:
        address: unsigned, of lane 0; lane i has the word ``address + i``.
        enable: unsigned(post_words), lanes that are in the window and in the input.
        first: the first of its window.
        last: the last of its window.
    """
    return data.StructLayout(
        {
            "address": unsigned(config.feature_address_bits),
            "enable": unsigned(config.post_words),
            "first": 1,
            "last": 1,
        }
    )


class WindowWalker(wiring.Component):
    """Walks windows: output row, output column, group of words of a pixel, window row and column.

    A request reads ``post_words`` words of one input pixel, or what is left of it. Where pixels
    have fewer words, and a power of two, it reads as many pixels of the window's row ``together``
    as fit; lane i then has word i modulo ``in_words``. Outside of the input it reads none.

    Rate: a request per cycle. Latency: the first is there in the cycle after ``start``.

    Stall: a request stays until it is taken.

    Args:
        config: uses ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        start: in, one cycle high to begin; the walk before must have been taken to its end.
        in_base to out_width: in, the fields ``WALK``, constant from ``start`` on; counts at
            least 1.
        together: in, whether to read several pixels in a request, constant from ``start`` on.
        requests: out, stream of :func:`tap_layout`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                **{name: In(shape) for name, shape in WALK.items()},
                "together": In(1),
                "requests": Out(stream.Signature(tap_layout(config))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a counter for each loop and an address for each that moves one."""
        m = Module()
        config, request = self._config, self.requests.payload
        lanes = config.post_words
        address_shape = unsigned(config.feature_address_bits)

        row = Signal.like(self.out_height)
        column = Signal.like(self.out_width)
        word = Signal.like(self.in_words)
        tap_y = Signal.like(self.kernel_height)
        tap_x = Signal.like(self.kernel_width)

        # The input pixel where the window begins, and the first one that is read.
        coordinate = signed(len(self.out_height) + len(self.stride) + 2)
        window_y, window_x = Signal(coordinate), Signal(coordinate)
        y, x = Signal(coordinate), Signal(coordinate)
        pixels = Signal(range(lanes + 1), init=1)  # read in a request
        tap_step = Signal.like(word)  # words from a request to the next in the row

        # Word 0 of the window, which goes along the output row; then the first word of the group in
        # the pixel, which goes along the row of the window.
        window = RowAddress(
            m, address_shape, pitch=self.stride * self.in_pitch, name="window_start"
        )
        tap = RowAddress(m, address_shape, pitch=self.in_pitch, name="tap")

        ends_row_of_window = Signal()
        ends_window = Signal()
        next_word = Signal(len(word) + 1)
        left = Signal.like(word)
        m.d.comb += [
            y.eq(window_y + tap_y),
            x.eq(window_x + tap_x),
            ends_row_of_window.eq(tap_x + pixels >= self.kernel_width),
            ends_window.eq(ends_row_of_window & (tap_y == self.kernel_height - 1)),
            next_word.eq(word + lanes),
            left.eq(self.in_words - word),
            request.address.eq(tap.here),
            request.first.eq((tap_x == 0) & (tap_y == 0)),
            request.last.eq(ends_window),
        ]
        there = [
            (y >= 0)
            & (y < self.in_height)
            & (x + pixel >= 0)
            & (x + pixel < self.in_width)
            & (tap_x + pixel < self.kernel_width)
            for pixel in range(lanes)
        ]
        m.d.comb += [
            pixels.eq(1),
            tap_step.eq(self.in_words),
            request.enable.eq(thermometer(left, lanes) & there[0].replicate(lanes)),
        ]
        with m.If(self.together), m.Switch(self.in_words):
            for shift in range(ceil_log2(lanes)):
                with m.Case(1 << shift):
                    m.d.comb += [
                        pixels.eq(lanes >> shift),
                        tap_step.eq(lanes),
                        request.enable.eq(Cat(there[lane >> shift] for lane in range(lanes))),
                    ]

        window_step = self.stride * self.in_words
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [tap_x.eq(tap_x + pixels), *tap.advance(tap_step)]
            with m.If(ends_row_of_window):
                m.d.sync += [
                    tap_x.eq(0),
                    tap_y.eq(tap_y + 1),
                    *tap.advance_row(),
                ]
            with m.If(ends_window):
                m.d.sync += [
                    tap_y.eq(0),
                    word.eq(next_word),
                    *tap.begin(window.here + next_word),
                ]
                with m.If(next_word >= self.in_words):
                    m.d.sync += [
                        word.eq(0),
                        column.eq(column + 1),
                        window_x.eq(window_x + self.stride),
                        *window.advance(window_step),
                        *tap.begin(window.here + window_step),
                    ]
                    with m.If(column == self.out_width - 1):
                        m.d.sync += [
                            column.eq(0),
                            window_x.eq(-self.pad_left),
                            row.eq(row + 1),
                            window_y.eq(window_y + self.stride),
                            *window.advance_row(),
                            *tap.begin(window.next_row),
                        ]
                        with m.If(row == self.out_height - 1):
                            m.d.sync += [row.eq(0), self.requests.valid.eq(0)]

        outside = self.pad_top * self.in_pitch + self.pad_left * self.in_words
        origin = self.in_base - outside
        with m.If(self.start):
            m.d.sync += [
                self.requests.valid.eq(1),
                window_y.eq(-self.pad_top),
                window_x.eq(-self.pad_left),
                *window.begin(origin),
                *tap.begin(origin),
            ]
        return m
