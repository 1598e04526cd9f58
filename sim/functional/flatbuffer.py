"""Writes an integer graph as a TFLite flatbuffer that the XNNPACK delegate takes whole.

What the delegate insists on, and silently declines otherwise (docs/numerics.md): every bias has
quantization parameters with zero point 0, every convolution has a bias, padding is written with
PAD and not with PADV2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

from sw.errors import DnaError
from sw.graph import (
    Add,
    Conv2D,
    FullyConnected,
    Graph,
    MaxPool2D,
    Mean,
    Operation,
    Tensor,
)
from sw.numerics import INT8_MIN, Activation

Array = npt.NDArray[Any]

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16  # the schema's force_align of Buffer.data
TABLE_BYTES = 1 << 20  # first guess at the room for everything but the arrays

ACTIVATIONS: dict[Activation, int] = {
    "none": tflite.ActivationFunctionType.NONE,
    "relu": tflite.ActivationFunctionType.RELU,
    "relu6": tflite.ActivationFunctionType.RELU6,
}
TYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
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


def _padding_mode(operation: Conv2D | MaxPool2D, source: Tensor, target: Tensor) -> int | None:
    """SAME or VALID if one of them places the windows as ``operation`` does, else None.

    SAME computes ceil(size / stride) outputs and puts the smaller half of what it needs in front.
    Padding behind the last window is never read, so only the front has to agree.
    """
    same = valid = True
    fronts = (operation.padding.top, operation.padding.left)
    for axis, front in enumerate(fronts):
        size, out = source.shape[axis], target.shape[axis]
        kernel, stride = operation.kernel[axis], operation.stride[axis]
        needed = max((out - 1) * stride + kernel - size, 0)
        same = same and out == -(-size // stride) and front == needed // 2
        valid = valid and front == 0 and needed == 0
    if valid:
        return int(tflite.Padding.VALID)
    return int(tflite.Padding.SAME) if same else None


class _Emitter:
    """Collects buffers, tensors and operators; every ``int`` here is an offset or an index."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        size = sum(array.nbytes for array in graph.constants.values())
        self.builder = flatbuffers.Builder(size + TABLE_BYTES)
        self.buffers = [self.table("Buffer")]  # buffer 0 means "no data"
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.codes: dict[int, int] = {}
        self.index = {
            tensor.name: self.activation_tensor(tensor.name, tensor.shape, tensor)
            for tensor in graph.tensors.values()
        }
        for operation in graph.operations:
            self.operation(operation)

    def table(self, type_name: str, **fields: int) -> int:
        """A table of the schema, through the generated function for each field."""
        getattr(tflite, f"{type_name}Start")(self.builder)
        for field, value in fields.items():
            getattr(tflite, f"{type_name}Add{field}")(self.builder, value)
        return int(getattr(tflite, f"{type_name}End")(self.builder))

    def offsets(self, items: Iterable[int]) -> int:
        """A vector of tables."""
        items = list(items)
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return int(self.builder.EndVector())

    def numbers(self, values: Any, dtype: type[np.generic] = np.int32) -> int:
        """A vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.array(values, dtype)))

    def tensor(self, name: str, shape: Sequence[int], kind: int, **fields: int) -> int:
        """Index of a new tensor."""
        fields |= {"Shape": self.numbers(shape), "Name": self.builder.CreateString(name)}
        self.tensors.append(self.table("Tensor", Type=kind, **fields))
        return len(self.tensors) - 1

    def quantization(self, scales: Any, zero_points: Any) -> int:
        """Quantization parameters, one per entry of the first dimension or a single one."""
        return self.table(
            "QuantizationParameters",
            Scale=self.numbers(scales, np.float32),
            ZeroPoint=self.numbers(zero_points, np.int64),
            QuantizedDimension=0,
        )

    def activation_tensor(self, name: str, shape: Sequence[int], like: Tensor) -> int:
        """Index of a new int8 tensor with a batch dimension, quantized as ``like``."""
        return self.tensor(
            name,
            (1, *shape),
            tflite.TensorType.INT8,
            Quantization=self.quantization([like.scale], [like.zero_point]),
        )

    def constant(self, name: str, array: Array, **fields: int) -> int:
        """Index of a new tensor that holds ``array``."""
        data = np.ascontiguousarray(array).tobytes()
        self.builder.Prep(BUFFER_ALIGNMENT, len(data))
        self.buffers.append(self.table("Buffer", Data=self.builder.CreateByteVector(data)))
        fields["Buffer"] = len(self.buffers) - 1
        return self.tensor(name, array.shape, TYPES[array.dtype], **fields)

    def operator(
        self,
        code: int,
        inputs: Sequence[int],
        output: int,
        options: str,
        **fields: int,
    ) -> None:
        """Append an operator with an options table of type ``options``."""
        self.operators.append(
            self.table(
                "Operator",
                OpcodeIndex=self.codes.setdefault(code, len(self.codes)),
                Inputs=self.numbers(inputs),
                Outputs=self.numbers([output]),
                BuiltinOptionsType=getattr(tflite.BuiltinOptions, options),
                BuiltinOptions=self.table(options, **fields),
            )
        )

    def operation(self, operation: Operation) -> None:
        """Append the operators that compute ``operation``."""
        inputs = [self.index[name] for name in operation.inputs]
        output = self.index[operation.output]
        code = tflite.BuiltinOperator
        match operation:
            case Conv2D():
                mode, x = self.padded(operation)
                self.operator(
                    code.CONV_2D,
                    [x, *self.weights(operation)],
                    output,
                    "Conv2DOptions",
                    Padding=mode,
                    StrideH=operation.stride[0],
                    StrideW=operation.stride[1],
                    FusedActivationFunction=ACTIVATIONS[operation.activation],
                )
            case FullyConnected():
                self.operator(
                    code.FULLY_CONNECTED,
                    [*inputs, *self.weights(operation)],
                    output,
                    "FullyConnectedOptions",
                    FusedActivationFunction=ACTIVATIONS[operation.activation],
                )
            case Add():
                self.operator(
                    code.ADD,
                    inputs,
                    output,
                    "AddOptions",
                    FusedActivationFunction=ACTIVATIONS[operation.activation],
                )
            case MaxPool2D():
                mode, x = self.padded(operation)
                self.operator(
                    code.MAX_POOL_2D,
                    [x],
                    output,
                    "Pool2DOptions",
                    Padding=mode,
                    StrideH=operation.stride[0],
                    StrideW=operation.stride[1],
                    FilterHeight=operation.kernel[0],
                    FilterWidth=operation.kernel[1],
                )
            case Mean():
                axes = self.constant(f"{operation.name}.axes", np.array([1, 2], np.int32))
                self.operator(code.MEAN, [*inputs, axes], output, "ReducerOptions", KeepDims=False)

    def weights(self, operation: Conv2D | FullyConnected) -> tuple[int, int]:
        """Indices of the weights and the bias of an operation."""
        scale = self.graph.constant(operation, "weight_scale")
        zeros = np.zeros(len(scale), np.int64)
        input_scale = np.float32(self.graph.operands(operation)[0].scale)
        weights, bias = (
            self.constant(
                f"{operation.name}.{what}",
                self.graph.constant(operation, what),
                Quantization=self.quantization(scales, zeros),
            )
            for what, scales in (("weights", scale), ("bias", input_scale * scale))
        )
        return weights, bias

    def padded(self, operation: Conv2D | MaxPool2D) -> tuple[int, int]:
        """The padding mode of an operation and its input, behind a PAD where no mode fits."""
        name = operation.inputs[0]
        source, target = self.graph.tensors[name], self.graph.result(operation)
        mode = _padding_mode(operation, source, target)
        if mode is not None:
            return mode, self.index[name]
        if isinstance(operation, MaxPool2D) and not self.at_least_zero_point(name):
            raise DnaError(
                f"{operation.name}: TFLite cannot pad a max-pool whose input has values below its "
                f"zero point {source.zero_point} the way {operation.padding} asks; "
                "use SAME padding or put a ReLU in front"
            )
        pads = operation.padding
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
        self.operator(
            tflite.BuiltinOperator.PAD, [self.index[name], amounts_tensor], result, "PadOptions"
        )
        return int(tflite.Padding.VALID), result

    def at_least_zero_point(self, name: str) -> bool:
        """Whether no value of a tensor is below its zero point, so that PAD never wins a maximum.

        A max-pool passes its input's bound on, an activation clamps to ``lo``.
        """
        zero_point = self.graph.tensors[name].zero_point
        if zero_point == INT8_MIN:
            return True
        for operation in self.graph.operations:
            if operation.output == name:
                if isinstance(operation, MaxPool2D):
                    return self.at_least_zero_point(operation.inputs[0])
                return not isinstance(operation, Mean) and operation.lo >= zero_point
        return False

    def finish(self, every_tensor: bool) -> bytes:
        """The whole file."""
        names = [operation.output for operation in self.graph.operations]
        outputs = names if every_tensor else [self.graph.output]
        subgraph = self.table(
            "SubGraph",
            Tensors=self.offsets(self.tensors),
            Inputs=self.numbers([self.index[self.graph.input]]),
            Outputs=self.numbers([self.index[name] for name in outputs]),
            Operators=self.offsets(self.operators),
        )
        codes = [
            # A second field held the code while it fitted 7 bits; readers look at the larger one.
            self.table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=1)
            for code in self.codes
        ]
        model = self.table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self.offsets(codes),
            Subgraphs=self.offsets([subgraph]),
            Buffers=self.offsets(self.buffers),
        )
        self.builder.Finish(model, FILE_IDENTIFIER)
        return bytes(self.builder.Output())
