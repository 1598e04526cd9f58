"""The integer contract in plain numpy: one function per operation, written to be read.

docs/numerics.md gives the formulas and where they come from. Everything else that computes a
network (the functional model, the hardware) is held to this file, and this file is held to LiteRT.
Parameters (multipliers, bounds, shifts) are the stored ones; nothing is derived from scales here.

Feature maps are int8 [height, width, channels]; flat tensors are int8 [channels].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sim import moves
from sw.errors import DnaError
from sw.graph import NOTHING, Graph
from sw.operations import (
    Add,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Extremum,
    FullyConnected,
    Interleave,
    Lookup,
    MaxPool2D,
    Mean,
    Multiply,
    Operation,
    Padding,
    Pair,
    ResizeNearest,
    Slice,
)

Int8 = npt.NDArray[np.int8]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def wrap_int32(value: Int64) -> Int32:
    """The low 32 bits as a signed number: what an int32 accumulator holds."""
    return value.astype(np.int32)


def requantize(
    acc: Int32, multiplier: Float32 | np.float32 | float, zero_point: int, lo: int, hi: int
) -> Int8:
    """``clamp(rint(f32(f32(acc) * multiplier)) + zero_point, lo, hi)``.

    Both the conversion of ``acc`` and the product round to float32, to nearest, ties to even;
    ``rint`` does the same to an integer. The conversion matters from ``|acc| > 2^24`` on.

    Args:
        acc: int32, any shape (a scalar too).
        multiplier: float32, broadcast against ``acc``; per channel it is [channels].
        zero_point: of the output.
        lo, hi: clamp bounds within -128..127.

    Returns:
        int8 of the shape of ``acc``.
    """
    scaled = np.asarray(acc, np.int32).astype(np.float32) * np.asarray(multiplier, np.float32)
    # Below 2^31 * 256 = 2^39: the rounded value fits int64, and nothing saturates before the clamp.
    rounded: Int64 = np.rint(scaled).astype(np.int64)
    return np.clip(rounded + zero_point, lo, hi).astype(np.int8)


def convolution_accumulators(
    x: Int8, weights: Int8, bias: Int32, zero_point: int, stride: Pair, padding: Padding
) -> Int32:
    """``bias + sum((x - zero_point) * w)``, wrapped to int32.

    Args:
        x: int8 [height, width, in].
        weights: int8 [out, kernel height, kernel width, in].
        bias: int32 [out].
        zero_point: of ``x``; padding has this value, so it adds nothing.

    Returns:
        int32 [out height, out width, out].
    """
    return _accumulate(
        x, weights, bias, zero_point, stride, padding, lambda seen, tap: seen @ tap.T
    )


def depthwise_accumulators(
    x: Int8, weights: Int8, bias: Int32, zero_point: int, stride: Pair, padding: Padding
) -> Int32:
    """As :func:`convolution_accumulators`; output channel c sees input channel c // m.

    Args:
        x: int8 [height, width, in].
        weights: int8 [out, kernel height, kernel width]; m is out / in.

    Returns:
        int32 [out height, out width, out].
    """
    repeats = weights.shape[0] // x.shape[2]
    return _accumulate(
        np.repeat(x, repeats, axis=2),
        weights,
        bias,
        zero_point,
        stride,
        padding,
        lambda seen, tap: seen * tap,
    )


def _accumulate(
    x: Int8,
    weights: Int8,
    bias: Int32,
    zero_point: int,
    stride: Pair,
    padding: Padding,
    product: Callable[[Float64, Float64], Float64],
) -> Int32:
    """The sum of ``product`` over the kernel's taps; it takes the inputs and weights of one."""
    # One matrix product per kernel tap. float64 because numpy hands it to BLAS, and because it is
    # exact here: products are below 2^15 and integers up to 2^53 are representable, which leaves
    # room for sums of 2^38 of them.
    centred = np.pad(
        x.astype(np.float64) - zero_point,
        ((padding.top, padding.bottom), (padding.left, padding.right), (0, 0)),
    )
    channels, kernel_height, kernel_width = weights.shape[:3]
    out_height = (centred.shape[0] - kernel_height) // stride[0] + 1
    out_width = (centred.shape[1] - kernel_width) // stride[1] + 1
    total = np.zeros((out_height, out_width, channels), np.float64)
    for row in range(kernel_height):
        for column in range(kernel_width):
            seen = centred[row :: stride[0], column :: stride[1]][:out_height, :out_width]
            total += product(seen, weights[:, row, column].astype(np.float64))
    return wrap_int32(total.astype(np.int64) + bias.astype(np.int64))


