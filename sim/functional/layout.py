"""How the kernels see a graph: feature maps with borders in memory, layers as C++ structures."""

from __future__ import annotations

import ctypes
import enum
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.native.declarations import enumeration, prelude, structure
from sw.graph import Graph
from sw.operations import Conv2D, DepthwiseConv2D, Padding, Tensor

Array = npt.NDArray[Any]

UNSIGNED = 128  # what is added to an int8 to store it
ALIGNMENT = 64  # of a vector
SLACK = 64  # bytes that may be read behind the last pixel


class Kind(enum.IntEnum):
    """Which kernel computes a layer."""

    CONVOLUTION = 0
    ADD = 1
    MAX_POOL = 2
    MEAN = 3
    DEPTHWISE = 4
    AVERAGE_POOL = 5
    MULTIPLY = 6
    LOOKUP = 7
    COPY = 8
    MAXIMUM = 9
    MINIMUM = 10


class Map(ctypes.Structure):
    """A feature map.

    Attributes:
        data: its first pixel, inside the border.
        row: bytes from one row to the next.
        zero_point: of the uint8 values.
    """

    _fields_ = (
        ("data", ctypes.POINTER(ctypes.c_uint8)),
        ("row", ctypes.c_int64),
        ("height", ctypes.c_int32),
        ("width", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("zero_point", ctypes.c_int32),
    )


class Products(ctypes.Structure):
    """:class:`sim.functional.packing.Products` of a layer.

    Attributes:
        first: the number of the first one of each block, and behind the last block of all.
        offset: of a convolution, the bytes from the first pixel of the window to what each dot
            product takes; of a depthwise one, how many are before it in the window.
        weights: of each dot product.
    """

    _fields_ = (
        ("first", ctypes.POINTER(ctypes.c_int32)),
        ("offset", ctypes.POINTER(ctypes.c_int32)),
        ("weights", ctypes.POINTER(ctypes.c_int8)),
    )


class Layer(ctypes.Structure):
    """A layer.

    Attributes:
        kind: a :class:`Kind`.
        before: padding above and to the left.
        other: the second addend; its data is null if there is none.
        plain, flipped: dot products of a convolution.
        bias: [block][lane], with the zero point's share already taken off.
        multiplier: [block][lane].
        zero_point, lo, hi: of the convolution's own result, as int8.
        rectified: its zero point and bounds are the lowest and the highest byte, nothing is added
            to it, and bias and multiplier are those of :func:`sim.functional.packing.rectified`.
        multiply, shift, add_zero_point, add_lo, add_hi: of an addition, alone or behind the
            convolution: int8 zero point and bounds.
        first, at, count: of a copy, the first channel that is read, where it goes, how many; each
            pixel is there ``kernel`` times.
        table: of a function, the uint8 result by the uint8 value.
    """

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("kernel", ctypes.c_int32 * 2),
        ("stride", ctypes.c_int32 * 2),
        ("before", ctypes.c_int32 * 2),
        ("input", Map),
        ("other", Map),
        ("output", Map),
        ("plain", Products),
        ("flipped", Products),
        ("bias", ctypes.POINTER(ctypes.c_int32)),
        ("multiplier", ctypes.POINTER(ctypes.c_float)),
        ("zero_point", ctypes.c_int32),
        ("lo", ctypes.c_int32),
        ("hi", ctypes.c_int32),
        ("rectified", ctypes.c_int32),
        ("multiply", ctypes.c_int32 * 2),
        ("shift", ctypes.c_int32),
        ("add_zero_point", ctypes.c_int32),
        ("add_lo", ctypes.c_int32),
        ("add_hi", ctypes.c_int32),
        ("first", ctypes.c_int32),
        ("at", ctypes.c_int32),
        ("count", ctypes.c_int32),
        ("table", ctypes.POINTER(ctypes.c_uint8)),
        ("mean_multiplier", ctypes.c_float),
        ("mean_offset", ctypes.c_float),
    )


PRELUDE = prelude(
    enumeration(Kind, prefix="KIND_"), structure(Map), structure(Products), structure(Layer)
)
"""C++ in front of the kernels."""


def aligned(size: int, fill: int = 0) -> npt.NDArray[np.uint8]:
    """Bytes that begin where a vector may."""
    raw = np.full(size + ALIGNMENT, fill, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def spatial(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A flat tensor is a single pixel."""
    return shape if len(shape) == 3 else (1, 1, shape[0])


def borders(graph: Graph) -> dict[str, Padding]:
    """The widest padding that any convolution wants around each tensor."""
    widest: dict[str, Padding] = defaultdict(Padding)
    for operation in graph.operations:
        if isinstance(operation, Conv2D | DepthwiseConv2D):
            name = operation.inputs[0]
            a, b = widest[name], operation.padding
            widest[name] = Padding(
                max(a.top, b.top),
                max(a.bottom, b.bottom),
                max(a.left, b.left),
                max(a.right, b.right),
            )
    return widest


def section(whole: Map, axis: int, begin: int, count: int) -> Map:
    """Some rows, axis 0, or columns of a map."""
    step = (whole.row, whole.channels)[axis]
    address = ctypes.cast(whole.data, ctypes.c_void_p).value
    assert address is not None
    part = Map.from_buffer_copy(whole)
    part.data = ctypes.cast(address + begin * step, ctypes.POINTER(ctypes.c_uint8))
    setattr(part, ("height", "width")[axis], count)
    return part


class Memory:
    """A feature map with its border, as bytes and as a view without the border."""

    def __init__(self, tensor: Tensor, border: Padding) -> None:
        height, width, channels = spatial(tensor.shape)
        rows, columns = height + border.top + border.bottom, width + border.left + border.right
        zero_point = tensor.zero_point + UNSIGNED
        self.bytes = aligned(rows * columns * channels + SLACK, zero_point)
        self.row = columns * channels
        self.start = border.top * self.row + border.left * channels
        padded = self.bytes[: rows * self.row].reshape(rows, columns, channels)
        self.view = padded[border.top : border.top + height, border.left : border.left + width]
