"""A systolic array behind streams: weights and activations in, sums out."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.conv.systolic_array import SystolicArray
from hw.streams.layouts import pixel_layout


class ConvolutionModule(wiring.Component):
    """Passes of int8 pixels through an R x C array whose next weights load meanwhile.

    Pass k meets the k-th group of R weight words. Its first pixel is taken once all of them are;
    the first word for pass k + 2 is taken once the last pixel of pass k is, since both use the same
    weight plane. That is all the interlock there is: row r is then taken at least r + 1 cycles
    after that pixel, and so stays behind it on the way through the array.

    Rate: one pixel per cycle. With weights always valid, passes of P >= R pixels follow each other
    without a bubble, and shorter ones cost R cycles each.

    Latency: a pixel taken in one cycle is in ``sums`` R + C - 1 cycles later.

    Stall: while ``sums`` is valid but not ready, everything stands still and neither input is
    ready.

    Args:
        rows: R, input channels of a pixel.
        columns: C, output channels of a pixel.

    Ports:
        weights: in, stream of signed(8) [C]. R words per pass, row 0 first.
        activations: in, stream of :func:`hw.streams.layouts.pixel_layout` with signed(8) [R].
        sums: out, stream of :func:`hw.streams.layouts.pixel_layout` with signed(32) [C]; one pixel
            for each one taken, with its flags.

    Raises:
        ValueError: ``rows`` or ``columns`` is not an integer of at least 2.
    """

    def __init__(self, *, rows: int, columns: int) -> None:
        self._array = SystolicArray(rows=rows, columns=columns)
        super().__init__(
            {
                "weights": In(stream.Signature(data.ArrayLayout(signed(8), columns))),
                "activations": In(stream.Signature(pixel_layout(rows, 8))),
                "sums": Out(stream.Signature(pixel_layout(columns, 32))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the interlock of the weight planes and the flags' way around the array."""
        m = Module()
        m.submodules.array = array = self._array

        enable = Signal()
        m.d.comb += [
            enable.eq(~self.sums.valid | self.sums.ready),
            array.enable.eq(enable),
        ]

        full = Signal(2)  # per plane: its weights are complete and its pass has not ended
        load_row = Signal(range(array.rows))
        load_plane = Signal()
        plane = Signal()

        m.d.comb += [
            self.weights.ready.eq(enable & ~full.bit_select(load_plane, 1)),
            array.weights.eq(self.weights.payload),
            array.load.eq(self.weights.valid & self.weights.ready),
            array.load_row.eq(load_row),
            array.load_plane.eq(load_plane),
        ]
        last_row = load_row == array.rows - 1
        with m.If(array.load):
            m.d.sync += load_row.eq(Mux(last_row, 0, load_row + 1))
            with m.If(last_row):
                m.d.sync += [
                    full.bit_select(load_plane, 1).eq(1),
                    load_plane.eq(~load_plane),
                ]

        accepted = Signal()
        pixel = self.activations.payload
        m.d.comb += [
            self.activations.ready.eq(enable & full.bit_select(plane, 1)),
            accepted.eq(self.activations.valid & self.activations.ready),
            array.activations.eq(pixel.data),
            array.plane.eq(plane),
        ]
        with m.If(accepted & pixel.last):
            m.d.sync += [
                full.bit_select(plane, 1).eq(0),
                plane.eq(~plane),
            ]

        flags = Cat(accepted, pixel.first, pixel.last, pixel.final)
        for cycle in range(array.latency):
            stage = Signal(len(flags), name=f"flags_{cycle}")
            with m.If(enable):
                m.d.sync += stage.eq(flags)
            flags = stage
        sums = self.sums.payload
        m.d.comb += [
            sums.data.eq(array.sums),
            Cat(self.sums.valid, sums.first, sums.last, sums.final).eq(flags),
        ]
        return m
