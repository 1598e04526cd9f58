"""The integer graph: a quantized network as the contract of docs/numerics.md computes it.

A graph is a list of operations in execution order over named int8 tensors in NHWC with batch 1
(the batch dimension is left out of shapes). Large arrays live in ``Graph.constants``, a dictionary
of numpy arrays named ``<operation>.<what>``. Everything that arithmetic needs (multipliers, bounds,
shifts) is computed once, by :class:`GraphBuilder`, and stored beside the scales it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

from sw import numerics
from sw.errors import DnaError
from sw.numerics import Activation

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class Tensor(msgspec.Struct, frozen=True):
    """An int8 tensor: ``real = scale * (value - zero_point)``.

    ``shape`` is (height, width, channels), or (channels,) for a flat one. ``scale`` holds a float32
    exactly; JSON keeps its shortest decimal form, which reads back to the same bits.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class Padding(msgspec.Struct, frozen=True):
    """Rows and columns of the zero point put around a feature map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


class _Operation(msgspec.Struct, frozen=True, tag_field="type"):
    name: str
    inputs: tuple[str, ...]
    output: str


class Conv2D(_Operation, frozen=True, tag="conv2d"):
    """2-D convolution with fused activation.

    Constants: ``weights`` int8 [out, kernel height, kernel width, in]; ``bias`` int32 [out];
    ``weight_scale`` float32 [out]; ``multiplier`` float32 [out], from accumulator to output.
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    activation: Activation
    lo: int
    hi: int


class DepthwiseConv2D(_Operation, frozen=True, tag="depthwise_conv2d"):
    """2-D convolution of every channel by itself, with fused activation.

    With m = output channels / input channels, output channel c sees input channel c // m.
    Constants as :class:`Conv2D`, ``weights`` int8 [out, kernel height, kernel width].
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    activation: Activation
    lo: int
    hi: int


class FullyConnected(_Operation, frozen=True, tag="fully_connected"):
    """Matrix times vector. Constants as :class:`Conv2D`, ``weights`` int8 [out, in]."""

    activation: Activation
    lo: int
    hi: int


class Add(_Operation, frozen=True, tag="add"):
    """Sum of two tensors of one shape, in fixed point with ``shift`` fraction bits."""

    multipliers: Pair
    shift: int
    activation: Activation
    lo: int
    hi: int


class MaxPool2D(_Operation, frozen=True, tag="max_pool2d"):
    """Maximum over a window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Padding


class AveragePool2D(_Operation, frozen=True, tag="average_pool2d"):
    """Average over the part of a window that lies inside the map, halves away from zero.

    Scale and zero point stay; the average is that of the plain int8 values.
    """

    kernel: Pair
    stride: Pair
    padding: Padding


class Mean(_Operation, frozen=True, tag="mean"):
    """Mean over height and width; ``multiplier`` and ``offset`` hold float32 values exactly.

    The output has the shape (channels,) or (1, 1, channels).
    """

    multiplier: float
    offset: float


Operation = Conv2D | DepthwiseConv2D | FullyConnected | Add | MaxPool2D | AveragePool2D | Mean
Weighted = Conv2D | FullyConnected
Windowed = Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D


class Graph(msgspec.Struct):
    """A quantized network.

    Attributes:
        input: name of the input tensor.
        output: name of the output tensor (logits).
        tensors: every tensor by name.
        operations: in execution order; each output is written once, before it is read.
        constants: arrays by name; see the operations.
    """

    input: str
    output: str
    tensors: dict[str, Tensor]
    operations: list[Operation]
    constants: dict[str, Array]

    WEIGHTED: ClassVar = (Conv2D, FullyConnected)

    def constant(self, operation: Operation, what: str) -> Array:
        """The array ``what`` of an operation."""
        return self.constants[f"{operation.name}.{what}"]

    def operands(self, operation: Operation) -> list[Tensor]:
        """The input tensors of an operation."""
        return [self.tensors[name] for name in operation.inputs]

    def result(self, operation: Operation) -> Tensor:
        """The output tensor of an operation."""
        return self.tensors[operation.output]

    def find(self, name: str) -> Operation:
        """The operation called ``name``.

        Raises:
            DnaError: there is none.
        """
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise DnaError(f"the graph has no operation {name!r}")

    def weighted(self) -> Iterator[Weighted]:
        """The convolutions and classifier layers, in order."""
        for operation in self.operations:
            if isinstance(operation, Conv2D | FullyConnected):
                yield operation

    def dense_weights(self, operation: DepthwiseConv2D) -> Array:
        """The weights as those of a :class:`Conv2D`, zero where a channel sees another one."""
        weights = self.constant(operation, "weights")
        channels, inputs = weights.shape[0], self.operands(operation)[0].shape[2]
        dense = np.zeros((*weights.shape, inputs), np.int8)
        each = np.arange(channels)
        dense[each, :, :, each // (channels // inputs)] = weights
        return dense

    @property
    def sources(self) -> list[str]:
        """The tensors that no operation computes, ``input`` first: of a whole network only that."""
        computed = {operation.output for operation in self.operations}
        read = (name for operation in self.operations for name in operation.inputs)
        return list(dict.fromkeys([self.input, *(name for name in read if name not in computed)]))

    def part(self, names: Sequence[str]) -> Graph:
        """The operations called ``names``, in this order, as a graph; it shares their constants.

        Its input is the first operand of the first of them, its output the last one's result. What
        else comes from outside, such as the other operand of an addition, is among its
        :attr:`sources`.

        Raises:
            DnaError: there is no such operation.
        """
        operations = [self.find(name) for name in names]
        part = Graph(
            input=operations[0].inputs[0],
            output=operations[-1].output,
            tensors={},
            operations=operations,
            constants={
                key: value
                for key, value in self.constants.items()
                if key.rpartition(".")[0] in names
            },
        )
        for name in (*part.sources, *(operation.output for operation in operations)):
            part.tensors[name] = self.tensors[name]
        return part

    def at_least_zero_point(self, name: str) -> bool:
        """Whether no value of a tensor is below its zero point, so that PAD never wins a maximum.

        A pooling passes its input's bound on, an activation clamps to ``lo``.
        """
        zero_point = self.tensors[name].zero_point
        if zero_point == numerics.INT8_MIN:
            return True
        for operation in self.operations:
            if operation.output == name:
                if isinstance(operation, MaxPool2D | AveragePool2D):
                    return self.at_least_zero_point(operation.inputs[0])
                return not isinstance(operation, Mean) and operation.lo >= zero_point
        return False

    def macs(self, operation: Operation) -> int:
        """Multiply-accumulates of one operation (padding counted, as is usual)."""
        if not isinstance(operation, Conv2D | DepthwiseConv2D | FullyConnected):
            return 0
        per_channel = int(np.prod(self.constant(operation, "weights").shape[1:]))
        return per_channel * int(np.prod(self.result(operation).shape))


def _window_outputs(size: int, before: int, after: int, kernel: int, stride: int, what: str) -> int:
    padded = size + before + after
    if padded < kernel:
        raise DnaError(
            f"{what}: a kernel of {kernel} does not fit an input of {padded} with padding"
        )
    return (padded - kernel) // stride + 1


class GraphBuilder:
    """Builds a :class:`Graph` operation by operation, checking and deriving as it goes.

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
