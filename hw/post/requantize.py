"""int32 accumulators to int8 activations."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import BINARY32_LAYOUT, FloatMultiplier, FloatToInt, IntToFloat
from hw.arithmetic.integers import clamp
from hw.microarchitecture import BIAS_LATENCY, REQUANTIZER_LATENCY
from hw.streams.delay import delay


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

        half = len(self.acc) // 2
        low = Signal(half + 1, reset_less=True)
        biased = Signal(signed(32), reset_less=True)
        high = [
            delay(m, value[half:], 1, name)
            for value, name in ((self.acc, "acc_high"), (self.bias, "bias_high"))
        ]
        m.d.sync += [
            low.eq(self.acc[:half] + self.bias[:half]),
            biased.eq(Cat(low[:half], (high[0] + high[1] + low[half])[:half])),
        ]
        waits = BIAS_LATENCY + IntToFloat.LATENCY
        # In one register: of a register each, the simulator would copy them one by one.
        scales = Signal(len(self.scale) * waits, reset_less=True)
        m.d.sync += scales.eq(Cat(self.scale, scales))
        scale = scales[-len(self.scale) :]
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
