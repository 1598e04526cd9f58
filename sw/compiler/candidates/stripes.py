"""Layers in stripes: what is worked on at a time.

A stripe is some output rows and the input rows under their windows (a mean, which needs all rows,
takes some channels instead).
"""

from __future__ import annotations

from typing import assert_never

from sw.compiler.choice import Stripe
from sw.compiler.layers import (
    AveragePool,
    Convolution,
    Copy,
    Depthwise,
    Layer,
    MaxPool,
    MeanPool,
)


def units(layer: Layer) -> int:
    """What stripes are counted in: output rows, source rows of a copy, words of a mean's pixel."""
    match layer:
        case Convolution() | Depthwise() | MaxPool() | AveragePool():
            return layer.target.height
        case Copy():
            return layer.source.height
        case MeanPool():
            return layer.source.words
        case _:
            assert_never(layer)


def stripe_sizes(layer: Layer) -> list[int]:
    """Units of a stripe that divide ``layer`` as equally as can be, the largest first."""
    if isinstance(layer, MaxPool) and layer.row_by_row:
        return [1]
    count = units(layer)
    if layer.whole:
        return [count]
    return sorted({-(-count // parts) for parts in range(1, count + 1)}, reverse=True)


def stripes(layer: Layer, size: int) -> tuple[Stripe, ...]:
    """``layer`` in pieces of ``size`` units."""
    count = units(layer)
    match layer:
        case Convolution() | Depthwise() | MaxPool() | AveragePool():
            starts = range(0, count, size)
            return tuple(row_stripe(layer, row, min(row + size, count)) for row in starts)
        case Copy() if layer.whole:
            target = layer.target
            return (Stripe(0, target.height, 0, count, 0, 0, target.words),)
        case Copy():
            down = layer.repeat[0]
            return tuple(
                Stripe(down * row, down * rows, row, rows, 0, 0, layer.target.words)
                for row in range(0, count, size)
                for rows in [min(size, count - row)]
            )
        case MeanPool():
            height = layer.source.height
            return tuple(
                Stripe(0, 1, 0, height, 0, first, min(size, count - first))
                for first in range(0, count, size)
            )
        case _:
            assert_never(layer)


def row_stripe(
    layer: Convolution | Depthwise | MaxPool | AveragePool, start: int, stop: int
) -> Stripe:
    """Output rows ``start`` up to ``stop`` of a layer with a sliding window."""
    source, window = layer.source, layer.window
    above = start * window.row_stride - window.pad_top
    below = above + (stop - start - 1) * window.row_stride + window.kernel_height
    # A stripe that sees nothing but padding still has a source row, so that all have one.
    first = min(max(above, 0), source.height - 1)
    last = max(min(below, source.height), first + 1)
    return Stripe(start, stop - start, first, last - first, first - above, 0, source.words)
