"""Lanes of the requantizer as a stream; the machine has them inside POST."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.post.requantize import RequantizerLane
from tests.hw.support.pipeline import PipelineControl


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
        """Build the lanes and what moves them."""
        m = Module()
        pipeline = Module()
        m.submodules.control = control = PipelineControl(latency=RequantizerLane.LATENCY)
        m.submodules.pipeline = EnableInserter(control.moves)(pipeline)
        m.d.comb += [
            control.enters.eq(self.i.valid),
            self.i.ready.eq(control.free),
            self.o.valid.eq(control.valid),
            control.ready.eq(self.o.ready),
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
