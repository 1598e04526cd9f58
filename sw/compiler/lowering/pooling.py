"""Max-pool, average-pool and mean."""

from __future__ import annotations

from sw.compiler.layers import AveragePool, MaxPool, MeanPool, Window
from sw.compiler.lowering.context import Context, check_window, window_of
from sw.numerics import average_multiplier
from sw.operations import AveragePool2D, MaxPool2D, Mean


def max_pool2d(context: Context, operation: MaxPool2D, number: int) -> MaxPool:
    """A max-pool."""
    window = window_of(operation)
    check_window(operation, window)
    return MaxPool(**context.common(operation, number), window=window)


def average_pool2d(
    context: Context, operation: AveragePool2D, number: int
) -> AveragePool | MeanPool:
    """A mean of each window, or of the whole map if there is one window and it sees all."""
    common = context.common(operation, number)
    source, target = common["source"], common["target"]
    window = window_of(operation)
    seen = (window.kernel_height - window.pad_top, window.kernel_width - window.pad_left)
    if (target.height, target.width) == (1, 1) and (
        seen[0] >= source.height and seen[1] >= source.width
    ):
        elements = source.height * source.width
        return MeanPool(
            **common,
            window=Window(source.height, source.width),
            multiplier=float(average_multiplier(elements, operation.name)),
            offset=0.0,
        )
    return AveragePool(**common, window=window)


def mean(context: Context, operation: Mean, number: int) -> MeanPool | AveragePool:
    """A mean over height and width, or of each row or column."""
    common = context.common(operation, number)
    source = common["source"]
    if operation.axes != (0, 1):
        kernel = (source.height, 1) if operation.axes == (0,) else (1, source.width)
        return AveragePool(
            **common,
            window=Window(*kernel, *kernel),
            multiplier=operation.multiplier,
            offset=operation.offset,
        )
    return MeanPool(
        **common,
        window=Window(source.height, source.width),
        multiplier=operation.multiplier,
        offset=operation.offset,
    )
