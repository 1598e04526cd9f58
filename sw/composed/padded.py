"""Padding with any constant: rows and columns of a constant pixel, joined to the map."""

from __future__ import annotations

import numpy as np

from sw.graph_builder import GraphBuilder, Output
from sw.operations import Padding


def padded(builder: GraphBuilder, name: str, x: str, padding: Padding, value: int) -> str:
    """Add rows and columns of ``value``, an int8 as the map quantizes it, around a map."""
    source = builder.tensor(x)
    height, width, channels = source.shape
    output = Output(source.scale, source.zero_point)
    values = np.full(channels, value, np.int8)
    pixel = builder.constant_pixel(f"{name}.pixel", x, values, output)
    sides = (
        (1, (padding.left, padding.right), (height, 1)),
        (0, (padding.top, padding.bottom), (1, width + padding.left + padding.right)),
    )
    asked = [side for side in sides if any(side[1])]
    for axis, (before, after), extent in asked:
        called = name if axis == asked[-1][0] else f"{name}.columns"
        parts = [x]
        for place, count in enumerate((before, after)):
            if count:
                factor = (count, extent[1]) if axis == 0 else (extent[0], count)
                side = builder.resize_nearest(f"{name}.{axis}.{place}", pixel, factor)
                parts = [side, *parts] if place == 0 else [*parts, side]
        x = builder.concatenate(called, parts, axis)
    return x
