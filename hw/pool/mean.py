"""Mean over the pixels of a tensor: sums, then one channel a cycle through float32."""

from __future__ import annotations

import itertools
from typing import Any

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import (
    BINARY32_LAYOUT,
    EXPONENT_BIAS,
    FLOAT_LAYOUT,
    FloatMultiplier,
    FloatToInt,
    IntToFloat,
)
from hw.arithmetic.float_adder import FloatAdder
from hw.arithmetic.integers import clamp
from hw.config import DnaConfig
from hw.interfaces import word_layout
from hw.microarchitecture import MEAN_LATENCY


def mean_words_layout(config: DnaConfig) -> data.StructLayout:
    """Words of a pixel: ``words`` feature word [``post_words``]; ``first`` and ``last`` pixel."""
    return data.StructLayout(
        {"words": data.ArrayLayout(word_layout(config), config.post_words), "first": 1, "last": 1}
    )


class MeanUnit(wiring.Component):
    """``clamp(rint(f32(f32(f32(sum) * multiplier) + offset)), -128, 127)`` for ``lanes`` channels.

    The sum is over the pixels from ``first`` to ``last``; ``f32`` is one rounding to nearest even,
    ``rint`` half to even (docs/numerics.md, MEAN). Each pixel takes at least a word of the feature
    memory, so there are at most ``feature_words`` of them and the sum fits its register and int32.
    Its conversion to float32 rounds as the contract says, and is exact below 2^24. What is too
    small to be a normal float32 can only come out of the addition, is exact there, and becomes 0.

    Rate: a pixel per cycle, and beside it a channel per cycle of the mean before. Latency:
    ``lanes + PIPELINE`` + 1 cycles from the last pixel to ``results``.

    Stall: the last pixel of a mean is not taken before the result of the mean before was.

    Args:
        config: uses ``rows``, ``lanes`` and ``feature_words``.

    Ports:
        pixels: in, stream of :func:`mean_words_layout`.
        multiplier: in, ``BINARY32_LAYOUT``, positive and normal, constant.
        offset: in, ``BINARY32_LAYOUT``, normal or zero, constant.
        busy: out, the channels of a mean are in the pipeline, or their result is on offer.
        results: out, stream of feature word [``post_words``].
    """

    PIPELINE = MEAN_LATENCY

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        words = data.ArrayLayout(word_layout(config), config.post_words)
        super().__init__(
            {
                "pixels": In(stream.Signature(mean_words_layout(config))),
                "multiplier": In(BINARY32_LAYOUT),
                "offset": In(BINARY32_LAYOUT),
                "busy": Out(1),
                "results": Out(stream.Signature(words)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the sums, registers that shift them out, and the pipeline they go through."""
        m = Module()
        config = self._config
        pipeline = Module()
        pipeline.submodules.int_to_float = int_to_float = IntToFloat()
        pipeline.submodules.multiplier = multiplier = FloatMultiplier()
        pipeline.submodules.adder = adder = FloatAdder()
        pipeline.submodules.float_to_int = float_to_int = FloatToInt()
        # What stands still costs nothing to simulate.
        m.submodules.pipeline = EnableInserter(self.busy)(pipeline)

        # One more bit for every doubling of the pixels, of which each takes a feature word.
        sum_shape = signed(8 + config.feature_address_bits)
        sums = [Signal(sum_shape, name=f"sum_{i}", reset_less=True) for i in range(config.lanes)]
        sending = [
            Signal(sum_shape, name=f"sending_{i}", reset_less=True) for i in range(config.lanes)
        ]
        channels = data.View(
            data.ArrayLayout(signed(8), config.lanes), self.pixels.payload.words.as_value()
        )
        to_send = Signal(range(config.lanes + 1))
        to_collect = Signal(range(config.lanes + 1))
        taken = Signal()
        m.d.comb += [
            self.pixels.ready.eq(~(self.busy & self.pixels.payload.last)),
            taken.eq(self.pixels.valid & self.pixels.ready),
        ]
        totals = [
            (Mux(self.pixels.payload.first, 0, total) + channels[lane])[: len(total)].as_signed()
            for lane, total in enumerate(sums)
        ]
        with m.If(to_send != 0):
            m.d.sync += to_send.eq(to_send - 1)
            m.d.sync += [total.eq(following) for total, following in itertools.pairwise(sending)]
        with m.If(taken):
            m.d.sync += [total.eq(now) for total, now in zip(sums, totals, strict=True)]
            with m.If(self.pixels.payload.last):
                m.d.sync += [total.eq(now) for total, now in zip(sending, totals, strict=True)]
                m.d.sync += [
                    self.busy.eq(1),
                    to_send.eq(config.lanes),
                    to_collect.eq(config.lanes),
                ]

        offset = Signal(FLOAT_LAYOUT, reset_less=True)
        m.d.sync += [
            offset.significand.eq(Mux(self.offset.exponent == 0, 0, Cat(self.offset.fraction, 1))),
            offset.exponent.eq(self.offset.exponent - EXPONENT_BIAS),
            offset.negative.eq(self.offset.negative),
        ]
        m.d.comb += [
            int_to_float.i.eq(sending[0]),
            multiplier.a.eq(int_to_float.o),
            multiplier.b.eq(self.multiplier),
            adder.a.eq(multiplier.o),
            adder.b.eq(offset),
            float_to_int.i.eq(adder.o),
        ]
        in_flight = Signal(self.PIPELINE)
        m.d.sync += in_flight.eq((in_flight << 1) | (to_send != 0))

        # Channel 0 came first: pushed in at the top, it ends at the bottom.
        real = float_to_int.o
        channel = Signal(signed(8))
        collected = Signal(8 * config.lanes, reset_less=True)
        m.d.comb += [
            channel.eq(clamp(real, -128, 127)),
            self.results.valid.eq(self.busy & (to_collect == 0)),
            self.results.payload.eq(collected),
        ]
        with m.If(in_flight[-1]):
            m.d.sync += [
                collected.eq(Cat(collected[8:], channel)),
                to_collect.eq(to_collect - 1),
            ]
        with m.If(self.results.valid & self.results.ready):
            m.d.sync += self.busy.eq(0)
        return m
