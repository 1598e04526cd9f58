"""Weights of more than 8 bits: sums of two int8, over channels that the map has twice.

What UINT8 weights are without their zero point lies in -255..255. The first int8 is the nearest to
a weight, the second what is left of it, and only the channels of which something is left are needed
twice: mostly one or two of a layer. (255 takes a third.) A depthwise convolution finds every pixel
twice instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.values.operands import Operands, Value
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Padding

MAX_COUNT = 4096
"""The most values of a window of :func:`upward_average`."""


def is_wide(weights: Weights) -> bool:
    """Whether some do not fit int8."""
    return bool(weights.values.dtype != np.int8)


def parts_of(wide: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """int8 values, as int16, whose sum is ``wide``: two of them, of 255 three."""
    parts: list[npt.NDArray[Any]] = []
    rest = wide
    while not parts or rest.any():
        parts.append(np.clip(rest, INT8_MIN, INT8_MAX))
        rest = rest - parts[-1]
    return parts


def wide_depthwise(
    builder: GraphBuilder, name: str, x: str, weights: Weights, output: Output, window: Window
) -> str:
    """Add a depthwise convolution with wide weights, over a map that has every pixel several times.

    The pixels of a window stand beside themselves then, one for each part of a weight. Rows are
    repeated as columns are, since the depthwise engine has one stride.
    """
    parts = parts_of(weights.values)
    times = len(parts)
    channels, height, width = weights.values.shape
    values = np.zeros((channels, height, times, width, times), np.int8)
    for number, part in enumerate(parts):
        values[:, :, 0, :, number] = part
    again = builder.resize_nearest(f"{name}.again", x, (times, times))
    pads = window.padding
    padding = Padding(*(times * n for n in (pads.top, pads.bottom, pads.left, pads.right)))
    kernel = (times * height, times * width)
    stride = (times * window.stride[0], times * window.stride[1])
    weights = dataclasses.replace(weights, values=values.reshape(channels, *kernel))
    return builder.depthwise_conv2d(name, again, weights, output, Window(kernel, stride, padding))


def repeat(builder: GraphBuilder, name: str, x: str, channels: Sequence[int]) -> str:
    """Add a convolution that copies a map and has some channels once more behind the last."""
    source = builder.tensor(x)
    order = np.array([*range(source.shape[-1]), *channels])
    chosen = (order[:, None] == np.arange(source.shape[-1])).astype(np.int8)
    flat = len(source.shape) == 1
    weights = Weights(
        values=chosen if flat else chosen[:, None, None],
        bias=np.zeros(len(order), np.int32),
        scale=np.ones(len(order), np.float32),
    )
    add = builder.fully_connected if flat else builder.conv2d
    return add(name, x, weights, Output(source.scale, source.zero_point))


def upward_average(builder: GraphBuilder, name: str, x: str, output: Output, window: Window) -> str:
    """Add the average over a window without padding whose halves go up.

    Four sums and one, through four counts: a half comes to lie above the border, and nothing else
    reaches one. Of 255 steps float32 errs by less than that where a count is at most 4096.

    Raises:
        DnaError: a window has more values.
    """
    channels, count = builder.tensor(x).shape[-1], window.kernel[0] * window.kernel[1]
    if count > MAX_COUNT:
        raise DnaError(f"{count} values in a window; nearest: at most {MAX_COUNT}, or INT8")
    weights = Weights(
        values=np.full((channels, *window.kernel), 4, np.int8),
        bias=np.ones(channels, np.int32),
        scale=np.full(channels, 1 / (4 * count), np.float32),
    )
    return builder.depthwise_conv2d(name, x, weights, output, window)


class WideWeights(Operands):
    """Puts wide weights in terms of int8 ones."""

    def narrowed(
        self, operator: TfliteOperator, value: Value, weights: Weights
    ) -> tuple[str, Weights]:
        """The map that an operator reads, with channels repeated, and int8 weights for it.

        Args:
            operator: whose first input the map is.
            value: the map.
            weights: of it, [out, ..., in].
        """
        if not is_wide(weights):
            return value.name, weights
        flat = weights.values.ndim == 2  # of a fully connected layer, over a map of any shape
        wide = weights.values
        if flat:
            wide = wide.reshape(len(wide), *self.builder.tensor(value.name).shape)
        first, *others = parts_of(wide)
        parts, channels = [first], []
        for part in others:
            needed = np.flatnonzero(part.reshape(-1, part.shape[-1]).any(axis=0))
            parts.append(part[..., needed])
            channels += needed.tolist()
        index = operator.input(0)
        own = len(self.readers[index]) == 1 and index not in self.model.outputs
        own &= value.name not in self.repeated
        name = value.name
        known = self.builder.tensor(name).shape[-1]
        if own and self.builder.repeat_channels(name, [*range(known), *channels]):
            self.repeated[name] = known
        else:
            name = f"{operator.code.lower()}_{operator.index}.again"
            repeat(self.builder, name, value.name, channels)
        values = np.concatenate(parts, axis=-1).astype(np.int8)
        if flat:
            values = values.reshape(len(values), -1)
        return name, dataclasses.replace(weights, values=values)
