"""The buffer in which LOAD cuts rows of bytes into windows."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import LOAD_CHUNKS, DnaConfig
from hw.memory.ram import Ram

_FINE_BITS = 4


class RowRing(wiring.Component):
    """The last few chunks of a row of bytes, readable at any byte.

    Byte b of the row is written at position ``b + shift`` and read there. Even and odd chunks are
    in two memories, so that the bytes of a cycle are always together in one read of both.

    The bytes that were read move to their place in two steps, by whole sixteens and then by what is
    left, with registers in front of each.

    Rate: a DRAM word in, ``lanes`` bytes out per cycle. Latency: 3 cycles from ``position`` to
    ``bytes``; what is written in a cycle can be read from the next on. Stall: without ``read`` the
    bytes stand still; nothing says that a word overwrites what is still wanted.

    Args:
        config: uses ``lanes`` and ``dram_bytes_per_cycle``.

    Ports:
        write: in, write ``word`` in this cycle.
        slot: in, unsigned, position of the word / dram_bytes_per_cycle; the upper bits do not
            matter.
        word: in, unsigned(8 x dram_bytes_per_cycle).
        read: in, read in this cycle.
        position: in, unsigned, of the first byte to read; the upper bits do not matter.
        bytes: out, unsigned(8) [``lanes``].
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        size = LOAD_CHUNKS * config.load_chunk_bytes
        super().__init__(
            {
                "write": In(1),
                "slot": In(unsigned(ceil_log2(size // config.dram_bytes_per_cycle))),
                "word": In(unsigned(8 * config.dram_bytes_per_cycle)),
                "read": In(1),
                "position": In(unsigned(ceil_log2(size))),
                "bytes": Out(data.ArrayLayout(unsigned(8), config.lanes)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two memories and the shifter behind them."""
        m = Module()
        config = self._config
        chunk_bits = 8 * config.load_chunk_bytes
        parts = config.load_chunk_bytes // config.dram_bytes_per_cycle
        part = self.slot[: ceil_log2(parts)]
        write_chunk = self.slot[ceil_log2(parts) :]
        byte = self.position[: ceil_log2(config.load_chunk_bytes)]
        read_chunk = self.position[len(byte) :]

        odd = Signal()
        shift = Signal.like(byte)
        read_shift = Signal.like(byte)
        fine_shift = Signal(min(len(byte), _FINE_BITS))
        both = Signal(2 * chunk_bits)
        coarse = Signal(8 * config.lanes + (8 << len(fine_shift)))
        chunks = []
        for parity in range(2):
            ram = Ram(width=chunk_bits, depth=LOAD_CHUNKS // 2, parts=parts)
            m.submodules[f"chunks_{parity}"] = ram
            m.d.comb += [
                ram.write_address.eq(write_chunk[1:]),
                ram.write_data.eq(self.word.replicate(parts)),
                ram.write.eq((self.write & (write_chunk[0] == parity)) << part),
                # The chunk of the first byte or the one behind it.
                ram.read_address.eq((read_chunk + (1 - parity))[1:]),
                ram.read.eq(self.read),
            ]
            chunks.append(ram.read_data)
        even_chunk, odd_chunk = chunks
        with m.If(self.read):
            m.d.sync += [
                odd.eq(read_chunk[0]),
                read_shift.eq(byte),
                both.eq(Mux(odd, Cat(odd_chunk, even_chunk), Cat(even_chunk, odd_chunk))),
                shift.eq(read_shift),
                coarse.eq(both >> (Cat(Const(0, len(fine_shift)), shift[len(fine_shift) :]) << 3)),
                fine_shift.eq(shift),
            ]
        m.d.comb += self.bytes.eq(coarse >> (fine_shift << 3))
        return m