def fully_connected_accumulators(x: Int8, weights: Int8, bias: Int32, zero_point: int) -> Int32:
    """``bias + weights @ (x - zero_point)``, wrapped to int32.

    Args:
        x: int8, flattened to [in].
        weights: int8 [out, in].
        bias: int32 [out].

    Returns:
        int32 [out].
    """
    centred = x.astype(np.float64).ravel() - zero_point  # exact, as in a convolution
    return wrap_int32((weights.astype(np.float64) @ centred).astype(np.int64) + bias)


def add(
    a: Int8,
    b: Int8,
    *,
    zero_point_a: int,
    zero_point_b: int,
    multipliers: Pair,
    shift: int,
    zero_point: int,
    lo: int,
    hi: int,
) -> Int8:
    """Sum in fixed point with ``shift`` fraction bits, halves rounded up (arithmetic shift)."""
    total = (
        (1 << (shift - 1))
        + multipliers[0] * (a.astype(np.int64) - zero_point_a)
        + multipliers[1] * (b.astype(np.int64) - zero_point_b)
    )
    rounded: Int64 = total >> shift
    return np.clip(rounded + zero_point, lo, hi).astype(np.int8)


def multiply(
    a: Int8,
    b: Int8,
    *,
    zero_point_a: int,
    zero_point_b: int,
    multiplier: float,
    zero_point: int,
    lo: int,
    hi: int,
) -> Int8:
    """Product of two tensors, requantized as the accumulators of a convolution are."""
    product = (a.astype(np.int32) - zero_point_a) * (b.astype(np.int32) - zero_point_b)
    return requantize(product, multiplier, zero_point, lo, hi)


def look_up(x: Int8, table: Int8) -> Int8:
    """The results of a function: ``table`` int8 [256] by the byte of each value, unsigned."""
    found: Int8 = table[x.view(np.uint8)]
    return found


def max_pool2d(x: Int8, kernel: Pair, stride: Pair, padding: Padding) -> Int8:
    """Maximum over each window of [height, width, channels]; padding is the smallest int8."""
    padded = np.pad(
        x,
        ((padding.top, padding.bottom), (padding.left, padding.right), (0, 0)),
        constant_values=np.iinfo(np.int8).min,
    )
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(0, 1))
    pooled: Int8 = windows[:: stride[0], :: stride[1]].max(axis=(-2, -1))
    return pooled


def average_pool2d(x: Int8, kernel: Pair, stride: Pair, padding: Padding) -> Int8:
    """Sum of each window of [height, width, channels] / its values inside, halves away from 0."""
    sides = ((padding.top, padding.bottom), (padding.left, padding.right))

    def sums(values: Int64) -> Int64:
        padded = np.pad(values, (*sides, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(0, 1))
        total: Int64 = windows[:: stride[0], :: stride[1]].sum(axis=(-2, -1))
        return total

    total = sums(x.astype(np.int64))
    count = sums(np.ones((*x.shape[:2], 1), np.int64))
    average: Int64 = np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))
    return average.astype(np.int8)


def mean(x: Int8, multiplier: float, offset: float, axes: tuple[int, ...] = (0, 1)) -> Int8:
    """``clamp(rint(f32(f32(sum(x) * multiplier) + offset)), -128, 127)`` over height and width.

    ``offset`` already holds the zero points of input and output, so ``sum(x)`` is the plain sum.
    """
    total: Int64 = x.astype(np.int64).sum(axis=axes)
    real: Float32 = total.astype(np.float32) * np.float32(multiplier) + np.float32(offset)
    return np.clip(np.rint(real), -128, 127).astype(np.int8)


def accumulators(
    graph: Graph, operation: Conv2D | DepthwiseConv2D | FullyConnected, x: Int8
) -> Int32:
    """What the multiply-accumulators hold at the end of an operation, before requantization."""
    weights = graph.constant(operation, "weights")
    bias = graph.constant(operation, "bias")
    zero_point = graph.operands(operation)[0].zero_point
    if isinstance(operation, Conv2D):
        return convolution_accumulators(
            x, weights, bias, zero_point, operation.stride, operation.padding
        )
    if isinstance(operation, DepthwiseConv2D):
        return depthwise_accumulators(
            x, weights, bias, zero_point, operation.stride, operation.padding
        )
    return fully_connected_accumulators(x, weights, bias, zero_point)


