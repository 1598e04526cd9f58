"""What an operation is in exact arithmetic, and what rounding explains of a difference from it.

ONNX Runtime computes an operation in float32 where we compute in integers. Both round one real
number to a step, so they may differ only where that number lies on the border between two steps, as
closely as float32 can tell: the difference is explained there, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sim import reference
from sw.graph import Graph
from sw.numerics import INT8_MAX, INT8_MIN
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
    Moved,
    Multiply,
    Operation,
    ResizeNearest,
    Slice,
)

Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]

BIAS_SCALE_ERROR = 1e-6
"""Relative, of the scale of a bias; as far as the importer takes one that a quantizer rounded."""
NOTHING: Mapping[str, tuple[Float64, Float64]] = MappingProxyType({})
_UNIT = 2.0**-24
"""Relative error of one rounding to float32."""
_DEVIATION = 6.0
"""A sum of n products errs by at most this times sqrt(n) roundings of the sum of their magnitudes:
Higham and Mary, A new approach to probabilistic rounding error analysis, 2019."""
_SINGLE = 8.0
"""Roundings that every value goes through besides: scales, their quotient, dequantization."""
_STEPS = 256.0


def _sum_error(terms: int) -> float:
    return _UNIT * float(_DEVIATION * np.sqrt(terms) + _SINGLE)


def _weighted(
    graph: Graph, operation: Conv2D | DepthwiseConv2D | FullyConnected, inputs: list[Int8]
) -> tuple[Float64, Float64]:
    source, target = graph.operands(operation)[0], graph.result(operation)
    weights, bias = (graph.constant(operation, what) for what in ("weights", "bias"))
    scale = graph.constant(operation, "weight_scale").astype(np.float64)
    ratio = source.scale * scale / target.scale
    value = reference.accumulators(graph, operation, inputs[0]) * ratio + target.zero_point
    large = np.abs(inputs[0].astype(np.int16) - source.zero_point)
    heavy, none = np.abs(weights.astype(np.int16)), np.zeros_like(bias)
    magnitude: Any
    if isinstance(operation, FullyConnected):
        magnitude = reference.fully_connected_accumulators(large, heavy, none, 0)
    else:
        sums = (
            reference.convolution_accumulators
            if isinstance(operation, Conv2D)
            else reference.depthwise_accumulators
        )
        magnitude = sums(large, heavy, none, 0, operation.stride, operation.padding)
    biased = np.abs(bias.astype(np.float64))
    error = _sum_error(int(np.prod(weights.shape[1:]))) * (magnitude + biased)
    return value, (error + BIAS_SCALE_ERROR * biased) * ratio


def _add(graph: Graph, operation: Add, inputs: list[Int8]) -> tuple[Float64, Float64]:
    target = graph.result(operation)
    magnitude: Any
    value, magnitude, largest = np.full(target.shape, float(target.zero_point)), 0.0, 0.0
    terms = zip(inputs, graph.operands(operation), operation.multipliers, strict=True)
    for operand, tensor, multiplier in terms:
        ratio = tensor.scale / target.scale
        part = (operand.astype(np.float64) - tensor.zero_point) * ratio * np.sign(multiplier)
        value, magnitude, largest = value + part, magnitude + np.abs(part), max(largest, ratio)
    multipliers = 2.0**-20 * _STEPS * largest  # of 21 bits, each half a unit from its ratio
    return value, _SINGLE * _UNIT * magnitude + multipliers


def _multiply(graph: Graph, operation: Multiply, inputs: list[Int8]) -> tuple[Float64, Float64]:
    (a, b), target = graph.operands(operation), graph.result(operation)
    left, right = (
        (value.astype(np.float64) - tensor.zero_point) * tensor.scale
        for value, tensor in zip(inputs, (a, b), strict=True)
    )
    value = left * right / target.scale
    return value + target.zero_point, _SINGLE * _UNIT * np.abs(value)


def _as_it_is(graph: Graph, operation: Operation, inputs: list[Int8]) -> tuple[Float64, Float64]:
    value = reference.run_operation(graph, operation, inputs).astype(np.float64)
    return value, np.zeros_like(value)


def _average_pool(
    _graph: Graph, operation: AveragePool2D, inputs: list[Int8]
) -> tuple[Float64, Float64]:
    channels, taps = inputs[0].shape[2], operation.kernel
    ones, none = np.ones((channels, *taps), np.int8), np.zeros(channels, np.int32)
    window = (ones, none, 0, operation.stride, operation.padding)
    total = reference.depthwise_accumulators(inputs[0], *window).astype(np.float64)
    count = reference.depthwise_accumulators(np.ones_like(inputs[0]), *window)
    value = total / count
    return value, np.full_like(value, _sum_error(int(np.prod(taps))) * _STEPS)


def _mean(graph: Graph, operation: Mean, inputs: list[Int8]) -> tuple[Float64, Float64]:
    source, target = graph.operands(operation)[0], graph.result(operation)
    ratio = source.scale / target.scale
    terms = int(np.prod([inputs[0].shape[axis] for axis in operation.axes]))
    average = inputs[0].astype(np.float64).mean(axis=operation.axes).reshape(target.shape)
    value = (average - source.zero_point) * ratio + target.zero_point
    return value, np.full_like(value, _sum_error(terms) * _STEPS * (2 * ratio))


EXACT: dict[type[Operation], Callable[[Graph, Any, list[Int8]], tuple[Float64, Float64]]] = {
    Conv2D: _weighted,
    DepthwiseConv2D: _weighted,
    FullyConnected: _weighted,
    Add: _add,
    Multiply: _multiply,
    Extremum: _as_it_is,
    Lookup: _as_it_is,
    Concatenation: _as_it_is,
    Slice: _as_it_is,
    ResizeNearest: _as_it_is,
    Interleave: _as_it_is,
    MaxPool2D: _as_it_is,
    AveragePool2D: _average_pool,
    Mean: _mean,
}
"""Of each class of operations: its exact result in steps, and how far float32 may be from it."""


Passing = Mapping[str, tuple[Float64, Float64]]
"""By name of a result that only other operations read: what it is exactly, and how far it is off.

