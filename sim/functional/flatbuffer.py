"""Writes an integer graph as a TFLite flatbuffer that the XNNPACK delegate takes whole.

What the delegate insists on, and silently declines otherwise (docs/numerics.md): every bias has
quantization parameters with zero point 0, every convolution has a bias, padding is written with
PAD and not with PADV2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sim.functional.tflite_padding import padding_mode, sees_padding_alone
from sw.errors import DnaError
from sw.frontends.tflite.file.writer import TfliteWriter
from sw.frontends.tflite.functions.tables import function_operands, function_options
from sw.graph import Graph
from sw.numerics import Activation
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
    ResizeNearest,
    Slice,
    Tensor,
    Windowed,
)
from sw.operators.shapes import MAP_RANK

CODE = schema.BuiltinOperator
ACTIVATIONS: dict[Activation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def emit(graph: Graph, *, every_tensor: bool = False) -> bytes:
    """The flatbuffer of ``graph``: batch 1, int8 in and out.

    Args:
        every_tensor: make the result of every operation an output, in order of execution, and not
            only the graph's own.

    Raises:
        DnaError: TFLite cannot express an operation exactly.
    """
    return _Emitter(graph).finish(every_tensor)


class _Emitter(TfliteWriter):
    """Writes the operations of a graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.index = {
            tensor.name: self.activation_tensor(tensor.name, tensor.shape, tensor)
            for tensor in graph.tensors.values()
        }
        for operation in graph.operations:
            self.operation(operation)

    def activation_tensor(self, name: str, shape: Sequence[int], like: Tensor) -> int:
        """Index of a new int8 tensor with a batch dimension, quantized as ``like``."""
        return self.tensor(
            name,
            (1, *shape),
            schema.TensorType.INT8,
            quantization=self.quantization([like.scale], [like.zero_point]),
        )

    def operation(self, operation: Operation) -> None:
        """Append the operators that compute ``operation``.

        Raises:
            DnaError: there is no writer for it, or TFLite cannot express it exactly.
        """
        write = WRITERS.get(type(operation))
        if write is None:
            raise DnaError(f"{operation.name}: there is no TFLite for {type(operation).__name__}")
        write(self, operation)

    def convolution(self, operation: Conv2D) -> None:
        """CONV_2D."""
        mode, x = self.padded(operation)
        self.operator(
            CODE.CONV_2D,
            [x, *self.weights(operation)],
            self.index[operation.output],
            schema.Conv2DOptionsT(
                padding=mode,
                strideH=operation.stride[0],
                strideW=operation.stride[1],
                fusedActivationFunction=ACTIVATIONS[operation.activation],
            ),
        )

    def depthwise_convolution(self, operation: DepthwiseConv2D) -> None:
        """DEPTHWISE_CONV_2D."""
        mode, x = self.padded(operation)
        channels = self.graph.operands(operation)[0].shape[2]
        self.operator(
            CODE.DEPTHWISE_CONV_2D,
            [x, *self.weights(operation)],
            self.index[operation.output],
            schema.DepthwiseConv2DOptionsT(
                padding=mode,
                strideH=operation.stride[0],
                strideW=operation.stride[1],
                depthMultiplier=self.graph.result(operation).shape[2] // channels,
                fusedActivationFunction=ACTIVATIONS[operation.activation],
            ),
        )

    def fully_connected(self, operation: FullyConnected) -> None:
        """FULLY_CONNECTED."""
        self.operator(
            CODE.FULLY_CONNECTED,
            [self.index[operation.inputs[0]], *self.weights(operation)],
            self.index[operation.output],
            schema.FullyConnectedOptionsT(
                fusedActivationFunction=ACTIVATIONS[operation.activation]
            ),
        )

    def addition(self, operation: Add) -> None:
        """ADD or SUB."""
        code, options = (
            (CODE.ADD, schema.AddOptionsT())
            if operation.multipliers[1] > 0
            else (CODE.SUB, schema.SubOptionsT())
        )
        options.fusedActivationFunction = ACTIVATIONS[operation.activation]
        self.operator(
            code,
            [self.index[name] for name in operation.inputs],
            self.index[operation.output],
            options,
        )

    def extremum(self, operation: Extremum) -> None:
        """MAXIMUM or MINIMUM."""
        self.operator(
            CODE.MAXIMUM if operation.largest else CODE.MINIMUM,
            [self.index[name] for name in operation.inputs],
            self.index[operation.output],
            schema.MaximumMinimumOptionsT(),
        )

    def multiplication(self, operation: Multiply) -> None:
        """MUL; of a value with itself another view is the second one.

        LiteRT has a table for such a square, which rounds in another way.
        """
        left, right = (self.index[name] for name in operation.inputs)
        if left == right:
            source = self.graph.operands(operation)[0]
            right = self.activation_tensor(f"{operation.name}.again", source.shape, source)
            self.reshaped(left, right, (1, *source.shape), f"{operation.name}.again")
        self.operator(
            CODE.MUL,
            [left, right],
            self.index[operation.output],
            schema.MulOptionsT(fusedActivationFunction=ACTIVATIONS[operation.activation]),
        )

    def lookup(self, operation: Lookup) -> None:
        """LOGISTIC and its like: the operator that the function is called after."""
        if operation.function == "table":
            self.looked_up(operation)
            return
        self.operator(
            getattr(CODE, operation.function.upper()),
            function_operands(self, self.index[operation.inputs[0]], operation.constant),
            self.index[operation.output],
            function_options(operation.function, operation.alpha, operation.constant),
        )

    def looked_up(self, operation: Lookup) -> None:
        """BITCAST, CAST and GATHER, for a function that no operator of TFLite is."""
        name, kinds = operation.name, schema.TensorType
        shape = (1, *self.graph.result(operation).shape)
        value = self.tensor(f"{name}.byte", shape, kinds.UINT8)
        place = self.tensor(f"{name}.place", shape, kinds.INT32)
        source = self.index[operation.inputs[0]]
        self.operator(CODE.BITCAST, [source], value, schema.BitcastOptionsT())
        options = schema.CastOptionsT(inDataType=kinds.UINT8, outDataType=kinds.INT32)
        self.operator(CODE.CAST, [value], place, options)
        target = self.graph.result(operation)
        table = self.constant(
            f"{name}.table",
            self.graph.constant(operation, "table"),
            quantization=self.quantization([target.scale], [target.zero_point]),
        )
        gather = schema.GatherOptionsT(axis=0)
        self.operator(CODE.GATHER, [table, place], self.index[operation.output], gather)

    def concatenation(self, operation: Concatenation) -> None:
        """CONCATENATION."""
        rank = len(self.graph.result(operation).shape)
        self.operator(
            CODE.CONCATENATION,
            [self.index[name] for name in operation.inputs],
            self.index[operation.output],
            schema.ConcatenationOptionsT(axis=rank + 1 + operation.axis - MAP_RANK),
        )

    def channel_slice(self, operation: Slice) -> None:
        """SLICE."""
        shape = self.graph.result(operation).shape
        begin = np.zeros(1 + len(shape), np.int32)
        begin[operation.axis - MAP_RANK] = operation.begin
        size = np.array([1, *shape], np.int32)
        constants = (
            self.constant(f"{operation.name}.{what}", array)
            for what, array in (("begin", begin), ("size", size))
        )
        self.operator(
            CODE.SLICE,
            [self.index[operation.inputs[0]], *constants],
            self.index[operation.output],
            schema.SliceOptionsT(),
        )

    def resize_nearest(self, operation: ResizeNearest) -> None:
        """RESIZE_NEAREST_NEIGHBOR."""
        size = np.array(self.graph.result(operation).shape[:2], np.int32)
        self.operator(
            CODE.RESIZE_NEAREST_NEIGHBOR,
            [self.index[operation.inputs[0]], self.constant(f"{operation.name}.size", size)],
            self.index[operation.output],
            schema.ResizeNearestNeighborOptionsT(),
        )

    def interleave(self, operation: Interleave) -> None:
        """CONCATENATION of channels, which puts pixels in turns, and of rows as channels."""
        _, across = operation.factor
        height, width, channels = self.graph.operands(operation)[0].shape
        wide = width * across * channels
        rows = []
        for first in range(0, len(operation.inputs), across):
            name = f"{operation.name}.{first}"
            maps = [self.index[each] for each in operation.inputs[first : first + across]]
            joint = self.passing(operation, name, (height, width, across * channels))
            self.joined(maps, joint)
            rows.append(self.passing(operation, f"{name}.flat", (height, 1, wide)))
            self.reshaped(joint, rows[-1], (1, height, 1, wide), name)
        joint = self.passing(operation, f"{operation.name}.rows", (height, 1, len(rows) * wide))
        self.joined(rows, joint)
        shape = (1, *self.graph.result(operation).shape)
        self.reshaped(joint, self.index[operation.output], shape, operation.name)

    def passing(self, operation: Interleave, name: str, shape: tuple[int, ...]) -> int:
        """A tensor between its operators, with the quantization of the result."""
        return self.activation_tensor(name, shape, self.graph.result(operation))

    def joined(self, maps: Sequence[int], result: int) -> None:
        """CONCATENATION of the channels of maps."""
        options = schema.ConcatenationOptionsT(axis=MAP_RANK)
        self.operator(CODE.CONCATENATION, maps, result, options)

    def reshaped(self, x: int, result: int, shape: tuple[int, ...], name: str) -> None:
        """RESHAPE."""
        array = np.array(shape, np.int32)
        constant = self.constant(f"{name}.shape", array)
        self.operator(CODE.RESHAPE, [x, constant], result, schema.ReshapeOptionsT(newShape=array))

    def pool(self, operation: MaxPool2D | AveragePool2D) -> None:
        """MAX_POOL_2D or AVERAGE_POOL_2D."""
        mode, x = self.padded(operation)
        maximum = isinstance(operation, MaxPool2D)
        self.operator(
            CODE.MAX_POOL_2D if maximum else CODE.AVERAGE_POOL_2D,
            [x],
            self.index[operation.output],
            schema.Pool2DOptionsT(
                padding=mode,
                strideH=operation.stride[0],
                strideW=operation.stride[1],
                filterHeight=operation.kernel[0],
                filterWidth=operation.kernel[1],
            ),
        )

    def mean(self, operation: Mean) -> None:
        """MEAN."""
        keeps = len(self.graph.result(operation).shape) == 3
        axes = self.constant(f"{operation.name}.axes", np.array(operation.axes, np.int32) + 1)
        self.operator(
            CODE.MEAN,
            [self.index[operation.inputs[0]], axes],
            self.index[operation.output],
            schema.ReducerOptionsT(keepDims=keeps),
        )

    def weights(self, operation: Conv2D | DepthwiseConv2D | FullyConnected) -> tuple[int, int]:
        """Indices of the weights and the bias of an operation."""
        scale = self.graph.constant(operation, "weight_scale")
        weights = self.graph.constant(operation, "weights")
        dimension = 0
        if isinstance(operation, DepthwiseConv2D):
            weights, dimension = weights.transpose(1, 2, 0)[np.newaxis], 3
        zeros = np.zeros(len(scale), np.int64)
        input_scale = np.float32(self.graph.operands(operation)[0].scale)
        return (
            self.constant(
                f"{operation.name}.weights",
                weights,
                quantization=self.quantization(scale, zeros, dimension),
            ),
            self.constant(
                f"{operation.name}.bias",
                self.graph.constant(operation, "bias"),
                quantization=self.quantization(input_scale * scale, zeros),
            ),
        )

    def padded(self, operation: Windowed) -> tuple[int, int]:
        """The padding mode of an operation and its input, behind a PAD where no mode fits."""
        name = operation.inputs[0]
        source, target = self.graph.tensors[name], self.graph.result(operation)
        mode = padding_mode(operation, source, target)
        if mode is not None:
            return mode, self.index[name]
        if isinstance(operation, AveragePool2D):
            raise DnaError(
                f"{operation.name}: TFLite cannot pad an average-pool the way {operation.padding} "
                "asks; use SAME padding or none"
            )
        if isinstance(operation, MaxPool2D) and not self.graph.at_least_zero_point(name):
            raise DnaError(
                f"{operation.name}: TFLite cannot pad a max-pool whose input has values below its "
                f"zero point {source.zero_point} the way {operation.padding} asks; "
                "use SAME padding or put a ReLU in front"
            )
        pads = operation.padding
        if isinstance(operation, MaxPool2D) and sees_padding_alone(operation, source, target):
            raise DnaError(
                f"{operation.name}: TFLite cannot pad a max-pool so far that a window sees nothing "
                "else"
            )
        amounts = np.array(
            [[0, 0], [pads.top, pads.bottom], [pads.left, pads.right], [0, 0]], np.int32
        )
        height, width, channels = source.shape
        shape = (
            height + pads.top + pads.bottom,
            width + pads.left + pads.right,
            channels,
        )
        result = self.activation_tensor(f"{operation.name}.padded", shape, source)
        amounts_tensor = self.constant(f"{operation.name}.padding", amounts)
        self.operator(CODE.PAD, [self.index[name], amounts_tensor], result, schema.PadOptionsT())
        return int(schema.Padding.VALID), result

    def finish(self, every_tensor: bool) -> bytes:
        """The whole file."""
        names = [operation.output for operation in self.graph.operations]
        outputs = names if every_tensor else self.graph.outputs
        given = [self.index[name] for name in self.graph.inputs]
        return self.file(given, [self.index[name] for name in outputs])


WRITERS: dict[type[Operation], Callable[[_Emitter, Any], None]] = {
    Conv2D: _Emitter.convolution,
    DepthwiseConv2D: _Emitter.depthwise_convolution,
    FullyConnected: _Emitter.fully_connected,
    Add: _Emitter.addition,
    Multiply: _Emitter.multiplication,
    Extremum: _Emitter.extremum,
    Lookup: _Emitter.lookup,
    Concatenation: _Emitter.concatenation,
    Slice: _Emitter.channel_slice,
    ResizeNearest: _Emitter.resize_nearest,
    Interleave: _Emitter.interleave,
    MaxPool2D: _Emitter.pool,
    AveragePool2D: _Emitter.pool,
    Mean: _Emitter.mean,
}
"""What writes each class of operations."""
