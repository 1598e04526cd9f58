"""int32 accumulators to int8 activations."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import BINARY32_LAYOUT, FloatMultiplier, FloatToInt, IntToFloat
from hw.arithmetic.integers import clamp
from hw.microarchitecture import REQUANTIZER_LATENCY


class RequantizerLane(wiring.Component):
    """``clamp(rint(f32(f32(acc + bias) * scale)) + zero_point, lo, hi)``, for one channel.

    Rate: a value per cycle. Latency: ``LATENCY`` cycles, without a valid bit. Stall: none of its
    own; whoever wires it freezes its clock domain.

    Ports:
        acc, bias: in, signed(32); the sum wraps.
        scale: in, unsigned(32), the bits of a positive normal float32 below 256.
        zero_point, lo, hi: in, signed(8), constant while values are in the pipeline.
        o: out, signed(8).
    """

    LATENCY = REQUANTIZER_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "acc": In(signed(32)),
                "bias": In(signed(32)),
                "scale": In(unsigned(32)),
                "zero_point": In(signed(8)),
                "lo": In(signed(8)),
                "hi": In(signed(8)),
                "o": Out(signed(8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the chain; the scale waits in registers for its accumulator."""
        m = Module()
        m.submodules.int_to_float = int_to_float = IntToFloat()
        m.submodules.multiplier = multiplier = FloatMultiplier()
        m.submodules.float_to_int = float_to_int = FloatToInt()

        biased = Signal(signed(32), reset_less=True)
        m.d.sync += biased.eq(self.acc + self.bias)
        scale = self.scale
        for cycle in range(1 + IntToFloat.LATENCY):
            stage = Signal(unsigned(32), name=f"scale_{cycle}", reset_less=True)
            m.d.sync += stage.eq(scale)
            scale = stage
        m.d.comb += [
            int_to_float.i.eq(biased),
            multiplier.a.eq(int_to_float.o),
            multiplier.b.eq(data.View(BINARY32_LAYOUT, scale)),
            float_to_int.i.eq(multiplier.o),
        ]

        shifted = Signal(signed(len(float_to_int.o) + 1))
        output = Signal(signed(8), reset_less=True)
        m.d.comb += shifted.eq(float_to_int.o + self.zero_point)
        m.d.sync += output.eq(clamp(shifted, self.lo, self.hi))
        m.d.comb += self.o.eq(output)
        return m
