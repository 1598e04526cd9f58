"""Small functions of integers, without a register."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Mux, Value


def clamp(value: Value, low: Any, high: Any) -> Value:
    """``value``, or ``low`` if it is less, or ``high`` if it is more."""
    return Mux(value < low, low, Mux(value > high, high, value))


def thermometer(count: Value, width: int) -> Value:
    """A mask of ``width`` bits, the lowest ``count`` of them set; all if ``count`` is larger.

    ``count`` is compared with every number below ``width``: a signal is computed once for all.
    """
    return Cat(count > bit for bit in range(width))
