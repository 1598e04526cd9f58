"""Axes of pictures: from values to places, and where the ticks are."""

from __future__ import annotations

import math
from collections.abc import Iterable


class Scale:
    """Maps values from ``low`` to ``high`` to places from 0 to 1.

    Args:
        low, high: the ends; a logarithmic scale needs them positive.
        log: whether equal ratios, not equal differences, are equally far apart.

    Raises:
        ValueError: the ends make no scale.
    """

    def __init__(self, low: float, high: float, *, log: bool) -> None:
        if not low < high or (log and low <= 0):
            raise ValueError(f"no scale from {low!r} to {high!r}")
        self.low, self.high, self.log = low, high, log

    def __call__(self, value: float) -> float:
        """The place of ``value``; outside of 0 to 1 if it is outside of the scale."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values inside.

        Of a logarithmic scale powers of ten; if these are few, also twice and five times them; and
        if it is less than a decade long, equally far apart.
        """
        if not self.log:
            return _linear_ticks(self.low, self.high)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1,), (1, 2, 5)):
            ticks = [step * 10.0**decade for decade in decades for step in steps]
            inside = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(inside) > 2:
                return inside
        return _linear_ticks(self.low, self.high)


def around(values: Iterable[float], *, log: bool) -> Scale:
    """A scale on which ``values`` have some room on both sides; a linear one starts at 0."""
    known = list(values)
    low, high = min(known), max(known)
    if log:
        return Scale(low / 1.25, high * 1.25, log=True)
    return Scale(0, high * 1.1, log=False)


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 5
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
