"""What DEPTHWISE reads: parameters and input rows, group of words after group of words."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.arithmetic.integers import thermometer
from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS, DnaConfig
from hw.depthwise.layouts import BLOCKS, COUNT, line_place_layout
from hw.interfaces import FeatureReadSignature
from hw.isa import Opcode, field_widths
from hw.memory.row_address import RowAddress
from hw.microarchitecture import DEPTHWISE_ROWS, FEATURE_READS, PARAMETER_BYTES
from hw.streams.countdown import Countdown

_WIDTHS = field_widths(Opcode.DEPTHWISE)

READS = ("in_base", "in_pitch", "in_words", "in_height", "parameters", "split")
"""The fields of DEPTHWISE that say what is read."""

SHARED = ("group", "columns", "read_step")
"""What else does, of :class:`hw.depthwise.joint_pixels.JointPixels`."""


class RowReader(wiring.Component):
    """Reads each word of the input once, and in front of each group of words its parameters.

    A group is ``group`` words of every pixel, or what is left of them; a read is those of 2^split
    pixels. Its rows follow those of the group before without a gap: in the line buffer they are one
    sequence of rows, numbered from 0 on modulo 2^16. A row of parameters has as many words as the
    group; where pixels share a read each of them gets a copy.

    Rate: a request per cycle. Latency: the first is there 1 cycle after ``begin``; what is
    answered goes on in the same cycle.

    Stall: a row waits while the line buffer has no place for it, parameters while those of two
    groups are there.

    Args:
        config: uses ``rows``, ``lanes``, ``feature_words`` and ``depthwise_words``.

    Ports:
        begin: in, one cycle high; the walk before must have been taken to its end.
        in_base to split: in, the fields ``READS``, constant from a cycle before ``begin`` on, as
            are ``group`` to ``read_step``, of ``SHARED``.
        blocks: in, unsigned, blocks of taps that make up the window.
        released: in, unsigned(16), rows of the sequence that are not needed any more.
        releases: in, one cycle high: the parameters of the oldest group are not needed any more.
        features: out, :class:`FeatureReadSignature` but for its offsets.
        word: out, unsigned(8 x rows x ``depthwise_words``), what came in this cycle.
        fills: out, it is of pixels, for ``place``, :func:`line_place_layout`.
        parameter_row: out, the same as ``word`` with a copy of the group for each pixel.
        loads: out, that is a row of parameters: byte ``byte`` of bias and scale of each channel if
            ``is_byte``, else the weights of tap ``byte`` of block ``block``. ``half``: of which
            of two groups.
        filled: out, unsigned(16), rows of the sequence that are in the line buffer.
        busy: out, something is left to read, or to come.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "begin": In(1),
                **{name: In(unsigned(_WIDTHS[name])) for name in READS},
                "group": In(range(config.depthwise_words + 1)),
                "columns": In(unsigned(_WIDTHS["in_width"])),
                "read_step": In(unsigned(config.feature_address_bits)),
                "blocks": In(range(BLOCKS + 1)),
                "released": In(COUNT),
                "releases": In(1),
                "features": Out(FeatureReadSignature(config)),
                "word": Out(unsigned(8 * config.rows * config.depthwise_words)),
                "parameter_row": Out(unsigned(8 * config.rows * config.depthwise_words)),
                "fills": Out(1),
                "place": Out(line_place_layout()),
                "loads": Out(1),
                "is_byte": Out(1),
                "byte": Out(range(DEPTHWISE_TAPS)),
                "block": Out(range(BLOCKS)),
                "half": Out(1),
                "filled": Out(COUNT),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the walk over what is asked for, and what is known of each answer."""
        m = Module()
        config = self._config
        words = config.depthwise_words
        request, response = self.features.requests, self.features.responses
        address = unsigned(config.feature_address_bits)

        walking, loading = Signal(), Signal()
        groups = Countdown(m, self.in_words, name="groups", step=self.group)
        rows = Countdown(m, self.in_height, name="rows")
        columns = Countdown(m, self.columns, name="columns")
        group_address = Signal(address)
        parameter = Signal(address)
        pixel = RowAddress(m, address, pitch=self.in_pitch, name="pixel")

        # Of the parameters to ask for: which row.
        byte, last_byte = Signal(range(DEPTHWISE_TAPS)), Signal()
        block, is_byte = Signal(range(BLOCKS)), Signal()
        half = Signal()
        # Of the pixel to ask for: its row in the sequence, and its column.
        number, next_number = Signal(COUNT), Signal(COUNT)
        column, third = Signal(line_place_layout()["column"].shape), Signal(range(DEPTHWISE_SIDE))

        # Room for the row, and for the parameters, known a cycle ahead; it only grows.
        has_row, has_half = Signal(), Signal()
        held = Signal(2)  # groups whose parameters are here or asked for
        moves, ends_row, ends_group, ends_loading = Signal(), Signal(), Signal(), Signal()
        tag = data.StructLayout(
            {
                "place": line_place_layout(),
                "ends_row": 1,
                "loads": 1,
                "is_byte": 1,
                "byte": range(DEPTHWISE_TAPS),
                "block": range(BLOCKS),
                "half": 1,
            }
        )
        m.submodules.tags = tags = SyncFIFO(width=tag.size, depth=FEATURE_READS)
        asked = data.View(tag, tags.w_data)
        there = Mux(loading, has_half, has_row)
        # Of a pixel as many as are left; where several share a read that is the group's anyway.
        of_group = thermometer(self.group, words)
        of_pixels = Mux(self.split == 0, thermometer(groups.left, words), (1 << words) - 1)
        m.d.comb += [
            request.valid.eq(walking & there & tags.w_rdy),
            request.payload.address.eq(Mux(loading, parameter, pixel.here)),
            request.payload.enable.eq(Mux(loading, of_group, of_pixels)),
            moves.eq(request.valid & request.ready),
            ends_loading.eq(moves & loading & is_byte & last_byte),
            ends_row.eq(moves & ~loading & columns.last),
            ends_group.eq(ends_row & rows.last),
            tags.w_en.eq(moves),
            asked.place.row.eq(number),
            asked.place.column.eq(column),
            asked.place.third.eq(third),
            asked.ends_row.eq(columns.last),
            asked.loads.eq(loading),
            asked.is_byte.eq(is_byte),
            asked.byte.eq(byte),
            asked.block.eq(block),
            asked.half.eq(half),
            self.busy.eq(walking | tags.r_rdy),
        ]
        with m.If(moves & loading):
            m.d.sync += [
                parameter.eq(parameter + self.group),
                byte.eq(byte + 1),
                last_byte.eq(byte == Mux(is_byte, PARAMETER_BYTES - 2, DEPTHWISE_TAPS - 2)),
            ]
            with m.If(last_byte):
                m.d.sync += [byte.eq(0), block.eq(block + 1), is_byte.eq(block == self.blocks - 1)]
        with m.If(ends_loading):
            m.d.sync += [loading.eq(0), half.eq(~half), block.eq(0), is_byte.eq(0)]
        with m.If(moves & ~loading):
            m.d.sync += [*columns.step(), *pixel.advance(self.read_step), third.eq(third + 1)]
            with m.If(third == DEPTHWISE_SIDE - 1):
                m.d.sync += [third.eq(0), column.eq(column + 1)]
        with m.If(ends_row):
            m.d.sync += [
                *columns.begin(),
                *rows.step(),
                *pixel.advance_row(),
                column.eq(0),
                third.eq(0),
                number.eq(next_number),
                next_number.eq(next_number + 1),
            ]
        with m.If(ends_group):
            m.d.sync += [
                *rows.begin(),
                *groups.step(),
                group_address.eq(group_address + self.group),
                *pixel.begin(group_address + self.group),
                loading.eq(~groups.last),
                walking.eq(~groups.last),
            ]
        m.d.sync += [
            has_row.eq(
                (Mux(ends_row, next_number, number) - self.released)[: len(number)].as_signed()
                < DEPTHWISE_ROWS
            ),
            held.eq(held + ends_loading - self.releases),
            has_half.eq(held != 2),
        ]

        known = data.View(tag, tags.r_data)
        came = Signal()
        m.d.comb += [
            response.ready.eq(1),
            came.eq(response.valid),
            tags.r_en.eq(came),
            self.word.eq(Cat(response.payload[lane].as_value() for lane in range(words))),
            self.parameter_row.eq(self.word),
            self.fills.eq(came & ~known.loads),
            self.loads.eq(came & known.loads),
            self.place.eq(known.place),
            self.is_byte.eq(known.is_byte),
            self.byte.eq(known.byte),
            self.block.eq(known.block),
            self.half.eq(known.half),
        ]
        bits = 8 * config.rows
        with m.Switch(self.split):
            for split in range(1, exact_log2(words) + 1):
                with m.Case(split):
                    copied = self.word[: bits * (words >> split)].replicate(1 << split)
                    m.d.comb += self.parameter_row.eq(copied)
        with m.If(self.fills & known.ends_row):
            m.d.sync += self.filled.eq(self.filled + 1)
        with m.If(self.begin):
            m.d.sync += [
                walking.eq(1),
                loading.eq(1),
                group_address.eq(self.in_base),
                parameter.eq(self.parameters),
                *groups.begin(),
                *rows.begin(),
                *columns.begin(),
                *pixel.begin(self.in_base),
                byte.eq(0),
                last_byte.eq(0),
                block.eq(0),
                is_byte.eq(0),
                half.eq(0),
                number.eq(0),
                next_number.eq(1),
                has_row.eq(1),
                has_half.eq(1),
                held.eq(0),
                self.filled.eq(0),
            ]
        return m
