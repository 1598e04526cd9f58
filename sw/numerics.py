"""Quantization arithmetic that is done once, at compile time.

These are the only places where a scale becomes a multiplier, a bound or a shift. The results are
stored in the artifact; the reference, the functional model and the hardware all read them there.
Every formula follows LiteRT 2.3 with the XNNPACK delegate (docs/numerics.md). ``f32`` is one IEEE
single rounding; nothing is fused.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError

Activation = Literal["none", "relu", "relu6"]
Function = Literal[
    "logistic",
    "tanh",
    "hard_swish",
    "leaky_relu",
    "elu",
    "relu",
    "relu6",
    "relu_n1_to_1",
    "abs",
    "neg",
    "quantize",
]
"""What a value can become by itself; each is an operator of TFLite, which says what it gives."""
Foreign = Literal["table"]
"""One that is none of these: another runtime said what its results are."""
WithConstant = Literal["add", "sub", "mul", "minimum", "maximum"]
"""The same with one constant for all values."""
F32Array = npt.NDArray[np.float32]

f32 = np.float32

INT8_MIN, INT8_MAX = -128, 127
BYTES = 256
"""Values of an int8."""
MAX_REQUANTIZATION_SCALE = 256.0
MIN_ADD_RATIO, MAX_ADD_RATIO = 2.0**-10, 2.0**8
ADD_FRACTION_BITS = 20
MAX_AVERAGE_ELEMENTS = 8191


def check_scale(scale: float, what: str) -> np.float32:
    """Return ``scale`` as float32.

    Raises:
        DnaError: the scale is zero, negative, infinite, NaN or not a normal float32.
    """
    value = f32(scale)
    if not np.isfinite(value) or value < np.finfo(f32).tiny:
        raise DnaError(f"{what}: scale {float(scale)!r} is not a positive normal float32")
    return value


def requantization_scale(
    input_scale: float, weight_scale: F32Array, output_scale: float, what: str
) -> F32Array:
    """Scale from accumulator to output, per output channel: ``f32(f32(s_in * s_w[c]) / s_out)``.

    Args:
        weight_scale: float32 [channels].

    Returns:
        float32 [channels].

    Raises:
        DnaError: a scale is not a positive normal number or a result reaches 256.
    """
    s_in = check_scale(input_scale, f"{what} input")
    s_out = check_scale(output_scale, f"{what} output")
    for channel in np.flatnonzero(
        ~(np.isfinite(weight_scale) & (weight_scale >= np.finfo(f32).tiny))
    ):
        check_scale(float(weight_scale[channel]), f"{what} weights of channel {channel}")
    scale: F32Array = (s_in * weight_scale.astype(f32)) / s_out
    for channel in np.flatnonzero(
        ~((scale >= np.finfo(f32).tiny) & (scale < MAX_REQUANTIZATION_SCALE))
    ):
        raise DnaError(
            f"{what}: requantization scale {float(scale[channel])!r} of channel {channel} "
            f"is not in [2^-126, {MAX_REQUANTIZATION_SCALE:g})"
        )
    return scale


def activation_bounds(activation: Activation, scale: float, zero_point: int) -> tuple[int, int]:
    """Clamp bounds (lo, hi) in int8 of a fused activation.

    A real bound v becomes ``clamp(rint(f32(f32(v / s) + f32(zp))), -128, 127)``.
    """

    def quantized(value: float) -> int:
        real = f32(f32(value) / f32(scale)) + f32(zero_point)
        return int(np.clip(np.rint(f32(real)), INT8_MIN, INT8_MAX))

    lo = INT8_MIN if activation == "none" else quantized(0.0)
    hi = quantized(6.0) if activation == "relu6" else INT8_MAX
    return lo, hi


def add_parameters(
    scale_a: float, scale_b: float, output_scale: float, what: str
) -> tuple[tuple[int, int], int]:
    """Fixed-point multipliers of a quantized addition: ((ma, mb), shift).

    ``ra = f32(s_a / s_out)``, ``shift = 20 - floor(log2(max(ra, rb)))``,
    ``ma = rint(ra * 2^shift)``, and b likewise.

    Raises:
        DnaError: a ratio is outside [2^-10, 2^8).
    """
    ratios = [
        float(check_scale(s, f"{what} input") / check_scale(output_scale, f"{what} output"))
        for s in (scale_a, scale_b)
    ]
    for ratio in ratios:
        if not MIN_ADD_RATIO <= ratio < MAX_ADD_RATIO:
            raise DnaError(
                f"{what}: ratio of input to output scale {ratio!r} is not in [2^-10, 2^8)"
            )
    shift = ADD_FRACTION_BITS - (math.frexp(max(ratios))[1] - 1)
    ma, mb = (int(np.rint(math.ldexp(ratio, shift))) for ratio in ratios)
    return (ma, mb), shift


def multiply_parameter(
    scale_a: float, scale_b: float, output_scale: float, what: str
) -> np.float32:
    """Multiplier of a product: ``f32(f32(s_a * s_b) / s_out)``, as of a convolution.

    Raises:
        DnaError: it is not in [2^-126, 256).
    """
    other = np.array([check_scale(scale_b, f"{what} input")])
    return np.float32(requantization_scale(scale_a, other, output_scale, what)[0])


def mean_parameters(
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
    elements: int,
    what: str,
) -> tuple[np.float32, np.float32]:
    """Multiplier and offset (c, b) of the mean over ``elements`` values.

    ``c = f32(f32(s_in / s_out) * f32(1 / n))``, ``b = f32(zp_out - f32(f32(n * zp_in) * c))``.
    """
    ratio = check_scale(input_scale, f"{what} input") / check_scale(output_scale, f"{what} output")
    multiplier = f32(ratio * f32(f32(1.0) / f32(elements)))
    offset = f32(f32(output_zero_point) - f32(f32(elements * input_zero_point) * multiplier))
    return multiplier, offset


def average_multiplier(elements: int, what: str) -> np.float32:
    """Multiplier c with which ``rint(f32(f32(sum) * c))`` is sum / n, halves away from zero.

    ``c = f32((1 + 2^-22) / n)``: a little more than 1 / n, so that products of exact halves come
    out above them and round away from zero on either side. What is no half differs from one by at
    least 1 / 2n, and the error of a product, at most 2^-15 plus half a ulp, 2^-18, is less than
    that for n < 8192. A sum is below 2^20, which float32 holds exactly.

    Raises:
        DnaError: a window has more elements than that.
    """
    if elements > MAX_AVERAGE_ELEMENTS:
        raise DnaError(
            f"{what}: an average over {elements} values is not exact here; "
            f"at most {MAX_AVERAGE_ELEMENTS}"
        )
    return f32((1 + 2.0**-22) / elements)
