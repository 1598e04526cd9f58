"""The range of an activation: the search that is fast finds what one of everything finds."""

import numpy as np
import pytest

from tests import skips

pytest.importorskip("torchao", reason=skips.not_installed("quantize"))

import torch

from sw.errors import DnaError
from sw.frontends.pytorch.observer import FRACTIONS, LEVELS, LeastErrorObserver


def observer():
    return LeastErrorObserver(
        dtype=torch.uint8, quant_min=0, quant_max=255, qscheme=torch.per_tensor_affine
    )


def of_everything(histogram, low, high):
    """Scale and zero point of the range of least error, every one of them tried."""
    width = (high - low) / histogram.bins
    values = low + width * (torch.arange(histogram.bins, dtype=torch.float64) + 0.5)
    counts, best = histogram.histogram.double(), (float("inf"), low, high)
    for start in FRACTIONS * low if low < 0 else torch.zeros(1, dtype=torch.float64):
        for end in FRACTIONS * max(high, 0.0):
            scale = ((end - start) / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
            zero_point = torch.round(-start / scale)
            steps = torch.clamp(torch.round(values / scale) + zero_point, 0, LEVELS) - zero_point
            error = float(((steps * scale - values).square() * counts).sum())
            best = min(best, (error, float(start), float(end)))
    return best[1:]


SHAPES = {
    "normal": lambda x: x,
    "rectified": lambda x: x.relu(),
    "swish": torch.nn.functional.hardswish,
    "tails": lambda x: x**5,
    "below zero": lambda x: -x.abs() - 1,
    "few": lambda x: x[:3],
    "two values": lambda x: torch.sign(x),
    "far away": lambda x: x * 1e-3 + 5,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_best_range_of_all_is_found(shape):
    generator = torch.Generator().manual_seed(len(shape))
    seen = observer()
    for factor in (1.0, 0.7):
        seen(SHAPES[shape](torch.randn(4000, generator=generator) * factor))
    low, high = float(seen.min_val), float(seen.max_val)
    assert seen._search(low, high) == pytest.approx(of_everything(seen, low, high), rel=1e-12)


def test_nothing_but_one_value_has_a_range():
    seen = observer()
    seen(torch.full((5,), 2.5))
    scale, zero_point = seen.calculate_qparams()
    assert scale > 0
    assert 0 <= zero_point <= 255


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(DnaError, match="became NaN or infinite"):
        observer()(torch.tensor([1.0, value]))
