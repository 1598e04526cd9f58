"""The bank of int32 accumulators behind a convolution module."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.streams.layouts import pixel_layout


def drain_layout(columns: int) -> data.StructLayout:
    """One finished pixel: ``data`` signed(32) [``columns``]; ``last`` ends the tile."""
    return data.StructLayout({"data": data.ArrayLayout(signed(32), columns), "last": 1})


class AccumulationMemory(wiring.Component):
    """Two tiles of pixels: one adds up the passes of a reduction while the other drains.

    Pixel n of every pass meets accumulator n of the tile: with ``first`` set the sums replace what
    is there, otherwise they are added, wrapping. The ``last`` pixel of a ``final`` pass completes
    the tile, which then leaves through ``pixels`` in order, as many pixels as the final pass had.

    Rate: takes one pixel and gives one pixel per cycle, whatever the length of the passes. A tile
    is free again only after its last pixel has left, so tiles of a single pass, which fill as fast
    as they drain, lose a cycle in every two of them.

    Latency: the first pixel of a tile is in ``pixels`` 2 cycles after the last was taken.

    Stall: ``sums`` is ready unless the tile that would take it has not drained. Taking pixels never
    waits for ``pixels`` otherwise.

    A pass of more than ``depth`` pixels, or passes of unequal length in one tile, are errors of
    whoever orders them; the memory does not see them.

    Args:
        columns: C, accumulators of a pixel.
        depth: pixels of a tile. A power of two.

    Ports:
        sums: in, stream of :func:`hw.streams.layouts.pixel_layout` with signed(32) [C].
        pixels: out, stream of :func:`drain_layout`.

    Raises:
        ValueError: ``columns`` is not a positive integer, or ``depth`` not a power of two of at
            least 2.
    """

    def __init__(self, *, columns: int, depth: int) -> None:
        if not isinstance(columns, int) or columns < 1:
            raise ValueError(f"columns must be a positive integer, not {columns!r}")
        if not isinstance(depth, int) or depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 2, not {depth!r}")
        self._depth = depth
        super().__init__(
            {
                "sums": In(stream.Signature(pixel_layout(columns, 32))),
                "pixels": Out(stream.Signature(drain_layout(columns))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a memory per tile, so that each needs but one read and one write port."""
        m = Module()
        shape = self.pixels.payload.data.shape()
        columns = shape.length
        writes, reads = [], []
        for tile in range(2):
            memory = Memory(shape=shape, depth=self._depth, init=[])
            m.submodules[f"tile_{tile}"] = memory
            write = memory.write_port()
            writes.append(write)
            # A pass of one pixel adds to what the cycle before has only just written.
            reads.append(memory.read_port(transparent_for=(write,)))

        index = Signal(range(self._depth))
        full = Signal(2)  # per tile: complete, and not drained yet
        last_index = [Signal.like(index, name=f"last_index_{tile}") for tile in range(2)]

        # Accumulate, first cycle: read. Second cycle: add and write.
        fill_tile = Signal()
        taken = Signal()
        word = Signal.like(self.sums.payload, reset_less=True)
        word_valid = Signal()
        word_index = Signal.like(index)
        word_tile = Signal()
        ends_tile = Signal()
        m.d.comb += [
            self.sums.ready.eq(~full.bit_select(fill_tile, 1)),
            taken.eq(self.sums.valid & self.sums.ready),
            ends_tile.eq(taken & self.sums.payload.last & self.sums.payload.final),
        ]
        m.d.sync += word_valid.eq(taken)
        with m.If(taken):
            m.d.sync += [
                word.eq(self.sums.payload),
                word_index.eq(index),
                word_tile.eq(fill_tile),
                index.eq(Mux(self.sums.payload.last, 0, index + 1)),
            ]
        with m.If(ends_tile):
            m.d.sync += fill_tile.eq(~fill_tile)

        # Drain: the read port's own register is the output register.
        drain_index = Signal.like(index)
        drain_tile = Signal()
        drain_step = Signal()
        drain_last = Signal()
        pixel_tile = Signal()
        finished = Signal()
        m.d.comb += [
            drain_step.eq(~self.pixels.valid | self.pixels.ready),
            finished.eq(self.pixels.valid & self.pixels.ready & self.pixels.payload.last),
            drain_last.eq(drain_index == Mux(drain_tile, last_index[1], last_index[0])),
            self.pixels.payload.data.eq(
                Mux(pixel_tile, reads[1].data.as_value(), reads[0].data.as_value())
            ),
        ]
        with m.If(drain_step):
            m.d.sync += self.pixels.valid.eq(0)
            with m.If(full.bit_select(drain_tile, 1)):
                m.d.sync += [
                    self.pixels.valid.eq(1),
                    self.pixels.payload.last.eq(drain_last),
                    pixel_tile.eq(drain_tile),
                    drain_index.eq(Mux(drain_last, 0, drain_index + 1)),
                    drain_tile.eq(drain_tile ^ drain_last),
                ]

        for tile, (write, read) in enumerate(zip(writes, reads, strict=True)):
            m.d.comb += [
                write.addr.eq(word_index),
                write.en.eq(word_valid & (word_tile == tile)),
            ]
            m.d.comb += [
                write.data[column].eq(word.data[column] + Mux(word.first, 0, read.data[column]))
                for column in range(columns)
            ]
            with m.If(full[tile]):
                m.d.comb += [read.addr.eq(drain_index), read.en.eq(drain_step)]
            with m.Else():
                m.d.comb += [read.addr.eq(index), read.en.eq(taken)]
            with m.If(ends_tile & (fill_tile == tile)):
                m.d.sync += [full[tile].eq(1), last_index[tile].eq(index)]
            with m.If(finished & (pixel_tile == tile)):
                m.d.sync += full[tile].eq(0)
        return m
