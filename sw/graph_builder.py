"""Builds the integer graph: front ends say what a network does, this checks and derives the rest.

Everything that arithmetic needs (multipliers, bounds, shifts) is computed once, while a graph is
built, and stored beside the scales it came from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sw import numerics
from sw.errors import DnaError
from sw.graph import Array, Graph
from sw.numerics import Activation
from sw.operations import (
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Operation,
    Padding,
    Pair,
    Tensor,
)


def _window_outputs(size: int, before: int, after: int, kernel: int, stride: int, what: str) -> int:
    padded = size + before + after
    if padded < kernel:
        raise DnaError(
            f"{what}: a kernel of {kernel} does not fit an input of {padded} with padding"
        )
    return (padded - kernel) // stride + 1


class GraphBuilder:
    """Builds a :class:`sw.graph.Graph` operation by operation, checking and deriving as it goes.

    Every method that adds an operation names its output tensor after the operation and returns
    that name. ``scale`` and ``zero_point`` are those of the output.

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
        tensor = Tensor(
            name=name,
            shape=tuple(int(n) for n in shape),
            scale=float(numerics.check_scale(scale, name)),
            zero_point=int(zero_point),
        )
        self._graph.tensors[name] = tensor
        return tensor

    def tensor(self, name: str) -> Tensor:
        """The tensor called ``name``.

        Raises:
            DnaError: there is none yet.
        """
        if name not in self._graph.tensors:
            raise DnaError(f"tensor {name!r} is read before it is written")
        return self._graph.tensors[name]

    def at_least_zero_point(self, name: str) -> bool:
        """Whether no value of a tensor is below its zero point; see :class:`Graph`."""
        return self._graph.at_least_zero_point(name)

    def _spatial(self, x: str, what: str) -> Tensor:
        tensor = self.tensor(x)
        if len(tensor.shape) != 3:
            raise DnaError(
                f"{what}: input {x!r} has shape {tensor.shape}, not (height, width, channels)"
            )
        return tensor

    @staticmethod
    def _window_shape(
        name: str, source: Tensor, kernel: Pair, stride: Pair, padding: Padding, channels: int
    ) -> tuple[int, int, int]:
        if min(stride) < 1:
            raise DnaError(f"{name}: stride {stride!r} must be at least 1")
        height, width, _ = source.shape
        return (
            _window_outputs(height, padding.top, padding.bottom, kernel[0], stride[0], name),
            _window_outputs(width, padding.left, padding.right, kernel[1], stride[1], name),
            channels,
        )

    def _weighted_constants(
        self,
        name: str,
        source: Tensor,
        target: Tensor,
        weights: Array,
        bias: Array,
        weight_scale: Array,
    ) -> None:
        channels = weights.shape[0]
        expected: dict[str, tuple[Array, Any, tuple[int, ...]]] = {
            "weights": (weights, np.int8, weights.shape),
            "bias": (bias, np.int32, (channels,)),
            "weight_scale": (weight_scale, np.float32, (channels,)),
        }
        for what, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape:
                raise DnaError(
                    f"{name}: {what} must be {np.dtype(dtype)} {list(shape)}, "
                    f"not {array.dtype} {list(array.shape)}"
                )
            self._graph.constants[f"{name}.{what}"] = np.ascontiguousarray(array)
        self._graph.constants[f"{name}.multiplier"] = numerics.requantization_scale(
            source.scale, weight_scale, target.scale, name
        )

    def _convolution(
        self,
        kind: type[Conv2D | DepthwiseConv2D],
        name: str,
        x: str,
        *,
        weights: Array,
        bias: Array,
        weight_scale: Array,
        scale: float,
        zero_point: int,
        stride: Pair,
        padding: Padding,
        activation: Activation,
    ) -> str:
        """Add a convolution whose weights, [out, height, width, ...], fit the input."""
        source = self._spatial(x, name)
        kernel = (int(weights.shape[1]), int(weights.shape[2]))
        shape = self._window_shape(name, source, kernel, stride, padding, int(weights.shape[0]))
        target = self._tensor(name, shape, scale, zero_point)
        self._weighted_constants(name, source, target, weights, bias, weight_scale)
        lo, hi = numerics.activation_bounds(activation, target.scale, target.zero_point)
        return self._append(
            kind(
                name=name,
                inputs=(x,),
                output=name,
                kernel=kernel,
                stride=stride,
                padding=padding,
                activation=activation,
                lo=lo,
                hi=hi,
            )
        )

    def conv2d(
        self,
        name: str,
        x: str,
        *,
        weights: Array,
        bias: Array,
        weight_scale: Array,
        scale: float,
        zero_point: int,
        stride: Pair = (1, 1),
        padding: Padding = Padding(),  # noqa: B008 (immutable)
        activation: Activation = "none",
    ) -> str:
        """Add a convolution; array shapes as in :class:`Conv2D`."""
        source = self._spatial(x, name)
        channels = source.shape[2]
        if weights.ndim != 4 or weights.shape[3] != channels:
            raise DnaError(
                f"{name}: weights {list(weights.shape)} do not fit {channels} input channels "
                "(expected [out, height, width, in])"
            )
        return self._convolution(
            Conv2D,
            name,
            x,
            weights=weights,
            bias=bias,
            weight_scale=weight_scale,
            scale=scale,
            zero_point=zero_point,
            stride=stride,
            padding=padding,
            activation=activation,
        )

    def depthwise_conv2d(
        self,
        name: str,
        x: str,
        *,
        weights: Array,
        bias: Array,
        weight_scale: Array,
        scale: float,
        zero_point: int,
        stride: Pair = (1, 1),
        padding: Padding = Padding(),  # noqa: B008
        activation: Activation = "none",
    ) -> str:
        """Add a depthwise convolution; array shapes as in :class:`DepthwiseConv2D`."""
        source = self._spatial(x, name)
        if weights.ndim != 3 or weights.shape[0] % source.shape[2]:
            raise DnaError(
                f"{name}: weights {list(weights.shape)} do not fit {source.shape[2]} input "
                "channels (expected [a multiple of them, height, width])"
            )
        return self._convolution(
            DepthwiseConv2D,
            name,
            x,
            weights=weights,
            bias=bias,
            weight_scale=weight_scale,
            scale=scale,
            zero_point=zero_point,
            stride=stride,
            padding=padding,
            activation=activation,
        )

    def identity(
        self,
        name: str,
        x: str,
        *,
        padding: Padding = Padding(),  # noqa: B008
        activation: Activation = "none",
    ) -> str:
        """Add a convolution that changes no value, for its padding or its activation."""
        source = self._spatial(x, name)
        channels = source.shape[2]
        return self.depthwise_conv2d(
            name,
            x,
            weights=np.ones((channels, 1, 1), np.int8),
            bias=np.zeros(channels, np.int32),
            weight_scale=np.ones(channels, np.float32),
            scale=source.scale,
            zero_point=source.zero_point,
            padding=padding,
            activation=activation,
        )

    def fully_connected(
        self,
        name: str,
        x: str,
        *,
        weights: Array,
        bias: Array,
        weight_scale: Array,
        scale: float,
        zero_point: int,
        activation: Activation = "none",
    ) -> str:
        """Add a fully connected layer over the flattened input."""
        source = self.tensor(x)
        if weights.ndim != 2 or weights.shape[1] != np.prod(source.shape):
            raise DnaError(
                f"{name}: weights {list(weights.shape)} do not fit an input of {source.shape} "
                "(expected [out, in])"
            )
        target = self._tensor(name, (int(weights.shape[0]),), scale, zero_point)
        self._weighted_constants(name, source, target, weights, bias, weight_scale)
        lo, hi = numerics.activation_bounds(activation, target.scale, target.zero_point)
        return self._append(
            FullyConnected(name=name, inputs=(x,), output=name, activation=activation, lo=lo, hi=hi)
        )

    def add(
        self,
        name: str,
        a: str,
        b: str,
        *,
        scale: float,
        zero_point: int,
        activation: Activation = "none",
    ) -> str:
        """Add two tensors of the same shape."""
        left, right = self.tensor(a), self.tensor(b)
        if left.shape != right.shape:
            raise DnaError(f"{name}: cannot add shapes {left.shape} and {right.shape}")
        target = self._tensor(name, left.shape, scale, zero_point)
        multipliers, shift = numerics.add_parameters(left.scale, right.scale, target.scale, name)
        lo, hi = numerics.activation_bounds(activation, target.scale, target.zero_point)
        return self._append(
            Add(
                name=name,
                inputs=(a, b),
                output=name,
                multipliers=multipliers,
                shift=shift,
                activation=activation,
                lo=lo,
                hi=hi,
            )
        )

    def max_pool2d(
        self,
        name: str,
        x: str,
        *,
        kernel: Pair,
        stride: Pair,
        padding: Padding = Padding(),  # noqa: B008
    ) -> str:
        """Add a max-pool; the output keeps the input's scale and zero point."""
        source = self._spatial(x, name)
        shape = self._window_shape(name, source, kernel, stride, padding, source.shape[2])
        self._tensor(name, shape, source.scale, source.zero_point)
        return self._append(
            MaxPool2D(
                name=name, inputs=(x,), output=name, kernel=kernel, stride=stride, padding=padding
            )
        )

    def average_pool2d(
        self,
        name: str,
        x: str,
        *,
        kernel: Pair,
        stride: Pair,
        padding: Padding = Padding(),  # noqa: B008
    ) -> str:
        """Add an average-pool; the output keeps the input's scale and zero point."""
        source = self._spatial(x, name)
        shape = self._window_shape(name, source, kernel, stride, padding, source.shape[2])
        for axis, front in enumerate((padding.top, padding.left)):
            last = (shape[axis] - 1) * stride[axis] - front
            if front >= kernel[axis] or last >= source.shape[axis]:
                raise DnaError(f"{name}: {padding} leaves a window without any input")
        numerics.average_multiplier(kernel[0] * kernel[1], name)
        self._tensor(name, shape, source.scale, source.zero_point)
        return self._append(
            AveragePool2D(
                name=name, inputs=(x,), output=name, kernel=kernel, stride=stride, padding=padding
            )
        )

    def mean(
        self, name: str, x: str, *, scale: float, zero_point: int, keep_dims: bool = False
    ) -> str:
        """Add the mean over height and width, of shape (channels,).

        Args:
            keep_dims: make it (1, 1, channels).
        """
        source = self._spatial(x, name)
        height, width, channels = source.shape
        shape = (1, 1, channels) if keep_dims else (channels,)
        target = self._tensor(name, shape, scale, zero_point)
        multiplier, offset = numerics.mean_parameters(
            source.scale, source.zero_point, target.scale, target.zero_point, height * width, name
        )
        return self._append(
            Mean(
                name=name,
                inputs=(x,),
                output=name,
                multiplier=float(multiplier),
                offset=float(offset),
            )
        )

    def _append(self, operation: Operation) -> str:
        self._graph.operations.append(operation)
        return operation.output

    def finish(self, output: str) -> Graph:
        """The graph, ending at tensor ``output``."""
        self.tensor(output)
        self._graph.output = output
        return self._graph
