"""How the range of an activation is chosen: the least squared error over what was observed."""

from __future__ import annotations

import torch
from torch import Tensor
from torchao.quantization.pt2e import HistogramObserver

from sw.errors import DnaError

LEVELS = 255
FRACTIONS = torch.linspace(0.4, 1.0, 61, dtype=torch.float64)


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
        best = (float("inf"), low, high)
        for start in FRACTIONS * low if low < 0 else torch.zeros(1, dtype=torch.float64):
            scale = ((highs - start) / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)[:, None]
            zero_point = torch.round(-start / scale)
            quantized = torch.clamp(torch.round(values / scale) + zero_point, 0, LEVELS)
            errors = (((quantized - zero_point) * scale - values).square() * counts).sum(dim=1)
            least = int(errors.argmin())
            best = min(best, (float(errors[least]), float(start), float(highs[least])))
        return best[1], best[2]
