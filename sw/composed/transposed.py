"""Transposed convolutions: with stride s as s * s convolutions whose results are interleaved.

Row y of the result sums ``x[i] * w[y - i * s]`` over the rows i of the map. Rows of one phase, that
is of one y % s, see every s-th row of the weights, turned round; so each phase is a convolution
with stride 1 of its own, and its pixels are every s-th one of the result.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from sw.errors import DnaError
from sw.graph import Array
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding, Pair
from sw.operators.constraints import MAX_STEP


@dataclasses.dataclass(frozen=True)
class Phase:
    """Rows or columns of one phase along an axis.

    Attributes:
        taps: of the weights in the order in which the map meets them, -1 for zeros.
        before, after: padding of the map.
    """

    taps: tuple[int, ...]
    before: int
    after: int


def phase_of(size: int, kernel: int, stride: int, first: int, count: int) -> Phase:
    """A phase along an axis.

    Args:
        size: rows of the map.
        kernel, stride: of the transposed convolution.
        first: the first row of the phase, in the result that nothing is cut off.
        count: rows of the phase.
    """
    skipped, start = divmod(first, stride)
    taps = list(range(start, kernel, stride))[::-1] or [-1]
    before = len(taps) - 1 - skipped
    if before < 0:  # the first rows of the map are not seen
        taps, before = [-1] * -before + taps, 0
    after = count - 1 + len(taps) - size - before
    if after < 0:  # nor are the last ones
        taps, after = taps + [-1] * -after, 0
    return Phase(tuple(taps), before, after)


def transposed_conv2d(
    builder: GraphBuilder,
    name: str,
    x: str,
    weights: Weights,
    output: Output,
    *,
    stride: Pair,
    cut: Pair,
    size: Pair,
) -> str:
    """Add a transposed convolution.

    Args:
        builder: to add it to.
        name, x, output: as for :meth:`GraphBuilder.conv2d`.
        weights: int8 [out, kernel height, kernel width, in].
        stride: (rows, columns).
        cut: rows and columns of the whole result in front of the first one that is there.
        size: rows and columns of the result.

    Raises:
        DnaError: a number is out of range, or as for :meth:`GraphBuilder.conv2d`.
    """
    shape = builder.tensor(x).shape
    if len(shape) != 3 or not all(1 <= each <= MAX_STEP for each in stride):
        raise DnaError(f"{name}: a transposed convolution of {shape} with stride {stride}")
    if min(cut) < 0 or min(size) < 1:
        raise DnaError(f"{name}: a result of {size} behind {cut}")
    counts = [-(-extent // step) for extent, step in zip(size, stride, strict=True)]
    kernel = weights.values.shape[1:3]
    phases = [
        [
            phase_of(shape[axis], kernel[axis], stride[axis], cut[axis] + number, counts[axis])
            for number in range(stride[axis])
        ]
        for axis in range(2)
    ]
    whole = [count * step for count, step in zip(counts, stride, strict=True)]
    single, exact = stride == (1, 1), tuple(whole) == tuple(size)
    joint = name if exact else f"{name}.whole"
    made = []
    for number, (down, across) in enumerate(itertools.product(*phases)):
        values = _chosen(_chosen(weights.values, down.taps, 1), across.taps, 2)
        padding = Padding(down.before, down.after, across.before, across.after)
        window = Window((len(down.taps), len(across.taps)), padding=padding)
        called = joint if single else f"{name}.{number}"
        held = dataclasses.replace(weights, values=values)
        made.append(builder.conv2d(called, x, held, output, window))
    result = made[0] if single else builder.interleave(joint, made, stride)
    for axis in range(2):
        if whole[axis] != size[axis]:
            last = axis == 1 or whole[1] == size[1]
            called = name if last else f"{name}.rows"
            result = builder.slice_channels(called, result, 0, size[axis], axis)
    return result


def _chosen(values: Array, taps: tuple[int, ...], axis: int) -> Array:
    """Rows or columns of weights, zeros for -1."""
    padded = np.concatenate([values, np.zeros_like(values.take([0], axis=axis))], axis=axis)
    return np.ascontiguousarray(padded.take(taps, axis=axis))
