"""Between the real numbers around a network and its int8.

``quantize`` has two implementations with the same bits, held together by tests: NumPy, and on CPUs
that the functional model's own kernels suit, ``quantization.cc``, which takes a quarter of the
time: this step is part of what the MLPerf reference code times.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim import native
from sim.functional.isa import Isa, chosen
from sw.artifact import Quantization
from sw.errors import DnaError

Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]

SOURCE = Path(__file__).with_suffix(".cc")


def quantize(real: Float32, quantization: Quantization) -> Int8:
    """``clamp(rint(f32(real / scale)) + zero_point, -128, 127)``, halves to even.

    Args:
        real: float32, one dimension or more.
        quantization: of the tensor that ``real`` becomes.

    Returns:
        int8 of the same shape.

    Raises:
        DnaError: a value is NaN.
    """
    isa = chosen()
    if isa is not None:
        return _vectorized(real, quantization, isa)
    return _plain(real, quantization)


def dequantize(value: Int8, quantization: Quantization) -> Float32:
    """``f32(scale * (value - zero_point))``.

    Args:
        value: int8, any shape.
        quantization: of the tensor that ``value`` is.

    Returns:
        float32 of the same shape.
    """
    centred = value.astype(np.float32) - np.float32(quantization.zero_point)
    real: Float32 = centred * np.float32(quantization.scale)
    return real


def _plain(real: Float32, quantization: Quantization) -> Int8:
    # In place: an image more in memory costs more than the arithmetic.
    steps: Float32 = np.divide(real, np.float32(quantization.scale), dtype=np.float32)
    np.rint(steps, out=steps)
    steps += np.float32(quantization.zero_point)
    if steps.size and np.isnan(steps.min()):
        raise _nan()
    return np.clip(steps, -128, 127, out=steps).astype(np.int8)


def _vectorized(real: Float32, quantization: Quantization, isa: Isa) -> Int8:
    source = np.ascontiguousarray(real, np.float32)
    result: Int8 = np.empty(source.shape, np.int8)
    scale, zero_point = quantization.scale, quantization.zero_point
    if not _kernel(isa)(source.ctypes.data, result.ctypes.data, source.size, scale, zero_point):
        raise _nan()
    return result.reshape(real.shape)


def _nan() -> DnaError:
    return DnaError("cannot quantize an image that contains NaN")


@functools.cache
def _kernel(isa: Isa) -> Callable[..., bool]:
    function = native.load(native.library(SOURCE, isa.flags)).dna_quantize
    pointer = ctypes.c_void_p
    function.argtypes = (pointer, pointer, ctypes.c_int64, ctypes.c_float, ctypes.c_float)
    function.restype = ctypes.c_bool
    return function
