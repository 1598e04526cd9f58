"""The order in which DEPTHWISE computes: blocks of taps, and when their rows are there."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DEPTHWISE_SIDE, DnaConfig
from hw.depthwise.layouts import BANDS, BLOCKS, COUNT, line_place_layout
from hw.isa import Opcode, field_widths
from hw.microarchitecture import DEPTHWISE_KERNEL
from hw.streams.countdown import Countdown

_WIDTHS = field_widths(Opcode.DEPTHWISE)
_MULTIPLES = range(DEPTHWISE_SIDE, DEPTHWISE_KERNEL + 1, DEPTHWISE_SIDE)
"""Of 3, up to the largest kernel; strides and paddings are less."""

WALK = ("in_words", "in_height", "kernel_height", "kernel_width", "stride", "pad_top", "out_height")
"""The fields of DEPTHWISE that say what is computed in which order."""

SHARED = ("group", "columns", "windows", "column_stride", "column_padding")
"""What else does, of :class:`hw.depthwise.joint_pixels.JointPixels`."""


def step_layout() -> data.StructLayout:
    """A block of taps.

    Members:
        at: :func:`line_place_layout`, of its first tap.
        half: of which of two groups the parameters are.
        block: unsigned, number of the block in the window.
        first, last: it is the first, the last one of its window.
        ends_row, ends_group, ends_layer: besides, the window is the last one of its output row, of
            the group of words, of all.
    """
    return data.StructLayout(
        {
            "at": line_place_layout(),
            "half": 1,
            "block": range(BLOCKS),
            "first": 1,
            "last": 1,
            "ends_row": 1,
            "ends_group": 1,
            "ends_layer": 1,
        }
    )


class BlockWalker(wiring.Component):
    """Walks group of words, output row, output column, and the 3 x 3 blocks of a window.

    Columns are those of the line buffer, in which several pixels may be one.

    An output row waits until all input rows under its windows are in the line buffer, and lets go
    of those that the next one does not need. Rows are counted in sequence over all groups, modulo
    2^16.

    Rate: a block per cycle. Latency: the first may be there 2 cycles after ``begin``.

    Stall: a block stays until it is taken.

    Args:
        config: uses ``depthwise_words``.

    Ports:
        begin: in, one cycle high; the walk before must have been taken to its end.
        in_words to out_height: in, the fields ``WALK``, constant from 2 cycles before ``begin`` on,
            as are ``group`` to ``column_padding``, of ``SHARED``; counts at least 1, kernels at
            most ``DEPTHWISE_KERNEL``, each padding at least 0 and less than its side of the kernel.
        blocks: out, unsigned, blocks of a window, constant from ``begin`` on.
        filled: in, unsigned(16), rows of the sequence that are in the line buffer.
        released: out, unsigned(16), those that are not needed any more.
        words_left: out, unsigned, words of a pixel from the first of the group on.
        steps: out, stream of :func:`step_layout`.
        rows_inside, columns_inside: out, unsigned(3), in the cycle after a block was on offer:
            which of its rows and columns are in the input.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "begin": In(1),
                **{
                    name: In((signed if name == "pad_top" else unsigned)(_WIDTHS[name]))
                    for name in WALK
                },
                "group": In(range(config.depthwise_words + 1)),
                "columns": In(unsigned(_WIDTHS["in_width"])),
                "windows": In(unsigned(_WIDTHS["out_width"])),
                "column_stride": In(unsigned(_WIDTHS["stride"])),
                "column_padding": In(signed(_WIDTHS["pad_left"])),
                "blocks": Out(range(BLOCKS + 1)),
                "filled": In(COUNT),
                "released": Out(COUNT),
                "words_left": Out(unsigned(_WIDTHS["in_words"])),
                "steps": Out(stream.Signature(step_layout())),
                "rows_inside": Out(DEPTHWISE_SIDE),
                "columns_inside": Out(DEPTHWISE_SIDE),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the loops, where a block is, and the rows that it needs."""
        m = Module()
        step, side = self.steps.payload, DEPTHWISE_SIDE
        bands_high, bands_wide = Signal(range(BANDS + 1)), Signal(range(BANDS + 1))
        for bands, kernel in (
            (bands_high, self.kernel_height),
            (bands_wide, self.kernel_width),
        ):
            m.d.sync += bands.eq(1 + sum(kernel > side * band for band in range(1, BANDS)))
        m.d.sync += self.blocks.eq(
            Mux(
                bands_high == 1,
                bands_wide,
                Mux(bands_high == 2, bands_wide << 1, (bands_wide << 1) + bands_wide),
            )
        )

        walking, there = Signal(), Signal()
        groups = Countdown(m, self.in_words, name="groups", step=self.group)
        rows = Countdown(m, self.out_height, name="rows")
        columns = Countdown(m, self.windows, name="columns")
        high = Countdown(m, bands_high, name="bands_high")
        wide = Countdown(m, bands_wide, name="bands_wide")
        first, half, block = Signal(init=1), Signal(), Signal.like(step.block)
        moves, ends_window = Signal(), Signal()
        ends_row, ends_group = Signal(), Signal()
        m.d.comb += [
            self.steps.valid.eq(walking & there),
            moves.eq(self.steps.valid & self.steps.ready),
            step.half.eq(half),
            step.block.eq(block),
            step.first.eq(first),
            step.last.eq(wide.last & high.last),
            step.ends_row.eq(step.last & columns.last),
            step.ends_group.eq(step.ends_row & rows.last),
            step.ends_layer.eq(step.ends_group & groups.last),
            ends_window.eq(moves & step.last),
            ends_row.eq(moves & step.ends_row),
            ends_group.eq(moves & step.ends_group),
            self.words_left.eq(groups.left),
        ]
        with m.If(moves):
            m.d.sync += [*wide.step(), first.eq(step.last), block.eq(block + 1)]
            with m.If(wide.last):
                m.d.sync += [*wide.begin(), *high.step()]
        with m.If(ends_window):
            m.d.sync += [*high.begin(), *columns.step(), block.eq(0)]
        with m.If(ends_row):
            m.d.sync += [*columns.begin(), *rows.step()]
        with m.If(ends_group):
            m.d.sync += [*rows.begin(), *groups.step(), half.eq(~half), walking.eq(~groups.last)]
        with m.If(self.begin):
            m.d.sync += [
                walking.eq(1),
                *groups.begin(),
                *rows.begin(),
                *columns.begin(),
                *high.begin(),
                *wide.begin(),
                first.eq(1),
                block.eq(0),
                half.eq(0),
            ]
        self._columns(m, moves, wide.last, ends_window, ends_row)
        self._rows(m, moves & wide.last, ends_window, ends_row, ends_group)
        self._sequence(m, there, ends_row, ends_group)
        return m

    def _columns(
        self, m: Module, moves: Value, ends_band: Value, ends_window: Value, ends_row: Value
    ) -> None:
        """The column of a block: as a number, and divided by 3."""
        at = self.steps.payload.at
        coordinate = signed(len(self.columns) + 2)
        thirds = range(DEPTHWISE_SIDE)
        x, window_x = Signal(coordinate), Signal(coordinate)
        column, window_column = Signal.like(at.column), Signal.like(at.column)
        third, next_third = Signal(thirds), Signal(thirds)
        next_column = Signal.like(at.column)
        # Where a row begins, and a step along it, divided by 3.
        begins, begins_third = Signal.like(at.column), Signal(thirds)
        steps, steps_third = Signal.like(at.column), Signal(thirds)
        # A stride divided by 3, and the padding, that one rounded up.
        under, back = (Signal(range(len(_MULTIPLES) + 1), name=name) for name in ("under", "back"))
        stride, padding = self.column_stride, self.column_padding[: DEPTHWISE_KERNEL.bit_length()]
        m.d.comb += [
            under.eq(sum(stride >= side for side in _MULTIPLES)),
            back.eq(sum(padding > side - DEPTHWISE_SIDE for side in _MULTIPLES)),
        ]
        m.d.sync += [
            steps.eq(under),
            steps_third.eq(stride - (under << 1) - under),
            begins.eq(-back),
            begins_third.eq((back << 1) + back - padding),
        ]
        over = Signal()
        m.d.comb += [
            over.eq(third + steps_third >= DEPTHWISE_SIDE),
            next_third.eq(Mux(over, third + steps_third - DEPTHWISE_SIDE, third + steps_third)),
            next_column.eq(window_column + steps + over),
            at.column.eq(column),
            at.third.eq(third),
        ]
        to_edge = Signal(coordinate)
        m.d.comb += to_edge.eq(self.columns - x)
        m.d.sync += self.columns_inside.eq(
            Cat((x >= -place) & (to_edge > place) for place in thirds)
        )
        with m.If(moves):
            m.d.sync += [x.eq(x + DEPTHWISE_SIDE), column.eq(column + 1)]
            with m.If(ends_band):
                m.d.sync += [x.eq(window_x), column.eq(window_column)]
        with m.If(ends_window):
            m.d.sync += [
                *(one.eq(window_x + stride) for one in (x, window_x)),
                *(one.eq(next_column) for one in (column, window_column)),
                third.eq(next_third),
            ]
        with m.If(ends_row | self.begin):
            m.d.sync += [
                *(one.eq(-self.column_padding) for one in (x, window_x)),
                *(one.eq(begins) for one in (column, window_column)),
                third.eq(begins_third),
            ]

    def _rows(
        self, m: Module, ends_band: Value, ends_window: Value, ends_row: Value, ends_group: Value
    ) -> None:
        """The row of a block: as one of the input, and in sequence."""
        at = self.steps.payload.at
        coordinate = signed(len(self.in_height) + 2)
        y, window_y = Signal(coordinate), Signal(coordinate)
        row, window_row = Signal.like(at.row), Signal.like(at.row)
        group_row = Signal.like(at.row)  # where the windows of the group after this one begin
        m.d.comb += at.row.eq(row)
        to_edge = Signal(coordinate)
        m.d.comb += to_edge.eq(self.in_height - y)
        m.d.sync += self.rows_inside.eq(
            Cat((y >= -place) & (to_edge > place) for place in range(DEPTHWISE_SIDE))
        )
        with m.If(ends_band):
            m.d.sync += [y.eq(y + DEPTHWISE_SIDE), row.eq(row + DEPTHWISE_SIDE)]
        with m.If(ends_window):
            m.d.sync += [y.eq(window_y), row.eq(window_row)]
        with m.If(ends_row):
            m.d.sync += [
                *(one.eq(window_y + self.stride) for one in (y, window_y)),
                *(one.eq(window_row + self.stride) for one in (row, window_row)),
            ]
        with m.If(ends_group):
            m.d.sync += [
                *(one.eq(-self.pad_top) for one in (y, window_y)),
                *(one.eq(group_row) for one in (row, window_row)),
                group_row.eq(group_row + self.in_height),
            ]
        with m.If(self.begin):
            m.d.sync += [
                *(one.eq(-self.pad_top) for one in (y, window_y)),
                *(one.eq(-self.pad_top) for one in (row, window_row)),
                group_row.eq(self.in_height - self.pad_top),
            ]

    def _sequence(self, m: Module, there: Signal, ends_row: Value, ends_group: Value) -> None:
        """Whether the rows under an output row are there, known a cycle ahead; what it leaves.

        Of the rows of this output row, the next one, and the first one of the next group: the
        number of the first and that behind the last, and the end of the group's input.
        """
        counts = {
            name: Signal(COUNT, name=name)
            for name in ("next_top", "bottom", "next_bottom", "group_bottom", "end", "next_end")
        }
        top, bottom = counts["next_top"], counts["bottom"]
        next_bottom, group_bottom = counts["next_bottom"], counts["group_bottom"]
        end, next_end = counts["end"], counts["next_end"]

        def reached(number: Value) -> Value:
            return ~(self.filled - number)[len(end) - 1]

        m.d.sync += there.eq(
            Mux(
                ends_group,
                reached(group_bottom) | reached(next_end),
                Mux(ends_row, reached(next_bottom), reached(bottom)) | reached(end),
            )
        )
        leaves, leaves_end = Signal(COUNT), Signal(COUNT)
        before_end = (leaves - leaves_end)[len(end) - 1]
        least = Signal(COUNT)
        m.d.comb += least.eq(Mux(before_end, leaves, leaves_end))
        with m.If(~(least - self.released)[len(end) - 1]):
            m.d.sync += self.released.eq(least)
        with m.If(ends_row):
            m.d.sync += [
                leaves.eq(top),
                leaves_end.eq(end),
                top.eq(top + self.stride),
                bottom.eq(next_bottom),
                next_bottom.eq(next_bottom + self.stride),
            ]
        with m.If(ends_group):
            m.d.sync += [
                leaves.eq(end),
                top.eq(end - self.pad_top + self.stride),
                bottom.eq(group_bottom),
                next_bottom.eq(group_bottom + self.stride),
                group_bottom.eq(group_bottom + self.in_height),
                end.eq(next_end),
                next_end.eq(next_end + self.in_height),
            ]
        under, height = Signal(COUNT), Signal(COUNT)  # the first window's end; of the next group
        m.d.sync += [
            under.eq(self.kernel_height - self.pad_top),
            height.eq(self.in_height),
        ]
        with m.If(self.begin):
            m.d.sync += [
                there.eq(0),
                leaves.eq(0),
                leaves_end.eq(0),
                self.released.eq(0),
                top.eq(self.stride - self.pad_top),
                bottom.eq(under),
                next_bottom.eq(under + self.stride),
                group_bottom.eq(under + height),
                end.eq(height),
                next_end.eq(height << 1),
            ]