Where an operator of a file is made of several operations, what lies between them is not there to be
compared, and what moves its values has its borders between steps."""


def exact(
    graph: Graph, operation: Operation, inputs: list[Int8], passing: Passing = NOTHING
) -> tuple[Float64, Float64]:
    """The exact result of an operation in steps, within its bounds, and how far float32 may be off.

    Args:
        graph, operation: the operation.
        inputs: int8, its operands.
        passing: exact values of some of them.
    """
    if isinstance(operation, Moved) and passing.keys() & set(operation.inputs):
        parts = [
            passing.get(name, (values.astype(np.float64), np.zeros(values.shape)))
            for name, values in zip(operation.inputs, inputs, strict=True)
        ]
        rule: Any = reference.RULES[type(operation)]
        value, error = (rule(graph, operation, [part[n] for part in parts]) for n in range(2))
        return value, error
    value, error = EXACT[type(operation)](graph, operation, inputs)
    lo, hi = getattr(operation, "lo", INT8_MIN), getattr(operation, "hi", INT8_MAX)
    return np.clip(value, lo, hi), error


def unexplained(
    graph: Graph,
    operation: Operation,
    inputs: list[Int8],
    got: Int8,
    other: Int8,
    passing: Passing = NOTHING,
) -> int:
    """How many values of ``got`` and ``other`` differ although rounding cannot be why.

    Args:
        inputs: int8, the operands of both.
        got, other: int8, of the shape of the result.
        passing: as for :func:`exact`.
    """
    differing = got != other
    if not differing.any():
        return 0
    value, error = exact(graph, operation, inputs, passing)
    reach = 0.5 + error + _SINGLE * _UNIT * _STEPS
    near = (np.abs(got - value) <= reach) & (np.abs(other - value) <= reach)
    return int(np.count_nonzero(differing & ~near))
