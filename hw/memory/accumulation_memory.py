"""The bank of int32 accumulators behind a convolution module."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory.ram import Ram
from hw.microarchitecture import ACCUMULATION_LATENCY
from hw.streams.delay import delay
from hw.streams.layouts import pixel_layout

_HALF = 16
"""Bits of a sum that are added in one cycle."""
_READ, _ADD, _WRITE = 1, 2, ACCUMULATION_LATENCY - 1
"""The cycles behind that of an address: its accumulators come, low halves and high are added."""
_SLOTS = 2


def drain_layout(columns: int) -> data.StructLayout:
    """One finished pixel: ``data`` signed(32) [``columns``]; ``last`` ends the tile."""
    return data.StructLayout({"data": data.ArrayLayout(signed(32), columns), "last": 1})


class AccumulationMemory(wiring.Component):
    """Two tiles of pixels: one adds up the passes of a reduction while the other drains.

    Pixel n of every pass meets accumulator n of the tile: with ``first`` set the sums replace what
    is there, otherwise they are added, wrapping. The ``last`` pixel of a ``final`` pass completes
    the tile, which then leaves through ``pixels`` in order, as many pixels as the final pass had.

    Rate: takes one pixel and gives one pixel per cycle.

    Latency: the first pixel of a tile is in ``pixels`` ``ACCUMULATION_LATENCY`` + 2 cycles after
    the last was taken. ``released`` is high in the cycle after the one in which the last pixel of a
    tile has left the memory, and the next tile may come from then on.

    Stall: none for ``sums``; ``pixels`` wait. Whoever sends sums keeps to these rules, of which the
    memory sees none: a third tile begins only when the one before the last is released; a pass has
    at most ``depth`` pixels and those of one tile are equally long; an accumulator is met again
    ``ACCUMULATION_LATENCY`` cycles later at the earliest.

    Args:
        columns: C, accumulators of a pixel.
        depth: pixels of a tile. A power of two.

    Ports:
        sums: in, stream of :func:`hw.streams.layouts.pixel_layout` with signed(32) [C], always
            ready.
        pixels: out, stream of :func:`drain_layout`.
        released: out, one cycle high for each tile that has left the memory.

    Raises:
        ValueError: ``columns`` is not a positive integer, or ``depth`` not a power of two of at
            least 2.
    """

    def __init__(self, *, columns: int, depth: int) -> None:
        if not isinstance(columns, int) or columns < 1:
            raise ValueError(f"columns must be a positive integer, not {columns!r}")
        if not isinstance(depth, int) or depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 2, not {depth!r}")
        self._columns, self._depth = columns, depth
        super().__init__(
            {
                "sums": In(stream.Signature(pixel_layout(columns, 32), always_ready=True)),
                "pixels": Out(stream.Signature(drain_layout(columns))),
                "released": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a memory per tile, so that each needs but one read and one write port."""
        m = Module()
        rams = [Ram(width=32 * self._columns, depth=self._depth) for _ in range(2)]
        m.submodules.tile_0, m.submodules.tile_1 = rams

        full = Signal(2)  # per tile: complete, and not drained yet
        last_index = [Signal(range(self._depth), name=f"last_index_{tile}") for tile in range(2)]
        index, tile = self._accumulate(m, rams, full, last_index)
        drain_index, fetch = self._drain(m, rams, full, last_index)
        for number, ram in enumerate(rams):
            with m.If(full[number]):
                m.d.comb += [ram.read_address.eq(drain_index), ram.read.eq(fetch)]
            with m.Else():
                m.d.comb += [
                    ram.read_address.eq(index),
                    ram.read.eq(self.sums.valid & (tile == number)),
                ]
        return m

    def _accumulate(
        self, m: Module, rams: list[Ram], full: Signal, last_index: list[Signal]
    ) -> tuple[Signal, Signal]:
        """Read, add and write back; gives the index and the tile of the pixel that comes in."""
        sums = self.sums.payload
        index = Signal(range(self._depth))
        tile = Signal()
        ends_tile = Signal()
        m.d.comb += ends_tile.eq(self.sums.valid & sums.last & sums.final)
        with m.If(self.sums.valid):
            m.d.sync += index.eq(Mux(sums.last, 0, index + 1))
        with m.If(ends_tile):
            m.d.sync += tile.eq(~tile)

        read_tile = delay(m, tile, _READ, "read_tile")
        read_first = delay(m, sums.first, _READ, "read_first")
        for column in range(self._columns):
            old = Signal(32, name=f"old_{column}", reset_less=True)
            low = Signal(_HALF + 1, name=f"low_{column}", reset_less=True)
            there = Mux(
                read_tile,
                rams[1].read_data.word_select(column, 32),
                rams[0].read_data.word_select(column, 32),
            )
            m.d.sync += old.eq(Mux(read_first, 0, there))
            added = delay(m, sums.data[column], _ADD, f"added_{column}")
            m.d.sync += low.eq(added[:_HALF] + old[:_HALF])
            high = [
                delay(m, value[_HALF:], _WRITE - _ADD, f"{name}_high_{column}")
                for name, value in (("added", added), ("old", old))
            ]
            total = Cat(low[:_HALF], (high[0] + high[1] + low[_HALF])[: 32 - _HALF])
            for ram in rams:
                m.d.comb += ram.write_data.word_select(column, 32).eq(total)

        written, completes = (
            delay(m, flag, _WRITE, name, reset_less=False)
            for flag, name in ((self.sums.valid, "valid"), (ends_tile, "ends_tile"))
        )
        write_tile = delay(m, tile, _WRITE, "write_tile")
        write_index = delay(m, index, _WRITE, "write_index")
        for number, ram in enumerate(rams):
            m.d.comb += [
                ram.write_address.eq(write_index),
                ram.write.eq(written & (write_tile == number)),
            ]
            with m.If(completes & (write_tile == number)):
                m.d.sync += [full[number].eq(1), last_index[number].eq(write_index)]
        return index, tile

    def _drain(
        self, m: Module, rams: list[Ram], full: Signal, last_index: list[Signal]
    ) -> tuple[Signal, Signal]:
        """Fetch pixels of the full tile; gives the index, and whether it is fetched.

        The outputs of the memories hold a pixel until one of two slots is free, so that ``ready``
        reaches no further than the slots' own counters.
        """
        index = Signal(range(self._depth))
        tile = Signal()
        fetch, is_last = Signal(), Signal()
        fetched, fetched_last, fetched_tile = Signal(), Signal(), Signal()
        move = Signal()
        m.d.comb += [
            fetch.eq(full.bit_select(tile, 1) & (~fetched | move)),
            is_last.eq(index == Mux(tile, last_index[1], last_index[0])),
        ]
        with m.If(move):
            m.d.sync += fetched.eq(0)
            with m.If(fetched_last):
                m.d.sync += full.bit_select(fetched_tile, 1).eq(0)
        with m.If(fetch):
            m.d.sync += [
                fetched.eq(1),
                fetched_last.eq(is_last),
                fetched_tile.eq(tile),
                index.eq(Mux(is_last, 0, index + 1)),
                tile.eq(tile ^ is_last),
            ]
        m.d.sync += self.released.eq(move & fetched_last)

        layout = self.pixels.payload.shape()
        slots = [Signal(layout, name=f"slot_{number}", reset_less=True) for number in range(_SLOTS)]
        level = Signal(range(_SLOTS + 1))
        source, target = Signal(), Signal()
        taken = Signal()
        m.d.comb += [
            move.eq(fetched & (level != _SLOTS)),
            taken.eq(self.pixels.valid & self.pixels.ready),
            self.pixels.valid.eq(level != 0),
            self.pixels.payload.eq(Mux(source, slots[1].as_value(), slots[0].as_value())),
        ]
        m.d.sync += [
            level.eq(level + move - taken),
            source.eq(source ^ taken),
            target.eq(target ^ move),
        ]
        for number, slot in enumerate(slots):
            with m.If(move & (target == number)):
                m.d.sync += [
                    slot.data.eq(Mux(fetched_tile, rams[1].read_data, rams[0].read_data)),
                    slot.last.eq(fetched_last),
                ]
        return index, fetch
