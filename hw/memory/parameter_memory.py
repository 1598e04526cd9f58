"""The memory of what requantization needs of each channel of a tile."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import DnaConfig
from hw.memory.ram import Ram
from hw.microarchitecture import PARAMETER_TILES
from hw.streams.layouts import PARAMETER_LAYOUT, parameter_row_layout


class ParameterMemory(wiring.Component):
    """The parameters of ``PARAMETER_TILES`` tiles: one is read while the next are written.

    Rate: a row in and a word out per cycle. Latency: 1 cycle from ``chunk`` to ``word``; a tile is
    ``available`` in the cycle after its last row was taken.

    Stall: ``rows`` is ready unless all tiles are full. ``word`` stands still without ``read``.

    Args:
        config: uses ``modules``, ``columns``, ``rows`` and ``lanes``.

    Ports:
        rows: in, stream of :func:`parameter_row_layout`; channels in order from 0 on.
        chunk: in, unsigned, which ``lanes`` channels of the tile to read.
        read: in, read in this cycle.
        release: in, the tile is done with; what is read in this cycle still belongs to it.
        available: out, a whole tile is there.
        word: out, ``PARAMETER_LAYOUT`` [``lanes``].
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "rows": In(stream.Signature(parameter_row_layout(config))),
                "chunk": In(unsigned(ceil_log2(config.modules // config.post_words))),
                "read": In(1),
                "release": In(1),
                "available": Out(1),
                "word": Out(data.ArrayLayout(PARAMETER_LAYOUT, config.lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the memory, as wide as a word, and write the rows into parts of it."""
        m = Module()
        row_bits = len(self.rows.payload.row)
        parts = len(self.word.as_value()) // row_bits
        chunk_bits = len(self.chunk)

        m.submodules.ram = ram = Ram(
            width=parts * row_bits, depth=PARAMETER_TILES << chunk_bits, parts=parts
        )

        full = Signal(PARAMETER_TILES)  # as many ones as there are full tiles, from bit 0 on
        filled = Signal()
        fill_tile = Signal(range(PARAMETER_TILES))
        row = Signal(chunk_bits + ceil_log2(parts))
        taken = Signal()
        m.d.comb += [
            self.rows.ready.eq(~full[-1]),
            filled.eq(taken & self.rows.payload.last),
            taken.eq(self.rows.valid & self.rows.ready),
            ram.write_address.eq(Cat(row[ceil_log2(parts) :], fill_tile)),
            ram.write_data.eq(self.rows.payload.row.replicate(parts)),
            ram.write.eq(taken << row[: ceil_log2(parts)]),
        ]
        with m.If(taken):
            m.d.sync += row.eq(row + 1)
            with m.If(self.rows.payload.last):
                m.d.sync += [row.eq(0), fill_tile.eq(fill_tile + 1)]
        with m.If(filled & ~self.release):
            m.d.sync += full.eq(Cat(1, full))
        with m.If(~filled & self.release):
            m.d.sync += full.eq(full >> 1)

        read_tile = Signal(range(PARAMETER_TILES))
        m.d.comb += [
            self.available.eq(full[0]),
            ram.read_address.eq(Cat(self.chunk, read_tile)),
            ram.read.eq(self.read),
            self.word.eq(ram.read_data),
        ]
        with m.If(self.release):
            m.d.sync += read_tile.eq(read_tile + 1)
        return m
