"""Products that are needed once for many cycles, by an adder instead of a multiplier."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value

FACTOR_BITS = 8
"""Of the factors: paddings are signed numbers of as many bits, strides are smaller."""


class SerialMultiplier:
    """``target + factor * multiplicand`` or minus, two bits of the factor a cycle (Booth 1951).

    Args:
        m: gets registers and adder.
        target: register, in which the sum grows.
        factor: the signed number that it begins with.
        subtract: whether the product is taken away.
    """

    STEPS = FACTOR_BITS // 2

    def __init__(self, m: Module, target: Signal, factor: Value, *, subtract: bool) -> None:
        self._target, self._factor = target, factor
        # A bit of weight 1/2 below the factor.
        self._bits = Signal(FACTOR_BITS + 1, name=f"{target.name}_factor")
        below, low, high = self._bits[0], self._bits[1], self._bits[2]
        self._one = low ^ below
        self._two = (high != low) & (low == below)
        self._negative = ~high if subtract else high

    def begin(self, start: Any) -> list[Any]:
        """Statements of the first cycle."""
        return [self._target.eq(start), self._bits.eq(Cat(0, self._factor))]

    def step(self, multiplicand: Signal) -> list[Any]:
        """Statements of one of the others; the multiplicand grows by two bits each time."""
        width = len(self._target)
        addend = Mux(self._two, multiplicand << 1, Mux(self._one, multiplicand, 0))[:width]
        addend = Mux(self._negative, ~addend, addend)
        return [
            self._target.eq(self._target + addend + self._negative),
            self._bits.eq(self._bits.shift_right(2)),
        ]
