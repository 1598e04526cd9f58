"""One convolution module with everything behind it, down to int8 results."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.accumulation_memory import AccumulationMemory
from hw.config import DnaConfig
from hw.convolution_module import ConvolutionModule
from hw.drain import Drain
from hw.layouts import PARAMETER_LAYOUT, pixel_layout
from hw.requantize import Requantizer


class ConvolutionPath(wiring.Component):
    """Convolution module -> accumulation memory -> drain -> requantizer, streams between them.

    Computes tiles: up to ``accumulation_depth`` pixels of C output channels. A tile is a run of
    passes over its pixels, each with R x C weights and R input channels of every pixel; what the
    passes add up to is requantized and leaves as int8. The reduction may be any number of passes.

    The array multiplies int8 by int8. An input zero point goes into the bias beforehand:
    ``bias[c] - zero_point_in * sum(weights of c)``, wrapping.

    Rate: a pixel per cycle into the array (:class:`hw.convolution_module.ConvolutionModule` says
    when a pass can start) while the tile before drains at a word per cycle.

    Stall: every port may; each block says when. The module stands still once two tiles wait to
    drain.

    Args:
        config: uses ``rows`` R, ``columns`` C, ``lanes`` and ``accumulation_depth``.

    Ports:
        weights: in, stream of signed(8) [C]. R words per pass, row 0 first.
        activations: in, stream of :func:`hw.layouts.pixel_layout` with signed(8) [R]. ``first`` on
            the pixels of a tile's first pass, ``last`` on the last pixel of every pass, ``final``
            on the pixels of the tile's final pass. Passes of a tile have equally many pixels.
        parameters: in, stream of ``PARAMETER_LAYOUT``, C per tile, channel 0 first.
        zero_point, lo, hi: in, signed(8), of the output; to change only when all is drained.
        outputs: out, stream of signed(8) [min(lanes, C)]: pixels in order, each as
            C / min(lanes, C) words, channel 0 first.
    """

    def __init__(self, config: DnaConfig) -> None:
        self.config = config
        self.lanes = min(config.lanes, config.columns)
        super().__init__(
            {
                "weights": In(stream.Signature(data.ArrayLayout(signed(8), config.columns))),
                "activations": In(stream.Signature(pixel_layout(config.rows, 8))),
                "parameters": In(stream.Signature(PARAMETER_LAYOUT)),
                "zero_point": In(signed(8)),
                "lo": In(signed(8)),
                "hi": In(signed(8)),
                "outputs": Out(stream.Signature(data.ArrayLayout(signed(8), self.lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Wire the blocks in a row."""
        m = Module()
        config = self.config
        m.submodules.module = module = ConvolutionModule(rows=config.rows, columns=config.columns)
        m.submodules.memory = memory = AccumulationMemory(
            columns=config.columns, depth=config.accumulation_depth
        )
        m.submodules.drain = drain = Drain(columns=config.columns, lanes=self.lanes)
        m.submodules.requantizer = requantizer = Requantizer(lanes=self.lanes)

        connect(m, flipped(self.weights), module.weights)
        connect(m, flipped(self.activations), module.activations)
        connect(m, module.sums, memory.sums)
        connect(m, memory.pixels, drain.pixels)
        connect(m, flipped(self.parameters), drain.parameters)
        connect(m, drain.words, requantizer.i)
        connect(m, requantizer.o, flipped(self.outputs))
        m.d.comb += [
            requantizer.zero_point.eq(self.zero_point),
            requantizer.lo.eq(self.lo),
            requantizer.hi.eq(self.hi),
        ]
        return m