def _weighted(
    graph: Graph, operation: Conv2D | DepthwiseConv2D | FullyConnected, inputs: list[Int8]
) -> Int8:
    return requantize(
        accumulators(graph, operation, inputs[0]),
        graph.constant(operation, "multiplier"),
        graph.result(operation).zero_point,
        operation.lo,
        operation.hi,
    )


def _of_two(graph: Graph, operation: Add | Multiply) -> dict[str, Any]:
    """Zero points and bounds."""
    a, b = graph.operands(operation)
    return {
        "zero_point_a": a.zero_point,
        "zero_point_b": b.zero_point,
        "zero_point": graph.result(operation).zero_point,
        "lo": operation.lo,
        "hi": operation.hi,
    }


def _add(graph: Graph, operation: Add, inputs: list[Int8]) -> Int8:
    numbers = _of_two(graph, operation)
    return add(*inputs, multipliers=operation.multipliers, shift=operation.shift, **numbers)


def _multiply(graph: Graph, operation: Multiply, inputs: list[Int8]) -> Int8:
    return multiply(*inputs, multiplier=operation.multiplier, **_of_two(graph, operation))


def _extremum(_graph: Graph, operation: Extremum, inputs: list[Int8]) -> Int8:
    choose = np.maximum if operation.largest else np.minimum
    return choose(*inputs)


def _lookup(graph: Graph, operation: Lookup, inputs: list[Int8]) -> Int8:
    return look_up(inputs[0], graph.constant(operation, "table"))


def _max_pool(_graph: Graph, operation: MaxPool2D, inputs: list[Int8]) -> Int8:
    return max_pool2d(inputs[0], operation.kernel, operation.stride, operation.padding)


def _average_pool(_graph: Graph, operation: AveragePool2D, inputs: list[Int8]) -> Int8:
    return average_pool2d(inputs[0], operation.kernel, operation.stride, operation.padding)


def _mean(graph: Graph, operation: Mean, inputs: list[Int8]) -> Int8:
    channels = mean(inputs[0], operation.multiplier, operation.offset, operation.axes)
    return np.reshape(channels, graph.result(operation).shape)


RULES: dict[type[Operation], Callable[[Graph, Any, list[Int8]], Int8]] = {
    Conv2D: _weighted,
    DepthwiseConv2D: _weighted,
    FullyConnected: _weighted,
    Add: _add,
    Multiply: _multiply,
    Extremum: _extremum,
    Lookup: _lookup,
    Concatenation: moves.concatenate,
    Slice: moves.slice_of,
    ResizeNearest: moves.resize_nearest,
    Interleave: moves.interleave,
    MaxPool2D: _max_pool,
    AveragePool2D: _average_pool,
    Mean: _mean,
}
"""The rule of each class of operations."""


def run_operation(graph: Graph, operation: Operation, inputs: list[Int8]) -> Int8:
    """The output of one operation of ``graph`` on int8 ``inputs``.

    Raises:
        DnaError: there is no rule for it.
    """
    rule = RULES.get(type(operation))
    if rule is None:
        raise DnaError(f"{operation.name}: the reference has no {type(operation).__name__}")
    return rule(graph, operation, inputs)


class ReferenceModel:
    """A graph, run operation by operation."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def run_all(
        self,
        image: Int8,
        further: Mapping[str, Int8] = NOTHING,
    ) -> dict[str, Int8]:
        """Every tensor of the graph for one image.

        Args:
            image: int8 of the shape of the graph's input.
            further: of other inputs, by name; a state that is not there has its initial value.

        Returns:
            The tensors by name, the inputs included.
        """
        given = self.graph.fed(image, further)
        values: dict[str, Int8] = dict(zip(self.graph.inputs, given, strict=True))
        for operation in self.graph.operations:
            inputs = [values[name] for name in operation.inputs]
            values[operation.output] = run_operation(self.graph, operation, inputs)
        return values

    def outputs(self, image: Int8, further: Mapping[str, Int8] = NOTHING) -> list[Int8]:
        """All outputs of the graph for one image, in its order; arguments as for ``run_all``."""
        values = self.run_all(image, further)
        return [values[name] for name in self.graph.outputs]

    def run(self, batch: Int8) -> Int8:
        """The output of the graph for a batch; of several the first.

        Args:
            batch: int8 [images, *input shape].

        Returns:
            int8 [images, *output shape].
        """
        outputs = [self.run_all(image)[self.graph.output] for image in batch]
        shape = self.graph.tensors[self.graph.output].shape
        return np.stack(outputs) if outputs else np.zeros((0, *shape), np.int8)
