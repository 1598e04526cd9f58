"""One multiply-accumulate cell of the systolic array."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

MIN_SUM_WIDTH = 16
"""Bits of one int8 x int8 product: the narrowest partial sum."""


class ProcessingElement(wiring.Component):
    """Weight-stationary int8 cell: a weight in use and the next one.

    Three registers stand one behind the other, those that a DSP block has: the activation beside
    the weight in use, their product, and the sum. The next weight comes into a register of its own
    and is put to use by ``swap``, which comes beside the first activation that needs it. So a swap
    moves through the array with the activations and costs no cycle, and nothing chooses between
    weights in front of the multiplier.

    Latency: activation and swap take 1 cycle to the right; ``sum_out`` is 3 cycles behind
    ``activation_in``, 1 behind ``sum_in``. Stall: none. What enters goes through.

    Args:
        sum_width: bits of a partial sum, at least 16. Sums wrap.

    Ports:
        activation_in, activation_out: signed(8), from the left and to the right.
        swap_in, swap_out: from the activation beside it on, the next weight is the one in use.
        sum_in, sum_out: signed(``sum_width``), from above and to below.
        weight: signed(8), the next weight from the end of a cycle with ``load`` on. In a cycle
            with ``swap_in`` too, the one before it is put to use.
        load: in.

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
                "swap_in": In(1),
                "swap_out": Out(1),
                "sum_in": In(signed(sum_width)),
                "sum_out": Out(signed(sum_width)),
                "weight": In(signed(8)),
                "load": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the cell."""
        m = Module()
        # Data needs no reset: only the flags beside it say whether it means anything.
        next_weight = Signal(signed(8), reset_less=True)
        weight = Signal(signed(8), reset_less=True)
        activation = Signal(signed(8), reset_less=True)
        swap = Signal(reset_less=True)
        product = Signal(signed(16), reset_less=True)
        partial_sum = Signal(self.sum_out.shape(), reset_less=True)

        with m.If(self.load):
            m.d.sync += next_weight.eq(self.weight)
        with m.If(self.swap_in):
            m.d.sync += weight.eq(next_weight)
        m.d.sync += [
            activation.eq(self.activation_in),
            swap.eq(self.swap_in),
            product.eq(activation * weight),
            partial_sum.eq(self.sum_in + product),
        ]
        m.d.comb += [
            self.activation_out.eq(activation),
            self.swap_out.eq(swap),
            self.sum_out.eq(partial_sum),
        ]
        return m
