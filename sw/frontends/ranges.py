"""The range of an activation with the least squared error over what was observed.

The search of ``sw.frontends.pytorch.observer``, for frameworks that are told ranges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Range = tuple[float, float]
F32Array = npt.NDArray[np.float32]

BINS = 2048
LEVELS = 255
FRACTIONS = np.linspace(0.4, 1.0, 61)


class Histogram:
    """Counts values between two bounds that are known beforehand; zero is always inside.

    Args:
        low, high: least and greatest value.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = min(low, 0.0), max(high, 0.0)
        self.counts = np.zeros(BINS, np.int64)
        self._width = (self.high - self.low) / BINS or 1.0

    def add(self, values: F32Array) -> None:
        """Count ``values``, of any shape, in."""
        bins = ((values.ravel() - np.float32(self.low)) * np.float32(1 / self._width)).astype(int)
        self.counts += np.bincount(np.clip(bins, 0, BINS - 1), minlength=BINS)

    def best(self) -> Range:
        """The range to quantize to 8 bits with: both bounds narrowed by one fraction."""
        centres = self.low + (np.arange(BINS) + 0.5) * self._width
        errors = [self._error(centres, fraction) for fraction in FRACTIONS]
        fraction = float(FRACTIONS[int(np.argmin(errors))])
        return self.low * fraction, self.high * fraction

    def _error(self, centres: npt.NDArray[np.floating[Any]], fraction: float) -> float:
        low, high = self.low * fraction, self.high * fraction
        scale = (high - low) / LEVELS or 1.0
        zero = np.rint(-low / scale)
        steps = np.clip(np.rint(centres / scale) + zero, 0, LEVELS) - zero
        return float((self.counts * (centres - steps * scale) ** 2).sum())
