"""What moves words of maps and computes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from sw.compiler.layers import Area, Convolution, Copy, Part, Plane, Window
from sw.compiler.lowering.context import Common, Context
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Concatenation, Interleave, ResizeNearest, Slice

_CHANNELS = 2
"""The axis within pixels."""


def concatenation(context: Context, operation: Concatenation, number: int) -> Copy | Convolution:
    """Parts of whole words, one behind the other; the last one may end within a word.

    Others are put together word by word, and a convolution takes their channels out of that.
    """
    if operation.axis < _CHANNELS:
        return _joined_pixels(context, operation, number)
    parts, at = [], 0
    planes = [context.plane(tensor) for tensor in context.graph.operands(operation)]
    for plane in planes:
        parts.append(Part(plane, 0, plane.words, at))
        at += plane.words
    common, rows = context.common(operation, number), context.config.rows
    if not any(plane.channels % rows for plane in planes[:-1]):
        return Copy(**common, window=Window(1, 1), parts=tuple(parts))
    there = [part.at * rows + channel for part in parts for channel in range(part.plane.channels)]
    source = common["source"]
    common["source"] = Plane(
        f"{operation.output} by words", source.height, source.width, at * rows, at
    )
    return dataclasses.replace(_selection(common, there), gather=tuple(parts))


def _joined_pixels(context: Context, operation: Concatenation, number: int) -> Copy:
    """Maps one below the other, or one beside the other."""
    parts, at = [], [0, 0]
    for tensor in context.graph.operands(operation):
        plane = context.plane(tensor)
        area = Area(0, 0, plane.height, plane.width, *at)
        parts.append(Part(plane, 0, plane.words, 0, area))
        at[operation.axis] += (plane.height, plane.width)[operation.axis]
    return Copy(**context.common(operation, number), window=Window(1, 1), parts=tuple(parts))


def channel_slice(context: Context, operation: Slice, number: int) -> Copy | Convolution:
    """Some words of every pixel; where it does not begin with a word, a convolution."""
    common = context.common(operation, number)
    if operation.axis < _CHANNELS:
        plane, target = common["source"], common["target"]
        begin = (operation.begin, 0) if operation.axis == 0 else (0, operation.begin)
        area = Area(*begin, target.height, target.width)
        pixels = Part(plane, 0, plane.words, 0, area)
        return Copy(**common, window=Window(1, 1), parts=(pixels,))
    first, within = divmod(operation.begin, context.config.rows)
    if within:
        channels = range(operation.begin, operation.begin + operation.count)
        return _selection(common, channels)
    part = Part(common["source"], first, common["target"].words, 0)
    return Copy(**common, window=Window(1, 1), parts=(part,))


def _selection(common: Common, channels: Sequence[int]) -> Convolution:
    """Some channels of the source, to the bit: as the identity in front of an addition."""
    weights = np.zeros((len(channels), 1, 1, common["source"].channels), np.int8)
    weights[np.arange(len(channels)), 0, 0, channels] = 1
    return Convolution(
        **common,
        window=Window(1, 1),
        weights=weights,
        bias=np.zeros(len(channels), np.int32),
        multiplier=np.ones(len(channels), np.float32),
        fields={"zero_point": common["zero_point"], "lo": INT8_MIN, "hi": INT8_MAX},
        residual=None,
    )


def resize_nearest(context: Context, operation: ResizeNearest, number: int) -> Copy:
    """Every pixel several times."""
    common = context.common(operation, number)
    plane = common["source"]
    part = Part(plane, 0, plane.words, 0)
    return Copy(**common, window=Window(1, 1), parts=(part,), repeat=operation.factor)


def interleave(context: Context, operation: Interleave, number: int) -> Copy:
    """Maps whose pixels take turns."""
    planes = [context.plane(tensor) for tensor in context.graph.operands(operation)]
    return Copy(
        **context.common(operation, number),
        window=Window(1, 1),
        parts=tuple(Part(plane, 0, plane.words, 0) for plane in planes),
        repeat=operation.factor,
        turns=True,
    )
