"""What moves words of maps and computes nothing."""

from __future__ import annotations

from sw.compiler.layers import Copy, Part, Window
from sw.compiler.lowering.context import Context
from sw.errors import DnaError
from sw.operations import Concatenation, ResizeNearest, Slice


def concatenation(context: Context, operation: Concatenation, number: int) -> Copy:
    """Parts of whole words, one behind the other; the last one may end within a word."""
    parts, at = [], 0
    planes = [context.plane(tensor) for tensor in context.graph.operands(operation)]
    for plane in planes:
        parts.append(Part(plane, 0, plane.words, at))
        at += plane.words
    for plane in planes[:-1]:
        _check_words(context, operation, f"a part of {plane.channels} channels", plane.channels)
    return Copy(**context.common(operation, number), window=Window(1, 1), parts=tuple(parts))


def channel_slice(context: Context, operation: Slice, number: int) -> Copy:
    """Some words of every pixel."""
    common = context.common(operation, number)
    _check_words(context, operation, f"a slice from channel {operation.begin} on", operation.begin)
    first = operation.begin // context.config.rows
    part = Part(common["source"], first, common["target"].words, 0)
    return Copy(**common, window=Window(1, 1), parts=(part,))


def resize_nearest(context: Context, operation: ResizeNearest, number: int) -> Copy:
    """Every pixel several times."""
    common = context.common(operation, number)
    plane = common["source"]
    part = Part(plane, 0, plane.words, 0)
    return Copy(**common, window=Window(1, 1), parts=(part,), repeat=operation.factor)


def _check_words(
    context: Context, operation: Concatenation | Slice, what: str, channels: int
) -> None:
    rows = context.config.rows
    if channels % rows:
        raise DnaError(
            f"{operation.name}: {what} does not end with a feature word of configuration "
            f"{context.config.name}; nearest: a multiple of {rows} channels"
        )
