"""Adds operations to an integer graph: checks each, and derives what arithmetic needs of it.

What is checked, and the shape of a result, stand in the table of operators (:mod:`sw.operators`).
Everything that arithmetic needs (multipliers, bounds, shifts) is computed once, while a graph is
built, and stored beside the scales it came from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sw import numerics
from sw.descriptions import Output, Weights, Window, check_table
from sw.errors import DnaError
from sw.graph import Array, Graph
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
    Pair,
    ResizeNearest,
    Slice,
    Tensor,
)
from sw.operators import Proposal, row_of

MAX_VALUES = 2**31 - 1
"""The most values of a tensor: what the kernels count in 32 bits."""


class OperationBuilder:
    """Adds operations, one at a time, to a :class:`sw.graph.Graph`.

    Every method that adds an operation names its output tensor after the operation and returns
    that name.

    Args:
        name, shape, scale, zero_point: of the input tensor.

    Raises:
        DnaError: a scale, shape or value is not what the contract allows; the message names the
            operation.
    """

    def __init__(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> None:
        self._graph = Graph(input=name, output=name, tensors={}, operations=[], constants={})
        self._tensor(name, shape, scale, zero_point)

    def _tensor(self, name: str, shape: tuple[int, ...], scale: float, zero_point: int) -> Tensor:
        if name in self._graph.tensors:
            raise DnaError(f"two operations are called {name!r}")
        if not numerics.INT8_MIN <= zero_point <= numerics.INT8_MAX:
            raise DnaError(f"{name}: zero point {zero_point!r} is not in -128..127")
        if not shape or min(shape) < 1:
            raise DnaError(f"{name}: shape {shape!r} is empty")
        if math.prod(shape) > MAX_VALUES:
            raise DnaError(f"{name}: shape {shape!r} is more than {MAX_VALUES} values")
        tensor = Tensor(
            name=name,
            shape=tuple(int(n) for n in shape),
            scale=float(numerics.check_scale(scale, name)),
            zero_point=int(zero_point),
        )
        self._graph.tensors[name] = tensor
        return tensor

    def further_input(self, name: str, shape: tuple[int, ...], scale: float, zero: int) -> str:
        """Add an input besides the first one."""
        self._tensor(name, shape, scale, zero)
        self._graph.further = (*self._graph.further, name)
        return name

    def tensor(self, name: str) -> Tensor:
        """The tensor called ``name``.

        Raises:
            DnaError: there is none yet.
        """
        if name not in self._graph.tensors:
            raise DnaError(f"tensor {name!r} is read before it is written")
        return self._graph.tensors[name]

    def quantized_as(self, name: str, scale: float, zero_point: int) -> bool:
        """Whether a tensor has that scale, as float32, and that zero point."""
        tensor = self.tensor(name)
        return (tensor.scale, tensor.zero_point) == (float(np.float32(scale)), zero_point)

    def at_least_zero_point(self, name: str) -> bool:
        """Whether no value of a tensor is below its zero point; see :class:`Graph`."""
        return self._graph.at_least_zero_point(name)

    def _append(
        self,
        operation: Operation,
        output: Output | None = None,
        weights: Weights | None = None,
        *,
        keep_dims: bool = True,
    ) -> str:
        """Check ``operation`` against its row and add it with its result and its constants.

        Args:
            output: of an operation that does not keep its input's quantization.
        """
        row, name = row_of(type(operation)), operation.name
        inputs = tuple(self.tensor(x) for x in operation.inputs)
        proposal = Proposal(
            operation=operation,
            inputs=inputs,
            weights=None if weights is None else weights.values.shape,
            keep_dims=keep_dims,
        )
        for constraint in row.constraints:
            fault = constraint.fault(proposal)
            if fault is not None:
                raise DnaError(f"{name}: {fault}")
        if output is not None and output.activation != "none" and not row.takes_activation:
            raise DnaError(f"{name}: a {row.name} takes no activation")
        assert row.shape is not None, f"{row.name} has no shape rule"
        shape = row.shape(proposal)
        output = output or Output(inputs[0].scale, inputs[0].zero_point)
        target = self._tensor(name, shape, output.scale, output.zero_point)
        if weights is not None:
            weights.check(name)
            constants = {
                "weights": weights.values,
                "bias": weights.bias,
                "weight_scale": weights.scale,
                "multiplier": numerics.requantization_scale(
                    inputs[0].scale, weights.scale, target.scale, name
                ),
            }
            for what, array in constants.items():
                self._graph.constants[f"{name}.{what}"] = np.ascontiguousarray(array)
        self._graph.operations.append(operation)
        return name

    def _convolution(
        self,
        kind: type[Conv2D | DepthwiseConv2D],
        name: str,
        x: str,
        weights: Weights,
        output: Output,
        window: Window | None,
    ) -> str:
        window = window or Window(weights.values.shape[1:3])
        lo, hi = self._bounds(name, output)
        operation = kind(
            name=name,
            inputs=(x,),
            output=name,
            kernel=window.kernel,
            stride=window.stride,
            padding=window.padding,
            activation=output.activation,
            lo=lo,
            hi=hi,
        )
        return self._append(operation, output, weights)

    def conv2d(
        self, name: str, x: str, weights: Weights, output: Output, window: Window | None = None
    ) -> str:
        """Add a convolution; array shapes as in :class:`Conv2D`.

        Args:
            window: with the kernel of the weights; by default also with stride 1 and no padding.
        """
        return self._convolution(Conv2D, name, x, weights, output, window)

    def depthwise_conv2d(
        self, name: str, x: str, weights: Weights, output: Output, window: Window | None = None
    ) -> str:
        """Add a depthwise convolution; array shapes as in :class:`DepthwiseConv2D`.

        Args:
            window: as for :meth:`conv2d`.
        """
        return self._convolution(DepthwiseConv2D, name, x, weights, output, window)

    def fully_connected(self, name: str, x: str, weights: Weights, output: Output) -> str:
        """Add a fully connected layer over the flattened input."""
        lo, hi = self._bounds(name, output)
        operation = FullyConnected(
            name=name, inputs=(x,), output=name, activation=output.activation, lo=lo, hi=hi
        )
        return self._append(operation, output, weights)

    def add(self, name: str, a: str, b: str, output: Output, *, subtract: bool = False) -> str:
        """Add two tensors; see :data:`sw.operations.Joint`.

        Args:
            subtract: take ``b`` from ``a``.
        """
        lo, hi = self._bounds(name, output)
        scales = (self.tensor(a).scale, self.tensor(b).scale)
        multipliers, shift = numerics.add_parameters(*scales, output.scale, name)
        if subtract:
            multipliers = (multipliers[0], -multipliers[1])
        operation = Add(
            name=name,
            inputs=(a, b),
            output=name,
            multipliers=multipliers,
            shift=shift,
            activation=output.activation,
            lo=lo,
            hi=hi,
        )
        return self._append(operation, output)

    def multiply(self, name: str, a: str, b: str, output: Output) -> str:
        """Multiply two tensors; see :data:`sw.operations.Joint`."""
        lo, hi = self._bounds(name, output)
        scales = (self.tensor(a).scale, self.tensor(b).scale)
        operation = Multiply(
            name=name,
            inputs=(a, b),
            output=name,
            multiplier=float(numerics.multiply_parameter(*scales, output.scale, name)),
            activation=output.activation,
            lo=lo,
            hi=hi,
        )
        return self._append(operation, output)

    def extremum(self, name: str, a: str, b: str, output: Output, *, largest: bool) -> str:
        """Take the larger or the smaller value of two; see :data:`sw.operations.Joint`."""
        self._bounds(name, output)
        operation = Extremum(name=name, inputs=(a, b), output=name, largest=largest)
        return self._append(operation, output)

    def lookup(self, operation: Lookup, table: Array, output: Output) -> str:
        """Add a function of each value.

        Args:
            table: int8 [256], what the function is in the runtime that the network is for.
        """
        self._bounds(operation.name, output)
        check_table(operation, table)
        self._append(operation, output)
        self._graph.constants[f"{operation.name}.table"] = np.ascontiguousarray(table)
        return operation.name

    def table(self, name: str, x: str, table: Array, output: Output) -> str:
        """Add a function of each value of ``x`` that another runtime gave, int8 [256]."""
        operation = Lookup(name=name, inputs=(x,), output=name, function="table")
        return self.lookup(operation, table, output)

    def concatenate(self, name: str, inputs: Sequence[str], axis: int = 2) -> str:
        """Join tensors along an axis, 2 the channels; the output keeps scale and zero point."""
        operation = Concatenation(name=name, inputs=tuple(inputs), output=name, axis=axis)
        return self._append(operation)

    def slice_channels(self, name: str, x: str, begin: int, count: int, axis: int = 2) -> str:
        """Take ``count`` channels, or rows or columns, from ``begin`` on."""
        operation = Slice(name=name, inputs=(x,), output=name, begin=begin, count=count, axis=axis)
        return self._append(operation)

    def resize_nearest(self, name: str, x: str, factor: Pair) -> str:
        """Repeat every pixel ``factor`` times, (rows, columns)."""
        return self._append(ResizeNearest(name=name, inputs=(x,), output=name, factor=factor))

    def interleave(self, name: str, inputs: Sequence[str], factor: Pair) -> str:
        """Put pixels of maps in turns, (rows, columns); the output keeps scale and zero point."""
        operation = Interleave(name=name, inputs=tuple(inputs), output=name, factor=factor)
        return self._append(operation)

    def pool(self, kind: type[MaxPool2D | AveragePool2D], name: str, x: str, window: Window) -> str:
        """Add a pooling; the output keeps the input's scale and zero point."""
        operation = kind(
            name=name,
            inputs=(x,),
            output=name,
            kernel=window.kernel,
            stride=window.stride,
            padding=window.padding,
        )
        return self._append(operation)

    def mean(
        self,
        name: str,
        x: str,
        output: Output,
        *,
        keep_dims: bool = False,
        axes: tuple[int, ...] = (0, 1),
    ) -> str:
        """Add the mean over height and width, of shape (channels,).

        Args:
            output: without activation.
            keep_dims: make it (1, 1, channels).
            axes: 0, the height, or 1, the width, alone; ``keep_dims`` then.
        """
        source = self.tensor(x)
        if len(source.shape) != 3 or not set(axes) <= {0, 1}:
            raise DnaError(f"{name}: a mean over axes {axes!r} of {source.shape}")
        multiplier, offset = numerics.mean_parameters(
            source.scale,
            source.zero_point,
            output.scale,
            output.zero_point,
            math.prod(source.shape[axis] for axis in axes),
            name,
        )
        operation = Mean(
            name=name,
            inputs=(x,),
            output=name,
            multiplier=float(multiplier),
            offset=float(offset),
            axes=axes,
        )
        return self._append(operation, output, keep_dims=keep_dims)

    @staticmethod
    def _bounds(name: str, output: Output) -> tuple[int, int]:
        numerics.check_scale(output.scale, name)
        return output.bounds
