"""The taps of one channel: nine products and their sum, block after block of the window."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS
from hw.depthwise.layouts import BLOCKS
from hw.microarchitecture import TAP_SUM_LATENCY

_PRODUCT_BITS = 16
_ROW_BITS = _PRODUCT_BITS + (DEPTHWISE_SIDE - 1).bit_length()
_BLOCK_BITS = _PRODUCT_BITS + (DEPTHWISE_TAPS - 1).bit_length()
SUM_BITS = _PRODUCT_BITS + (DEPTHWISE_TAPS * BLOCKS - 1).bit_length()
"""Of the sum over the largest window."""


class TapSum(wiring.Component):
    """The sum of activation times weight over a window, a block of 3 x 3 taps a cycle.

    Latency: ``LATENCY`` cycles. Stall: none. What enters goes through.

    Ports:
        activations, weights: in, signed(8) [9].
        first: in, ``LATENCY`` - 1 cycles behind a block: it is the first one of a window.
        o: out, signed(``SUM_BITS``), the sum up to a block, from the first one of its window on.
    """

    LATENCY = TAP_SUM_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "activations": In(signed(8)).array(DEPTHWISE_TAPS),
                "weights": In(signed(8)).array(DEPTHWISE_TAPS),
                "first": In(1),
                "o": Out(signed(SUM_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the products, the sums of a row of the block, of the block, and of the window."""
        m = Module()
        products = [
            Signal(signed(_PRODUCT_BITS), name=f"product_{tap}", reset_less=True)
            for tap in range(DEPTHWISE_TAPS)
        ]
        rows = [
            Signal(signed(_ROW_BITS), name=f"row_{row}", reset_less=True)
            for row in range(DEPTHWISE_SIDE)
        ]
        block = Signal(signed(_BLOCK_BITS), reset_less=True)
        window = Signal(self.o.shape(), reset_less=True)
        m.d.sync += [
            product.eq(activation * weight)
            for product, activation, weight in zip(
                products, self.activations, self.weights, strict=True
            )
        ]
        m.d.sync += [
            row.eq(
                sum(
                    products[DEPTHWISE_SIDE * y + 1 : DEPTHWISE_SIDE * (y + 1)],
                    start=products[DEPTHWISE_SIDE * y],
                )
            )
            for y, row in enumerate(rows)
        ]
        m.d.sync += [
            block.eq(rows[0] + rows[1] + rows[2]),
            window.eq(Mux(self.first, 0, window) + block),
        ]
        m.d.comb += self.o.eq(window)
        return m
