"""The order in which POOL visits the feature words of its input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.engine import thermometer
from hw.interfaces import WindowReadSignature
from hw.isa import FORMATS, Opcode

_WIDTHS = {field.name: field.width for field in FORMATS[Opcode.MAX_POOL].fields}
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

FIRST_TAP_BIT, LAST_TAP_BIT = 0, 1
"""Of the tag of a request: it reads the first, and the last, pixel of its window."""

PADDING = -128
"""What the window sees outside of the input; no maximum is less."""


class WindowWalker(wiring.Component):
    """Walks windows: output row, output column, group of words of a pixel, window row and column.

    A request reads ``group`` words of one input pixel, or what is left of it; outside of the input
    it reads none, which returns the padding.

    Rate: a request per cycle. Latency: the first is there in the cycle after ``start``.

    Stall: a request stays until it is taken.

    Ports:
        start: in, one cycle high to begin; the walk before must have been taken to its end.
        in_base to out_width: in, the fields ``WALK``, constant from ``start`` on; counts at
            least 1.
        group: in, unsigned, words of a request, 1 to ``modules``, constant from ``start`` on.
        requests: out, as in :class:`hw.interfaces.WindowReadSignature`; the tag has
            ``FIRST_TAP_BIT`` and ``LAST_TAP_BIT``.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        requests = WindowReadSignature(config).members["requests"].signature
        super().__init__(
            {
                "start": In(1),
                **{name: In(shape) for name, shape in WALK.items()},
                "group": In(range(config.modules + 1)),
                "requests": Out(requests),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a counter for each loop and an address for each that moves one."""
        m = Module()
        config, request = self._config, self.requests.payload
        address_shape = unsigned(config.feature_address_bits)

        row = Signal.like(self.out_height)
        column = Signal.like(self.out_width)
        word = Signal.like(self.in_words)
        tap_y = Signal.like(self.kernel_height)
        tap_x = Signal.like(self.kernel_width)

        # The input pixel where the window begins, and the one that is read.
        coordinate = signed(len(self.out_height) + len(self.stride) + 2)
        window_y, window_x = Signal(coordinate), Signal(coordinate)
        y, x = Signal(coordinate), Signal(coordinate)
        inside = Signal()

        # Word 0 of the first window of the output row and of the window; then the first word of the
        # group in the row of the window and in the pixel.
        row_start = Signal(address_shape)
        window_start = Signal(address_shape)
        tap_row = Signal(address_shape)
        tap = Signal(address_shape)

        ends_row_of_window = Signal()
        ends_window = Signal()
        next_word = Signal(len(word) + 1)
        left = Signal.like(word)
        there = Signal.like(self.group)
        m.d.comb += [
            y.eq(window_y + tap_y),
            x.eq(window_x + tap_x),
            inside.eq((y >= 0) & (y < self.in_height) & (x >= 0) & (x < self.in_width)),
            ends_row_of_window.eq(tap_x == self.kernel_width - 1),
            ends_window.eq(ends_row_of_window & (tap_y == self.kernel_height - 1)),
            next_word.eq(word + self.group),
            # No more than ``group``; of those, what the pixel has left.
            left.eq(Mux(inside, self.in_words - word, 0)),
            there.eq(Mux(left < self.group, left, self.group)),
            request.enable.eq(thermometer(there, config.modules)),
            request.fill.eq(PADDING),
            request.tag[FIRST_TAP_BIT].eq((tap_x == 0) & (tap_y == 0)),
            request.tag[LAST_TAP_BIT].eq(ends_window),
        ]
        m.d.comb += [request.addresses[lane].eq(tap + lane) for lane in range(config.modules)]

        def begin_window(start: Value) -> list[Any]:
            """Go to the first pixel of the window at ``start``."""
            return [window_start.eq(start), tap_row.eq(start), tap.eq(start)]

        next_window = (window_start + self.stride * self.in_words)[: len(tap)]
        next_row = (row_start + self.stride * self.in_pitch)[: len(tap)]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [tap_x.eq(tap_x + 1), tap.eq(tap + self.in_words)]
            with m.If(ends_row_of_window):
                m.d.sync += [
                    tap_x.eq(0),
                    tap_y.eq(tap_y + 1),
                    tap_row.eq(tap_row + self.in_pitch),
                    tap.eq(tap_row + self.in_pitch),
                ]
            with m.If(ends_window):
                m.d.sync += [
                    tap_y.eq(0),
                    word.eq(next_word),
                    tap_row.eq(window_start + next_word),
                    tap.eq(window_start + next_word),
                ]
                with m.If(next_word >= self.in_words):
                    m.d.sync += [
                        word.eq(0),
                        column.eq(column + 1),
                        window_x.eq(window_x + self.stride),
                        *begin_window(next_window),
                    ]
                    with m.If(column == self.out_width - 1):
                        m.d.sync += [
                            column.eq(0),
                            window_x.eq(-self.pad_left),
                            row.eq(row + 1),
                            window_y.eq(window_y + self.stride),
                            row_start.eq(next_row),
                            *begin_window(next_row),
                        ]
                        with m.If(row == self.out_height - 1):
                            m.d.sync += [row.eq(0), self.requests.valid.eq(0)]

        outside = self.pad_top * self.in_pitch + self.pad_left * self.in_words
        origin = (self.in_base - outside)[: len(tap)]
        with m.If(self.start):
            m.d.sync += [
                self.requests.valid.eq(1),
                window_y.eq(-self.pad_top),
                window_x.eq(-self.pad_left),
                row_start.eq(origin),
                *begin_window(origin),
            ]
        return m
