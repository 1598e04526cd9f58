"""Bilinear resizes by powers of two, in terms of operations that there are.

Of a map whose pixels are repeated by a factor f, a bilinear interpolation is the average over f
neighbouring pixels, or over f + 1 of which those at the ends count half. Which ones says where
pixel k of the result lies in the source: at k / f, with aligned corners too (the result ends where
the source does), or with half pixels at (k + 1/2) / f - 1/2. Beyond the edges are the pixels of the
edges. Weights are powers of two apart, so LiteRT's 11 bits of a fraction hold them.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window

Way = Literal["plain", "aligned", "half"]
"""Where the result's pixels lie in the source."""

MAX_FACTOR = 8
"""What is larger has windows that no engine of the machine takes."""
_STEPS = 4
"""Of the weights: one step more is less than a half, and more than nothing."""
_LARGEST = 127 // _STEPS
"""The largest product of two weights."""


def bilinear_factor(size: int, result: int, way: Way) -> int | None:
    """The factor of a resize of ``size`` rows or columns; None if it is none that is taken."""
    if size == 1 or size == result:
        return result // size
    factor, rest = divmod(result, size)
    if way == "aligned":
        factor, rest = divmod(result - 1, size - 1)
    if rest or not 1 <= factor <= MAX_FACTOR or factor & (factor - 1):
        return None
    return factor


def bilinear(
    builder: GraphBuilder,
    name: str,
    x: str,
    factor: tuple[int, int],
    way: Way,
    *,
    halves_up: bool = True,
) -> str:
    """Add a bilinear resize.

    Args:
        factor: of rows and columns, each from :func:`bilinear_factor`.
        halves_up: as LiteRT has them; else they go to even.

    Raises:
        DnaError: it takes weights that are too large for int8.
    """
    source = builder.tensor(x)
    taps = [_taps(size, each, way) for size, each in zip(source.shape, factor, strict=False)]
    products = np.outer(taps[0], taps[1])
    total = int(products.sum())
    if products.max() > _LARGEST and total > 1:
        raise DnaError(f"{name}: a bilinear resize by {factor} has weights of {products.max()}")
    averages = total > 1
    repeated = builder.resize_nearest(f"{name}.repeated" if averages else name, x, factor)
    if not averages:
        return repeated
    for axis, (size, each) in enumerate(zip(source.shape[:2], factor, strict=True)):
        repeated = _with_edges(builder, f"{name}.{axis}", repeated, axis, _edges(size, each, way))
    channels = source.shape[2]
    weights = Weights(
        values=np.tile((_STEPS * products).astype(np.int8), (channels, 1, 1)),
        bias=np.full(channels, int(halves_up), np.int32),
        scale=np.full(channels, 1 / (_STEPS * total), np.float32),
    )
    kernel = (len(taps[0]), len(taps[1]))
    output = Output(source.scale, source.zero_point)
    return builder.depthwise_conv2d(name, repeated, weights, output, Window(kernel))


def _taps(size: int, factor: int, way: Way) -> list[int]:
    if size == 1 or factor == 1:
        return [1]
    return [1, *[2] * (factor - 1), 1] if way == "half" else [1] * factor


def _edges(size: int, factor: int, way: Way) -> tuple[int, int]:
    """How many pixels of the edges there are before and behind the repeated ones."""
    if size == 1 or factor == 1 or way == "aligned":
        return 0, 0
    return (factor // 2, factor // 2) if way == "half" else (0, factor - 1)


def _with_edges(builder: GraphBuilder, name: str, x: str, axis: int, edges: tuple[int, int]) -> str:
    """A map with its first and last row or column, ``axis``, so many times more."""
    if not any(edges):
        return x
    parts = [x]
    last = builder.tensor(x).shape[axis] - 1
    for place, (count, edge) in enumerate(zip(edges, (0, last), strict=True)):
        if count:
            pixels = builder.slice_channels(f"{name}.{place}", x, edge, 1, axis)
            parts = [*[pixels] * count, *parts] if place == 0 else [*parts, *[pixels] * count]
    return builder.concatenate(name, parts, axis)
