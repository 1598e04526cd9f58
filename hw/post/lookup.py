"""A function of an int8 value, as a table for each lane."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.memory.ram import Ram
from hw.microarchitecture import TABLE_BYTES, TABLE_LATENCY, TABLE_WORD_BYTES
from hw.streams.delay import delay

TABLES = 2
"""One is in use while the next one is written."""


class LookupTables(wiring.Component):
    """Two tables of ``TABLE_BYTES``, a copy in each lane: a byte in, a byte out.

    A table is the results by the value's byte, read as unsigned: 0..127, then -128..-1.

    Rate: a value per lane and cycle; a wide row in as many cycles as it has words of
    ``TABLE_WORD_BYTES``, and one. Latency: ``LATENCY`` cycles from ``i`` to ``o``; a table is
    ``available`` two cycles after the one in which its last word is written.

    Stall: ``rows`` is not ready while both tables are full. Values run through.

    Args:
        config: uses ``modules``, ``columns`` and ``lanes``.

    Ports:
        rows: in, stream of unsigned(8 x G x C), bytes of a table in order.
        release: in, the table in use is done with.
        available: out, there is one to use.
        i, o: in, out, unsigned(8 x ``lanes``).
    """

    LATENCY = TABLE_LATENCY

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "rows": In(stream.Signature(unsigned(8 * config.modules * config.columns))),
                "release": In(1),
                "available": Out(1),
                "i": In(unsigned(8 * config.lanes)),
                "o": Out(unsigned(8 * config.lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the writer, and a memory and a choice of its bytes for each lane."""
        m = Module()
        bits = 8 * TABLE_WORD_BYTES
        words = TABLE_BYTES // TABLE_WORD_BYTES
        parts = min(len(self.rows.payload) // bits, words)

        row = Signal.like(self.rows.payload, reset_less=True)
        left = Signal(range(parts + 1))  # words of the row that are not written yet
        word = Signal(range(words))
        written = Signal()
        filled = Signal()
        full = Signal(TABLES)  # as many ones as there are full tables
        fill_table = Signal()
        read_table = Signal()
        m.d.comb += [
            self.rows.ready.eq((left == 0) & ~full[-1]),
            written.eq(left != 0),
            filled.eq(written & (word == words - 1)),
            self.available.eq(full[0]),
        ]
        with m.If(self.rows.valid & self.rows.ready):
            m.d.sync += [row.eq(self.rows.payload), left.eq(parts)]
        with m.If(written):
            m.d.sync += [row.eq(row >> bits), left.eq(left - 1), word.eq(word + 1)]
        with m.If(filled):
            m.d.sync += fill_table.eq(~fill_table)
        with m.If(self.release):
            m.d.sync += read_table.eq(~read_table)
        with m.If(filled & ~self.release):
            m.d.sync += full.eq(Cat(1, full))
        with m.If(~filled & self.release):
            m.d.sync += full.eq(full >> 1)

        byte_bits = exact_log2(TABLE_WORD_BYTES)
        for lane in range(self._config.lanes):
            ram = Ram(width=bits, depth=TABLES * words)
            m.submodules[f"lane_{lane}"] = ram
            value = self.i[8 * lane : 8 * (lane + 1)]
            result = Signal(8, name=f"result_{lane}", reset_less=True)
            byte = delay(m, value[:byte_bits], 1, f"byte_{lane}")
            m.d.comb += [
                ram.write_address.eq(Cat(word, fill_table)),
                ram.write_data.eq(row[:bits]),
                ram.write.eq(written),
                ram.read.eq(1),
                ram.read_address.eq(Cat(value[byte_bits:], read_table)),
                self.o[8 * lane : 8 * (lane + 1)].eq(result),
            ]
            m.d.sync += result.eq(ram.read_data.word_select(byte, 8))
        return m
