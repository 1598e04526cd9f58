"""int32 accumulators to int8 activations."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.float32 import BINARY32_LAYOUT, FloatMultiplier, FloatToInt, IntToFloat
from hw.arithmetic.integers import clamp
from hw.microarchitecture import REQUANTIZER_LATENCY


def accumulator_layout(lanes: int) -> data.StructLayout:
    """What the requantizer takes per cycle, each member for ``lanes`` channels.

    Members:
        acc: signed(32), the sum of products.
        bias: signed(32), added first, wrapping.
        scale: unsigned(32), the bits of a positive normal float32 below 256.
    """
    return data.StructLayout(
        {
            "acc": data.ArrayLayout(signed(32), lanes),
            "bias": data.ArrayLayout(signed(32), lanes),
            "scale": data.ArrayLayout(unsigned(32), lanes),
        }
    )


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


class Requantizer(wiring.Component):
    """Requantizes ``lanes`` channels per cycle exactly as LiteRT does (docs/numerics.md).

    Per channel ``clamp(rint(f32(f32(acc + bias) * scale)) + zero_point, lo, hi)``: the sum in
    int32, wrapping; ``f32`` one rounding to nearest even; ``rint`` half to even; nothing fused.

    Latency: ``RequantizerLane.LATENCY`` cycles; one word per cycle.

    Stall: while ``o`` is valid but not ready the pipeline stands still and ``i`` is not ready.

    Args:
        lanes: channels per word.

    Ports:
        i: in, stream of :func:`accumulator_layout`.
        zero_point, lo, hi: in, signed(8), for all channels; to change only when the pipeline is
            empty.
        o: out, stream of signed(8) [``lanes``].

    Raises:
        ValueError: ``lanes`` is not a positive integer.
    """

    def __init__(self, *, lanes: int) -> None:
        if not isinstance(lanes, int) or lanes < 1:
            raise ValueError(f"lanes must be a positive integer, not {lanes!r}")
        self._lanes = lanes
        super().__init__(
            {
                "i": In(stream.Signature(accumulator_layout(lanes))),
                "zero_point": In(signed(8)),
                "lo": In(signed(8)),
                "hi": In(signed(8)),
                "o": Out(stream.Signature(data.ArrayLayout(signed(8), lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the lanes, the valid bits beside them, and one enable for all."""
        m = Module()
        enable = Signal()
        pipeline = Module()
        m.submodules.pipeline = EnableInserter(enable)(pipeline)

        valid = Signal(RequantizerLane.LATENCY)
        pipeline.d.sync += valid.eq((valid << 1) | self.i.valid)
        m.d.comb += [
            self.o.valid.eq(valid[-1]),
            enable.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(enable),
        ]
        for index in range(self._lanes):
            lane = RequantizerLane()
            pipeline.submodules[f"lane_{index}"] = lane
            pipeline.d.comb += [
                lane.acc.eq(self.i.payload.acc[index]),
                lane.bias.eq(self.i.payload.bias[index]),
                lane.scale.eq(self.i.payload.scale[index]),
                lane.zero_point.eq(self.zero_point),
                lane.lo.eq(self.lo),
                lane.hi.eq(self.hi),
                self.o.payload[index].eq(lane.o),
            ]
        return m
