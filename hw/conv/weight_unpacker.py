"""Takes a layer's weight stream apart: header, parameters of tiles, weights of passes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.interfaces import FaultSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.microarchitecture import PARAMETER_BYTES, TABLE_BYTES
from hw.status import Fault
from hw.streams.layouts import parameter_row_layout

_CONV = instruction_layout(Opcode.CONV)


class WeightUnpacker(wiring.Component):
    """Gathers DRAM words into wide rows of G x C bytes and sends each where it belongs.

    Per CONV: a header row, with ``table`` the rows that ``TABLE_BYTES`` fill, then per tile
    max(1, 8 / k) parameter rows and R weight rows for each pass. It takes an instruction
    as soon as the one before is unpacked, so it is ahead of the pixels by what the consumers of its
    rows can hold.

    Rate: a row per G x C / ``dram_bytes_per_cycle`` cycles. Latency: 0 cycles from the last DRAM
    word of a row to the row; a cycle between the last row of an instruction and the next header,
    and one behind the header.

    Stall: the last DRAM word of a row waits until the row is taken. So parameters wait for POST,
    and the weights after them wait too: POST must have room for the parameters of the tile that
    comes after the one that drains.

    Args:
        config: uses ``modules`` G, ``rows`` R, ``columns`` C and ``dram_bytes_per_cycle``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``, fields in range.
        words: in, stream of unsigned(8 x dram_bytes_per_cycle).
        parameters: out, stream of :func:`parameter_row_layout`.
        weights: out, stream of signed(8) [G] [C], a row of all modules.
        fault: out, :class:`FaultSignature`, from then on until reset: WEIGHT_HEADER for a header
            whose first four bytes are not the instruction's ``tag``, which is the address, and its
            complement. Nothing more is taken.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        row = data.ArrayLayout(data.ArrayLayout(signed(8), config.columns), config.modules)
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "words": In(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
                "parameters": Out(stream.Signature(parameter_row_layout(config))),
                "weights": Out(stream.Signature(row)),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the gatherer and the counters that know what a row is."""
        m = Module()
        row_valid, row_ready = Signal(), Signal()
        row = self._gather(m, row_valid, row_ready)
        row_taken = Signal()
        m.d.comb += [
            row_taken.eq(row_valid & row_ready),
            self.parameters.payload.row.eq(row),
            self.weights.payload.as_value().eq(row),
        ]

        new = self.instructions.payload
        row_bits = exact_log2(self._config.rows)
        tag = Signal.like(new.tag)
        table = Signal()
        last_table_row = max(1, TABLE_BYTES // (len(row) // 8)) - 1
        wrong = Signal()
        # What follows the current row of its kind, and whether nothing does; and the current tile.
        rows_left = Signal(
            range(max(PARAMETER_BYTES, last_table_row + 1, 1 << (len(new.passes) + row_bits)))
        )
        ends = Signal()
        pixel_tiles_left = Signal.like(new.pixel_tiles)
        channel_tiles_left = Signal.like(new.channel_tiles)
        last_pixel_tile = Signal.like(new.pixel_tiles)
        last_parameter_row = Signal(range(PARAMETER_BYTES))
        last_weight_row = Signal.like(rows_left)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.instructions.ready.eq(1)
                m.d.sync += [
                    tag.eq(new.tag),
                    table.eq(new.table),
                    last_pixel_tile.eq(new.pixel_tiles - 1),
                    pixel_tiles_left.eq(new.pixel_tiles - 1),
                    channel_tiles_left.eq(new.channel_tiles - 1),
                    last_parameter_row.eq((PARAMETER_BYTES - 1) >> new.split),
                    last_weight_row.eq((new.passes << row_bits) - 1),
                ]
                with m.If(self.instructions.valid):
                    m.next = "HEADER"
            with m.State("HEADER"):
                m.d.comb += row_ready.eq(1)
                m.d.sync += [rows_left.eq(last_parameter_row), ends.eq(last_parameter_row == 0)]
                m.d.sync += wrong.eq(row[: 2 * len(tag)] != Cat(tag, ~tag))
                with m.If(row_valid):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.next = "PARAMETERS"
                with m.If(table):
                    m.d.sync += [rows_left.eq(last_table_row), ends.eq(last_table_row == 0)]
                    m.next = "TABLE"
                with m.If(wrong):
                    m.d.sync += [
                        self.fault.valid.eq(1),
                        self.fault.code.eq(Fault.WEIGHT_HEADER),
                        self.fault.address.eq(tag),
                    ]
                    m.next = "FAULT"
            with m.State("TABLE"):
                m.d.comb += [
                    self.parameters.valid.eq(row_valid),
                    self.parameters.payload.last.eq(ends),
                    self.parameters.payload.table.eq(1),
                    row_ready.eq(self.parameters.ready),
                ]
                with m.If(row_taken):
                    m.d.sync += [rows_left.eq(rows_left - 1), ends.eq(rows_left == 1)]
                    with m.If(ends):
                        m.d.sync += [
                            rows_left.eq(last_parameter_row),
                            ends.eq(last_parameter_row == 0),
                        ]
                        m.next = "PARAMETERS"
            with m.State("PARAMETERS"):
                m.d.comb += [
                    self.parameters.valid.eq(row_valid),
                    self.parameters.payload.last.eq(ends),
                    row_ready.eq(self.parameters.ready),
                ]
                with m.If(row_taken):
                    m.d.sync += [rows_left.eq(rows_left - 1), ends.eq(rows_left == 1)]
                    with m.If(ends):
                        m.d.sync += [rows_left.eq(last_weight_row), ends.eq(0)]
                        m.next = "WEIGHTS"
            with m.State("WEIGHTS"):
                m.d.comb += [
                    self.weights.valid.eq(row_valid),
                    row_ready.eq(self.weights.ready),
                ]
                with m.If(row_taken):
                    m.d.sync += [rows_left.eq(rows_left - 1), ends.eq(rows_left == 1)]
                    with m.If(ends):
                        m.d.sync += [
                            rows_left.eq(last_parameter_row),
                            ends.eq(last_parameter_row == 0),
                            pixel_tiles_left.eq(pixel_tiles_left - 1),
                        ]
                        m.next = "PARAMETERS"
                        with m.If(pixel_tiles_left == 0):
                            m.d.sync += [
                                pixel_tiles_left.eq(last_pixel_tile),
                                channel_tiles_left.eq(channel_tiles_left - 1),
                            ]
                            with m.If(channel_tiles_left == 0):
                                m.next = "IDLE"
            with m.State("FAULT"):
                pass
        return m

    def _gather(self, m: Module, row_valid: Signal, row_ready: Signal) -> Any:
        """The wide row that the DRAM words make up; the last word is not stored but passed on."""
        config = self._config
        words = config.modules * config.columns // config.dram_bytes_per_cycle
        if words == 1:
            m.d.comb += [row_valid.eq(self.words.valid), self.words.ready.eq(row_ready)]
            return self.words.payload
        stored = [
            Signal.like(self.words.payload, name=f"word_{index}", reset_less=True)
            for index in range(words - 1)
        ]
        count = Signal(range(words))
        full = Signal()
        m.d.comb += [
            full.eq(count == words - 1),
            row_valid.eq(full & self.words.valid),
            self.words.ready.eq(~full | row_ready),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += count.eq(count + 1)  # wraps: words is a power of two
        with m.If(self.words.valid):
            for index, word in enumerate(stored):
                with m.If(count == index):
                    m.d.sync += word.eq(self.words.payload)
        return Cat(*stored, self.words.payload)
