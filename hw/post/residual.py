"""Quantized addition of two activations."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.integers import clamp
from hw.microarchitecture import RESIDUAL_LATENCY
from hw.streams.delay import delay

MULTIPLIER_BITS = 22
_LOW_BITS = 16
"""Bits of the sum of products that are added in one cycle."""
MIN_SHIFT, MAX_SHIFT = 13, 30
"""``20 - floor(log2(ratio))`` for ratios in [2^-10, 2^8), as LiteRT takes them."""

ADD_PARAMETERS_LAYOUT = data.StructLayout(
    {
        "multiplier_a": unsigned(MULTIPLIER_BITS),
        "multiplier_b": unsigned(MULTIPLIER_BITS),
        "shift": unsigned(5),
        "zero_point_a": signed(8),
        "zero_point_b": signed(8),
        "zero_point": signed(8),
        "lo": signed(8),
        "hi": signed(8),
    }
)
"""What an addition is: multipliers with ``shift`` (13 to 30) fraction bits, zero points of the two
operands and of the sum, bounds of the sum."""


class AdderLane(wiring.Component):
    """The addition of :class:`ResidualAdder` for one channel.

    Rate: a value per cycle. Latency: ``LATENCY`` cycles, without a valid bit. Stall: none of its
    own; whoever wires it freezes its clock domain.

    Ports:
        a, b: in, signed(8).
        parameters: in, ``ADD_PARAMETERS_LAYOUT``.
        o: out, signed(8).
    """

    LATENCY = RESIDUAL_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "a": In(signed(8)),
                "b": In(signed(8)),
                "parameters": In(ADD_PARAMETERS_LAYOUT),
                "o": Out(signed(8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build differences, products, the halves of their sum, shift, rounding and clamp."""
        m = Module()
        parameters = self.parameters

        # A difference of two int8 has 9 bits and a sign.
        products = []
        for name, value, zero_point, multiplier in (
            ("a", self.a, parameters.zero_point_a, parameters.multiplier_a),
            ("b", self.b, parameters.zero_point_b, parameters.multiplier_b),
        ):
            difference = Signal(signed(9), name=f"difference_{name}", reset_less=True)
            product = Signal(signed(MULTIPLIER_BITS + 10), name=f"product_{name}", reset_less=True)
            m.d.sync += [
                difference.eq(value - zero_point),
                product.eq(difference * multiplier),
            ]
            products.append(product)

        low = Signal(_LOW_BITS + 1, reset_less=True)
        total = Signal(signed(len(products[0]) + 1), reset_less=True)
        high = [
            delay(m, product[_LOW_BITS:].as_signed(), 1, f"high_{name}")
            for name, product in zip("ab", products, strict=True)
        ]
        top = Signal(signed(len(total) - _LOW_BITS))
        m.d.comb += top.eq(high[0] + high[1] + low[-1])
        m.d.sync += [
            low.eq(products[0][:_LOW_BITS] + products[1][:_LOW_BITS]),
            total.eq(Cat(low[:-1], top)),
        ]

        # With the bit behind the last one: half of it more is what rounds.
        shift = Signal(range(MAX_SHIFT))
        shifted = Signal(signed(len(total) - MIN_SHIFT + 1), reset_less=True)
        rounded = Signal(signed(len(shifted) + 1), reset_less=True)
        m.d.comb += shift.eq(parameters.shift - 1)
        m.d.sync += [
            shifted.eq(total >> shift),
            rounded.eq((shifted >> 1) + parameters.zero_point + shifted[0]),
            self.o.eq(clamp(rounded, parameters.lo, parameters.hi)),
        ]
        return m
