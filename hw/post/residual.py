"""Quantized addition of two activations, and what else joins two."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.arithmetic.integers import clamp
from hw.microarchitecture import JOIN_PRODUCT_LATENCY, RESIDUAL_LATENCY
from hw.streams.delay import delay

MULTIPLIER_BITS = 22
_HALF_BITS = MULTIPLIER_BITS // 2
"""Of a multiplier, for each of its two products: each fits one multiplier of any FPGA."""
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
JOIN_LAYOUT = data.StructLayout(
    {"negates_a": 1, "negates_b": 1, "extremum": 1, "maximum": 1},
)
"""Which operands of a sum are subtracted; or whether it is only the larger or the smaller one."""


class AdderLane(wiring.Component):
    """The addition of :class:`ResidualAdder` for one channel, and a product.

    Rate: a value per cycle. Latency: ``LATENCY`` cycles to ``o``, ``PRODUCT_LATENCY`` to
    ``product``, without a valid bit. Stall: none of its own; whoever wires it freezes its clock
    domain.

    Ports:
        a, b: in, signed(8).
        parameters: in, ``ADD_PARAMETERS_LAYOUT``.
        join: in, ``JOIN_LAYOUT``. Of an extremum the term of the other operand is left out; that is
            the operand itself with zero points of 0 and multipliers of ``1 << shift``.
        o: out, signed(8).
        product: out, signed(18), of the two without their zero points.
    """

    LATENCY = RESIDUAL_LATENCY
    PRODUCT_LATENCY = JOIN_PRODUCT_LATENCY

    def __init__(self) -> None:
        super().__init__(
            {
                "a": In(signed(8)),
                "b": In(signed(8)),
                "parameters": In(ADD_PARAMETERS_LAYOUT),
                "join": In(JOIN_LAYOUT),
                "o": Out(signed(8)),
                "product": Out(signed(18)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build differences, products, their sum by halves, shift, rounding and clamp."""
        m = Module()
        parameters = self.parameters

        # A difference of two int8 has 9 bits with its sign.
        differences, products = [], []
        for name, value, zero_point, multiplier, negates in (
            ("a", self.a, parameters.zero_point_a, parameters.multiplier_a, self.join.negates_a),
            ("b", self.b, parameters.zero_point_b, parameters.multiplier_b, self.join.negates_b),
        ):
            # Complements have the opposite difference.
            signs = negates.replicate(len(value))
            minuend, subtrahend = ((each ^ signs).as_signed() for each in (value, zero_point))
            difference = Signal(signed(9), name=f"difference_{name}", reset_less=True)
            m.d.sync += difference.eq(minuend - subtrahend)
            differences.append(difference)
            halves = {"low": multiplier[:_HALF_BITS], "high": multiplier[_HALF_BITS:]}
            products.append(
                [
                    delay(m, difference * half, 1, f"{which}_product_{name}")
                    for which, half in halves.items()
                ]
            )
        m.d.sync += self.product.eq(differences[0] * differences[1])

        # Of an extremum one term counts, of a sum both.
        takes_a = Signal(reset_less=True)
        m.d.sync += takes_a.eq((self.a > self.b) == self.join.maximum)
        taken = delay(m, takes_a, 1, "taken")
        counts = (~self.join.extremum | taken, ~self.join.extremum | ~taken)
        sums = []
        for which, terms in zip(("low", "high"), zip(*products, strict=True), strict=True):
            a, b = (Mux(count, term, 0) for count, term in zip(counts, terms, strict=True))
            sums.append(delay(m, a + b, 1, f"{which}_sum"))
        low, high = sums
        total = delay(m, Cat(low[:_HALF_BITS], high + (low >> _HALF_BITS)).as_signed(), 1, "total")

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
