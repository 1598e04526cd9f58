"""Cuts finished pixels into words for the post-processing lanes and joins their parameters."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.accumulation_memory import drain_layout
from hw.layouts import PARAMETER_LAYOUT
from hw.requantize import accumulator_layout


class Drain(wiring.Component):
    """Turns pixels of C channels into C / lanes words, each with the parameters of its channels.

    A tile's C parameters must all have been taken before its first pixel is. There is room for two
    tiles of them, so those of the next tile arrive while this one drains.

    Rate: one word per cycle. Latency: 1 cycle from pixel to its first word.

    Stall: a pixel waits for the parameters of its tile, and for ``words`` to be ready.
    ``parameters`` is ready unless both tiles' worth of room is taken.

    Args:
        columns: C, channels of a pixel.
        lanes: channels of a word; divides ``columns``.

    Ports:
        pixels: in, stream of :func:`hw.accumulation_memory.drain_layout`.
        parameters: in, stream of ``PARAMETER_LAYOUT``, C per tile, channel 0 first.
        words: out, stream of :func:`hw.requantize.accumulator_layout`.

    Raises:
        ValueError: ``columns`` is not a positive integer or ``lanes`` does not divide it.
    """

    def __init__(self, *, columns: int, lanes: int) -> None:
        if not isinstance(columns, int) or columns < 1:
            raise ValueError(f"columns must be a positive integer, not {columns!r}")
        if not isinstance(lanes, int) or lanes < 1 or columns % lanes:
            raise ValueError(f"lanes must divide the {columns} columns, not {lanes!r}")
        self._columns = columns
        self._lanes = lanes
        super().__init__(
            {
                "pixels": In(stream.Signature(drain_layout(columns))),
                "parameters": In(stream.Signature(PARAMETER_LAYOUT)),
                "words": Out(stream.Signature(accumulator_layout(lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the parameter memory, one plane per tile, and the word counter that reads it."""
        m = Module()
        lanes = self._lanes
        words_per_pixel = self._columns // lanes
        plane_bits = ceil_log2(words_per_pixel)

        m.submodules.memory = memory = Memory(
            shape=data.ArrayLayout(PARAMETER_LAYOUT, lanes), depth=2 << plane_bits, init=[]
        )
        write = memory.write_port(granularity=1)
        read = memory.read_port()
        full = Signal(2)  # per plane: all parameters there, and their tile not finished

        load_plane = Signal()
        load_channel = Signal(range(self._columns))
        last_channel = load_channel == self._columns - 1
        taken = Signal()
        m.d.comb += [
            self.parameters.ready.eq(~full.bit_select(load_plane, 1)),
            taken.eq(self.parameters.valid & self.parameters.ready),
            write.addr.eq((load_plane << plane_bits) | (load_channel >> ceil_log2(lanes))),
            write.en.eq(taken << (load_channel & (lanes - 1))),
        ]
        m.d.comb += [write.data[lane].eq(self.parameters.payload) for lane in range(lanes)]
        with m.If(taken):
            m.d.sync += load_channel.eq(Mux(last_channel, 0, load_channel + 1))
            with m.If(last_channel):
                m.d.sync += [full.bit_select(load_plane, 1).eq(1), load_plane.eq(~load_plane)]

        plane = Signal()
        word = Signal(range(words_per_pixel))
        last_word = word == words_per_pixel - 1
        acc = Signal(self.words.payload.acc.shape(), reset_less=True)
        step = Signal()
        given = Signal()
        m.d.comb += [
            step.eq(~self.words.valid | self.words.ready),
            given.eq(step & self.pixels.valid & full.bit_select(plane, 1)),
            self.pixels.ready.eq(given & last_word),
            read.addr.eq((plane << plane_bits) | word),
            read.en.eq(step),
            self.words.payload.acc.eq(acc),
        ]
        m.d.comb += [
            self.words.payload[member][lane].eq(read.data[lane][member])
            for member in PARAMETER_LAYOUT.members
            for lane in range(lanes)
        ]
        with m.If(step):
            m.d.sync += [
                self.words.valid.eq(given),
                acc.eq(self.pixels.payload.data.as_value().word_select(word, 32 * lanes)),
            ]
        with m.If(given):
            m.d.sync += word.eq(Mux(last_word, 0, word + 1))
            with m.If(last_word & self.pixels.payload.last):
                m.d.sync += [full.bit_select(plane, 1).eq(0), plane.eq(~plane)]
        return m
