"""One multiply-accumulate cell of the systolic array."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

MIN_SUM_WIDTH = 16
"""Bits of one int8 x int8 product: the narrowest partial sum."""


class ProcessingElement(wiring.Component):
    """Weight-stationary int8 cell with two weight planes.

    Every cycle ``sum_out`` becomes ``sum_in + activation_in * weight[plane_in]``. The plane comes
    with the activation, so a swap of planes moves through the array with the first activation that
    needs it and costs no cycle. The other plane may be written meanwhile.

    Latency: all outputs are registered; activation and plane take 1 cycle to the right, the sum 1
    cycle down. Stall: none of its own; the array freezes the clock domain of its cells.

    Args:
        sum_width: bits of a partial sum, at least 16. Sums wrap.

    Ports:
        activation_in, activation_out: signed(8), from the left and to the right.
        plane_in, plane_out: the plane that the activation beside it uses.
        sum_in, sum_out: signed(``sum_width``), from above and to below.
        weight: signed(8), stored at the end of a cycle with ``load`` set.
        load, load_plane: store ``weight``, and in which plane. Writing the plane that
            ``plane_in`` names takes effect from the next cycle on.

    Raises:
        ValueError: ``sum_width`` is not an integer of at least 16.
    """

    def __init__(self, *, sum_width: int) -> None:
        if not isinstance(sum_width, int) or sum_width < MIN_SUM_WIDTH:
            raise ValueError(
                f"sum_width must be an integer of at least {MIN_SUM_WIDTH}, not {sum_width!r}"
            )
        super().__init__(
            {
                "activation_in": In(signed(8)),
                "activation_out": Out(signed(8)),
                "plane_in": In(1),
                "plane_out": Out(1),
                "sum_in": In(signed(sum_width)),
                "sum_out": Out(signed(sum_width)),
                "weight": In(signed(8)),
                "load": In(1),
                "load_plane": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the cell."""
        m = Module()
        # Data needs no reset: only the flags beside it say whether it means anything.
        weights = [Signal(signed(8), name=f"weight_{plane}", reset_less=True) for plane in range(2)]
        activation = Signal(signed(8), reset_less=True)
        plane = Signal(reset_less=True)
        partial_sum = Signal(self.sum_out.shape(), reset_less=True)

        with m.If(self.load):
            with m.If(self.load_plane):
                m.d.sync += weights[1].eq(self.weight)
            with m.Else():
                m.d.sync += weights[0].eq(self.weight)

        m.d.sync += [
            activation.eq(self.activation_in),
            plane.eq(self.plane_in),
            partial_sum.eq(
                self.sum_in + self.activation_in * Mux(self.plane_in, weights[1], weights[0])
            ),
        ]
        m.d.comb += [
            self.activation_out.eq(activation),
            self.plane_out.eq(plane),
            self.sum_out.eq(partial_sum),
        ]
        return m
