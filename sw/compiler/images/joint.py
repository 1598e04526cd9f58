"""Layers that run once for all images.

A classifier has one pixel: its weights come from memory for that one, and the arrays wait for them.
The layers at the end of a network that compute single pixels from single pixels therefore take the
images of a batch as pixels, one below the other, and their weights are streamed once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sw.compiler.layers import Convolution, Layer, Plane


def joint_from(layers: Sequence[Layer]) -> int:
    """The number of the first layer from which on all run once for all images.

    What these read has the pixels of all images, so no layer of a single image may read it, too.
    """
    first = len(layers)
    while first > 0 and _of_single_pixels(layers[first - 1]):
        first -= 1
    while _read(layers[:first]) & _read(layers[first:]):
        first += 1
    return first


def _read(layers: Sequence[Layer]) -> set[str]:
    """The maps that they read."""
    return {plane.tensor for layer in layers for plane in layer.operands}


def joined(layer: Layer, images: int) -> Layer:
    """A layer of single pixels with ``images`` of them, one below the other."""
    assert isinstance(layer, Convolution)
    residual = layer.residual
    if residual is not None:
        residual = dataclasses.replace(residual, plane=_stacked(residual.plane, images))
    return dataclasses.replace(
        layer,
        source=_stacked(layer.source, images),
        target=_stacked(layer.target, images),
        residual=residual,
        macs=images * layer.macs,
    )


def _of_single_pixels(layer: Layer) -> bool:
    if not isinstance(layer, Convolution) or layer.gather or layer.packing or layer.stored:
        return False
    maps, window = (*layer.operands, layer.target), layer.window
    return (
        all(plane.height == plane.width == 1 for plane in maps)
        and window.kernel_height == window.kernel_width == 1
        and window.row_stride == window.column_stride == 1
        and window.pad_top == window.pad_left == 0
    )


def _stacked(plane: Plane, images: int) -> Plane:
    return dataclasses.replace(plane, height=images * plane.height)
