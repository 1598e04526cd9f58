"""PRELU in terms of operations that there are.

LiteRT computes it by a kernel of its own, in fixed point with two roundings; what it gives for each
value and channel is asked of it. Above zero all channels have one function, a table. Below zero
each has a line, rounded: a depthwise convolution of one pixel gives the same steps, if its slope
and its bias are chosen so that no value comes to lie on the other side of a border. The larger of
the two is the result where no slope is above 1; else values above and below zero go apart, and are
added.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from sw import numerics
from sw.errors import DnaError
from sw.frontends.tflite.file.runtime import reason
from sw.frontends.tflite.file.writer import TfliteWriter
from sw.frontends.tflite.functions.tables import Quantized, function_table
from sw.graph_builder import GraphBuilder, Output, Weights
from sw.numerics import BYTES, INT8_MAX, INT8_MIN, Function, WithConstant
from sw.operations import Lookup, Scalar

Int8 = npt.NDArray[np.int8]
Float64 = npt.NDArray[np.float64]

VALUES = np.arange(BYTES, dtype=np.uint8).view(np.int8)
"""In the order of tables."""
_WEIGHTS = (127, -127, 113, -113, 101, -101, 64, -64)
"""What the values of a channel are multiplied with; the scale makes a slope of it."""
_BIASES = (np.arange(-4, 5), np.arange(-400, 401))
"""Few of them first: mostly there is one among these."""
_ROOM = 1e-6
"""Relative, of the scales that are tried: more than float32 moves one."""


def prelu_tables(source: Quantized, target: Quantized, slopes: Int8, slope: Quantized) -> Int8:
    """LiteRT's results by the value's byte, for each channel: int8 [256, channels].

    Args:
        source, target, slope: of what it reads, of its result, of the slopes.
        slopes: int8 [channels].

    Raises:
        DnaError: LiteRT refuses the operator with these numbers.
    """
    for scale, _ in (source, target, slope):
        numerics.check_scale(scale, "PRELU")
    writer, shape = TfliteWriter(), (1, 1, BYTES, len(slopes))
    x, y = (
        writer.tensor(
            name,
            shape,
            schema.TensorType.INT8,
            quantization=writer.quantization([scale], [zero_point]),
        )
        for name, (scale, zero_point) in (("x", source), ("y", target))
    )
    factors = writer.constant(
        "slopes",
        slopes.reshape(1, 1, -1),
        quantization=writer.quantization([slope[0]], [slope[1]]),
    )
    writer.operator(schema.BuiltinOperator.PRELU, [x, factors], y, None)
    try:
        interpreter = Interpreter(model_content=writer.file([x], [y]), num_threads=1)
        interpreter.allocate_tensors()
        given = np.broadcast_to(VALUES[:, None], shape).copy()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
        interpreter.invoke()
        results = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except (RuntimeError, ValueError) as error:
        raise DnaError(f"LiteRT refuses PRELU: {reason(error)}") from error
    tables: Int8 = results.reshape(BYTES, -1)
    return tables


def prelu(builder: GraphBuilder, name: str, x: str, output: Output, tables: Int8) -> str:
    """Add an operation that gives each value of a channel what its table says.

    Args:
        tables: int8 [256, channels], of a PRELU.

    Raises:
        DnaError: no line gives these steps.
    """
    source = builder.tensor(x)
    quantized = (source.scale, source.zero_point), (output.scale, output.zero_point)
    below = source.zero_point > VALUES
    lines = _lines(name, tables, below, source.zero_point, output)
    under = _results(lines, quantized)
    above = function_table("quantize", *quantized)
    if (np.maximum(above[:, None], under) == tables).all():
        upper = builder.lookup(_function(f"{name}.above", x, "quantize"), above, output)
        lower = builder.depthwise_conv2d(f"{name}.below", x, _weights(lines, quantized), output)
        return builder.extremum(name, upper, lower, output, largest=True)
    upper_lines = _lines(name, tables, ~below, source.zero_point, output)
    over = _results(upper_lines, quantized)
    if (np.maximum(over, under) == tables).all():
        ends = (x, x)
    else:
        over_zero, under_zero = (_limited(builder, f"{name}.{kind}", x, kind) for kind in _LIMITS)
        ends = (over_zero, under_zero)
        zero = over[source.zero_point == VALUES] != output.zero_point
        if zero.any() or (under[source.zero_point == VALUES] != output.zero_point).any():
            raise DnaError(f"{name}: the slopes give zero another value")
    upper = builder.depthwise_conv2d(
        f"{name}.above", ends[0], _weights(upper_lines, quantized), output
    )
    lower = builder.depthwise_conv2d(f"{name}.below", ends[1], _weights(lines, quantized), output)
    if ends == (x, x):
        return builder.extremum(name, upper, lower, output, largest=True)
    return builder.add(name, upper, lower, output)


_LIMITS: tuple[WithConstant, ...] = ("maximum", "minimum")
"""With zero: what is above it, and what is below it."""


def _function(
    name: str, x: str, kind: Function | WithConstant, constant: Scalar | None = None
) -> Lookup:
    return Lookup(name=name, inputs=(x,), output=name, function=kind, constant=constant)


def _limited(builder: GraphBuilder, name: str, x: str, kind: WithConstant) -> str:
    """The larger or the smaller one of each value and zero."""
    source = builder.tensor(x)
    quantized = (source.scale, source.zero_point)
    zero = Scalar(source.zero_point, source.scale, source.zero_point, (1,))
    table = function_table(kind, quantized, quantized, constant=zero)
    output = Output(source.scale, source.zero_point)
    return builder.lookup(_function(name, x, kind, zero), table, output)


_Line = tuple[int, int, float]
"""Weight, bias and scale: rint((weight * value + bias) * scale)."""


def _lines(
    name: str, tables: Int8, chosen: npt.NDArray[np.bool_], zero_point: int, output: Output
) -> list[_Line]:
    """Of each channel a line that has its steps at the chosen values."""
    values = VALUES[chosen].astype(np.int64) - zero_point
    lines = []
    for channel, steps in enumerate(tables[chosen].T.astype(np.int64)):
        line = _line(values, steps - output.zero_point, output.zero_point)
        if line is None:
            raise DnaError(f"{name}: no line has the steps of channel {channel}")
        lines.append(line)
    return lines


def _line(
    values: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], zero_point: int
) -> _Line | None:
    """A line through steps: of each bias the scales with which all sums round to them."""
    if not steps.any():
        return 0, 0, 1.0
    # Beyond the ends of int8 anything is the end.
    least = np.where(steps <= INT8_MIN - zero_point, -np.inf, steps - 0.5)
    most = np.where(steps >= INT8_MAX - zero_point, np.inf, steps + 0.5)
    for biases, weight in itertools.product(_BIASES, _WEIGHTS):
        sums = (weight * values + biases[:, None]).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = least / sums, most / sums
        zero = np.where((least < 0) & (most > 0), np.inf, -np.inf)
        low, high = (
            np.where(sums > 0, low, np.where(sums < 0, high, -zero)).max(axis=1),
            np.where(sums > 0, high, np.where(sums < 0, low, zero)).min(axis=1),
        )
        low = np.maximum(low, np.finfo(np.float32).tiny)
        fits = np.flatnonzero(high > low * (1 + _ROOM))
        if len(fits):
            best = fits[np.argmin(np.abs(biases[fits]))]
            top = min(float(high[best]), 2 * float(low[best]))
            return weight, int(biases[best]), (float(low[best]) + top) / 2
    return None


def _weights(lines: list[_Line], quantized: tuple[Quantized, Quantized]) -> Weights:
    weights, biases, scales = (np.array(each) for each in zip(*lines, strict=True))
    (source, _), (target, _) = quantized
    return Weights(
        values=weights.astype(np.int8).reshape(-1, 1, 1),
        bias=biases.astype(np.int32),
        scale=(scales * (target / source)).astype(np.float32),
    )


def _results(lines: list[_Line], quantized: tuple[Quantized, Quantized]) -> Int8:
    """What the convolution gives for each value: int8 [256, channels]."""
    weights = _weights(lines, quantized)
    (source, zero_point), (target, end) = quantized
    multiplier = numerics.requantization_scale(source, weights.scale, target, "PRELU")
    centred = VALUES[:, None].astype(np.int32) - zero_point
    sums = centred * weights.values.reshape(-1).astype(np.int32) + weights.bias
    rounded = np.rint(sums.astype(np.float32) * multiplier).astype(np.int64) + end
    results: Int8 = np.clip(rounded, INT8_MIN, INT8_MAX).astype(np.int8)
    return results
