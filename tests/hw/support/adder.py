"""Lanes of the adder as a stream; the machine has them inside POST."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import EnableInserter, Module, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.post.residual import ADD_PARAMETERS_LAYOUT, AdderLane
from tests.hw.support.pipeline import PipelineControl


def operands_layout(lanes: int) -> data.StructLayout:
    """One word of each operand: ``a`` and ``b``, signed(8) [``lanes``] each."""
    return data.StructLayout(
        {
            "a": data.ArrayLayout(signed(8), lanes),
            "b": data.ArrayLayout(signed(8), lanes),
        }
    )


class ResidualAdder(wiring.Component):
    """Adds ``lanes`` channels per cycle exactly as LiteRT does (docs/numerics.md, ADD).

    Per channel ``clamp(((2^(shift - 1) + multiplier_a * (a - zero_point_a) + multiplier_b *
    (b - zero_point_b)) >> shift) + zero_point, lo, hi)``, with an arithmetic shift and without
    overflow for any multipliers.

    Latency: ``AdderLane.LATENCY`` cycles; one word per cycle.

    Stall: while ``o`` is valid but not ready the pipeline stands still and ``i`` is not ready.

    Args:
        lanes: channels per word.

    Ports:
        i: in, stream of :func:`operands_layout`.
        parameters: in, ``ADD_PARAMETERS_LAYOUT``, for all channels; to change only when the
            pipeline is empty.
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
                "i": In(stream.Signature(operands_layout(lanes))),
                "parameters": In(ADD_PARAMETERS_LAYOUT),
                "o": Out(stream.Signature(data.ArrayLayout(signed(8), lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the lanes and what moves them."""
        m = Module()
        pipeline = Module()
        m.submodules.control = control = PipelineControl(latency=AdderLane.LATENCY)
        m.submodules.pipeline = EnableInserter(control.moves)(pipeline)
        m.d.comb += [
            control.enters.eq(self.i.valid),
            self.i.ready.eq(control.free),
            self.o.valid.eq(control.valid),
            control.ready.eq(self.o.ready),
        ]
        for index in range(self._lanes):
            lane = AdderLane()
            pipeline.submodules[f"lane_{index}"] = lane
            pipeline.d.comb += [
                lane.a.eq(self.i.payload.a[index]),
                lane.b.eq(self.i.payload.b[index]),
                lane.parameters.eq(self.parameters),
                self.o.payload[index].eq(lane.o),
            ]
        return m
