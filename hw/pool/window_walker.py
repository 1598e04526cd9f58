"""The order in which POOL visits the feature words of its input."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.arithmetic.integers import thermometer
from hw.arithmetic.serial_multiplier import SerialMultiplier
from hw.config import DnaConfig
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress
from hw.microarchitecture import POOL_PREPARATION
from hw.streams.countdown import Countdown

_WIDTHS = field_widths(Opcode.MAX_POOL)
_EXTENT = unsigned(_WIDTHS["in_height"])

WALK = {
    "in_base": unsigned(_WIDTHS["in_base"]),
    "in_pitch": unsigned(_WIDTHS["in_pitch"]),
    "in_words": _EXTENT,
    "in_step": _EXTENT,
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
    have fewer words, a power of two, and no gap between them, it reads as many pixels of the
    window's row ``together`` as fit; lane i then has word i modulo ``in_words``. Outside of the
    input it reads none.

    Rate: a request per cycle. Latency: the first is there ``POOL_PREPARATION`` + 2 cycles after
    ``start``.

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
        """Build counters of the loops, addresses for those that move one, and a request's register.

        What ends with a request is in registers before it.
        """
        m = Module()
        config, request = self._config, self.requests.payload
        lanes = config.post_words
        walking, begin = Signal(), Signal()
        origin, column_step, row_step = self._prepare(m, begin)
        with m.If(begin):
            m.d.sync += walking.eq(1)

        # Of a request, constant in a walk: input pixels, words to the next one in the row of the
        # window, and whether pixels have 1 << n words and are read together.
        pixels = Signal(range(lanes + 1))
        tap_step = Signal.like(self.in_step)
        together = Signal(ceil_log2(lanes))
        m.d.sync += [
            pixels.eq(1),
            tap_step.eq(self.in_step),
            together.eq(0),
        ]
        with m.If(self.together), m.Switch(self.in_words):
            for shift in range(ceil_log2(lanes)):
                with m.Case(1 << shift):
                    m.d.sync += [
                        pixels.eq(lanes >> shift),
                        tap_step.eq(lanes),
                        together.eq(1 << shift),
                    ]

        rows = Countdown(m, self.out_height, name="rows")
        columns = Countdown(m, self.out_width, name="columns")
        groups = Countdown(m, self.in_words, name="words", step=lanes)
        tap_rows = Countdown(m, self.kernel_height, name="tap_rows")
        taps = Countdown(m, self.kernel_width, name="taps", step=pixels)
        first = Signal()
        next_word = Signal(len(self.in_words) + 1)

        # The input pixel where the window begins, and the first one that is read.
        coordinate = signed(len(self.out_height) + len(self.stride) + 2)
        window_y, window_x = Signal(coordinate), Signal(coordinate)
        y, x = Signal(coordinate), Signal(coordinate)
        # Word 0 of the window, which goes along the output row; then the first word of the group in
        # the pixel, which goes along the row of the window.
        window = RowAddress(m, request.address.shape(), pitch=row_step, name="window_start")
        tap = RowAddress(m, request.address.shape(), pitch=self.in_pitch, name="tap")

        enable = self._enable(m, x, y, taps.left, groups.left, together)
        ends_window = taps.last & tap_rows.last
        ends_pixel = ends_window & groups.last
        ends_row = ends_pixel & columns.last
        with m.If(self.requests.ready):
            m.d.sync += self.requests.valid.eq(0)
        with m.If(walking & (~self.requests.valid | self.requests.ready)):
            m.d.sync += [
                self.requests.valid.eq(1),
                request.address.eq(tap.here),
                request.enable.eq(enable),
                request.first.eq(first),
                request.last.eq(ends_window),
                first.eq(ends_window),
                x.eq(x + pixels),
                *taps.step(),
                *tap.advance(tap_step),
            ]
            with m.If(taps.last):
                m.d.sync += [
                    x.eq(window_x),
                    y.eq(y + 1),
                    *taps.begin(),
                    *tap_rows.step(),
                    *tap.advance_row(),
                ]
            with m.If(ends_window):
                m.d.sync += [
                    y.eq(window_y),
                    *tap_rows.begin(),
                    *groups.step(),
                    next_word.eq(next_word + lanes),
                    *tap.begin(window.here + next_word),
                ]
            with m.If(ends_pixel):
                m.d.sync += [
                    window_x.eq(window_x + self.stride),
                    x.eq(window_x + self.stride),
                    *groups.begin(),
                    next_word.eq(lanes),
                    *columns.step(),
                    *window.advance(column_step),
                    *tap.begin(window.here + column_step),
                ]
            with m.If(ends_row):
                m.d.sync += [
                    window_x.eq(-self.pad_left),
                    x.eq(-self.pad_left),
                    window_y.eq(window_y + self.stride),
                    y.eq(window_y + self.stride),
                    *columns.begin(),
                    *rows.step(),
                    *window.advance_row(),
                    *tap.begin(window.next_row),
                    walking.eq(~rows.last),
                ]
        with m.If(begin):
            m.d.sync += [
                first.eq(1),
                window_y.eq(-self.pad_top),
                window_x.eq(-self.pad_left),
                y.eq(-self.pad_top),
                x.eq(-self.pad_left),
                next_word.eq(lanes),
                *rows.begin(),
                *columns.begin(),
                *groups.begin(),
                *tap_rows.begin(),
                *taps.begin(),
                *window.begin(origin),
                *tap.begin(origin),
            ]
        return m

    def _prepare(self, m: Module, begin: Signal) -> tuple[Signal, Signal, Signal]:
        """Multiply, from ``start`` to ``begin``.

        Returns:
            The address of the first window, which may be outside of the input; words from a window
            to the next in its row, and from row to row.
        """
        address = unsigned(self._config.feature_address_bits)
        origin, across, column_step, row_step = (
            Signal(address, name=name) for name in ("origin", "across", "column_step", "row_step")
        )
        pitch, words = Signal(address, name="pitch"), Signal(address, name="pixel_step")
        turn = Signal(range(POOL_PREPARATION + 1))
        multipliers = [
            (SerialMultiplier(m, origin, self.pad_top, subtract=True), self.in_base, pitch),
            (SerialMultiplier(m, across, self.pad_left, subtract=False), 0, words),
            (SerialMultiplier(m, column_step, self.stride, subtract=False), 0, words),
            (SerialMultiplier(m, row_step, self.stride, subtract=False), 0, pitch),
        ]
        m.d.comb += begin.eq(turn == POOL_PREPARATION)
        with m.If(self.start):
            m.d.sync += [turn.eq(1), pitch.eq(self.in_pitch), words.eq(self.in_step)]
            m.d.sync += [multiplier.begin(start) for multiplier, start, _ in multipliers]
        with m.Elif(begin):
            m.d.sync += turn.eq(0)
        with m.Elif(turn != 0):
            m.d.sync += turn.eq(turn + 1)
            with m.If(turn <= SerialMultiplier.STEPS):
                m.d.sync += [pitch.eq(pitch << 2), words.eq(words << 2)]
                m.d.sync += [multiplier.step(other) for multiplier, _, other in multipliers]
            with m.Else():
                m.d.sync += origin.eq(origin - across)
        return origin, column_step, row_step

    def _enable(
        self,
        m: Module,
        x: Signal,
        y: Signal,
        taps_left: Signal,
        words_left: Signal,
        together: Signal,
    ) -> Value:
        """Which lanes of the request have a word: in the window, and in the input."""
        lanes = self._config.post_words
        to_edge = Signal(signed(len(x) + 1))
        inside = Signal()
        m.d.comb += [
            to_edge.eq(self.in_width - x),
            inside.eq((y >= 0) & (y < self.in_height)),
        ]
        there = Cat(
            inside & (x >= -pixel) & (to_edge > pixel) & (taps_left > pixel)
            for pixel in range(lanes)
        )
        enable = thermometer(words_left, lanes) & there[0].replicate(lanes)
        for shift in range(ceil_log2(lanes)):
            of_pixels = Cat(there[lane >> shift] for lane in range(lanes))
            enable = Mux(together[shift], of_pixels, enable)
        return enable
