"""Writes an integer graph as ONNX with quantize/dequantize pairs, for peers that read those.

Every tensor becomes ``QuantizeLinear -> DequantizeLinear`` around the operation in floating point;
a peer with int8 kernels fuses the three. Layout is NCHW, ONNX's only one. The arithmetic in
between is the peer's own and need not give the contract's bits.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sw.errors import DnaError
from sw.graph import Graph
from sw.operations import (
    Add,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Extremum,
    FullyConnected,
    Lookup,
    MaxPool2D,
    Mean,
    Multiply,
    Operation,
    Padding,
    Pair,
    ResizeNearest,
    Slice,
    Tensor,
    Windowed,
)

Array = npt.NDArray[Any]

OPSET = 13  # the first with a scale per channel
IR_VERSION = 8
SIGNED_TO_UNSIGNED = 128
AXES = {0: 2, 1: 3, 2: 1}
"""Of NCHW, by those of a map without its batch dimension."""
FUNCTIONS = {
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "leaky_relu": "LeakyRelu",
    "elu": "Elu",
    "relu": "Relu",
    "abs": "Abs",
    "neg": "Neg",
    "quantize": "Identity",
}


def emit(graph: Graph, *, signed: bool, subsample: bool) -> bytes:
    """The ONNX model of ``graph``, batch 1, quantized input (NCHW) to all quantized outputs.

    Args:
        signed: int8 activations; otherwise uint8, each value 128 higher. Weights are int8.
        subsample: write a strided 1x1 convolution as a subsampling (a max-pool of one pixel) and
            a dense convolution. OpenVINO makes that change by itself when two such convolutions
            share an input, as in ResNet50 v1, but behind the dequantization, and then runs the
            two in floating point; done here, between quantized tensors, they stay in int8.

    Raises:
        DnaError: an operation has no place here.
    """
    return _Emitter(graph, signed, subsample).finish()


def _nchw(shape: tuple[int, ...]) -> list[int]:
    return [1, shape[-1], *shape[:-1]]


def _pads(padding: Padding) -> list[int]:
    return [padding.top, padding.left, padding.bottom, padding.right]


def _window(operation: Windowed) -> dict[str, list[int]]:
    return {
        "kernel_shape": list(operation.kernel),
        "strides": list(operation.stride),
        "pads": _pads(operation.padding),
    }


class _Emitter:
    def __init__(self, graph: Graph, signed: bool, subsample: bool) -> None:
        self.graph = graph
        self.subsample = subsample
        self.subsamples: set[str] = set()
        self.offset = 0 if signed else SIGNED_TO_UNSIGNED
        self.dtype = np.int8 if signed else np.uint8
        self.element_type = TensorProto.INT8 if signed else TensorProto.UINT8
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        source = graph.tensors[graph.input]
        self.quantization(source)
        for operation in graph.operations:
            self.operation(operation)

    def constant(self, name: str, array: Array) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def quantization(self, tensor: Tensor) -> list[str]:
        """Scale and zero point of a tensor."""
        return [
            self.constant(f"{tensor.name}:scale", np.array(tensor.scale, np.float32)),
            self.constant(
                f"{tensor.name}:zero", np.array(tensor.zero_point + self.offset, self.dtype)
            ),
        ]

    def dequantized(self, name: str, output: str) -> str:
        """The real values of tensor ``name``, for one reader."""
        return self.node("DequantizeLinear", [name, f"{name}:scale", f"{name}:zero"], output)

    def subsampled(self, source: str, stride: Pair, output: str) -> str:
        """The real values of every ``stride``-th pixel of ``source``, for one reader."""
        name = f"{source}:every{stride[0]}x{stride[1]}"
        quantization = [f"{source}:scale", f"{source}:zero"]
        if name not in self.subsamples:
            self.subsamples.add(name)
            whole = self.dequantized(source, f"{name}:whole")
            part = self.node(
                "MaxPool", [whole], f"{name}:part", kernel_shape=[1, 1], strides=list(stride)
            )
            self.node("QuantizeLinear", [part, *quantization], name)
        return self.node("DequantizeLinear", [name, *quantization], output)

    def weights(self, operation: Conv2D | DepthwiseConv2D | FullyConnected) -> list[str]:
        """Dequantized weights (output channel first, then input channel) and bias."""
        weight_scale = self.graph.constant(operation, "weight_scale")
        input_scale = np.float32(self.graph.operands(operation)[0].scale)
        array = self.graph.constant(operation, "weights")
        if isinstance(operation, DepthwiseConv2D):
            array = array[:, np.newaxis]
        elif isinstance(operation, Conv2D):
            array = array.transpose(0, 3, 1, 2)
        names = []
        for what, values, scale in (
            ("weights", array, weight_scale),
            ("bias", self.graph.constant(operation, "bias"), input_scale * weight_scale),
        ):
            name = f"{operation.name}.{what}"
            inputs = [
                self.constant(name, values),
                self.constant(f"{name}:scale", scale),
                self.constant(f"{name}:zero", np.zeros(scale.shape, values.dtype)),
            ]
            names.append(self.node("DequantizeLinear", inputs, f"{name}:real", axis=0))
        return names

    def replaces_stride(self, operation: Operation) -> TypeGuard[Conv2D]:
        """Whether ``operation`` is a convolution to be written as a subsampling and a dense one."""
        return (
            self.subsample
            and isinstance(operation, Conv2D)
            and operation.kernel == (1, 1)
            and operation.stride != (1, 1)
            and operation.padding == Padding()
        )

    def operation(self, operation: Operation) -> None:
        name = operation.name
        if self.replaces_stride(operation):
            inputs = [self.subsampled(operation.inputs[0], operation.stride, f"{name}:subsampled")]
            operation = msgspec.structs.replace(operation, stride=(1, 1))
        else:
            inputs = [
                self.dequantized(source, f"{name}:input{i}")
                for i, source in enumerate(operation.inputs)
            ]
        real = self.real(operation, inputs)
        activation = getattr(operation, "activation", "none")
        if activation == "relu":
            real = self.node("Relu", [real], f"{name}:relu")
        elif activation == "relu6":
            bounds = [self.constant(f"{name}:{v}", np.array(v, np.float32)) for v in (0, 6)]
            real = self.node("Clip", [real, *bounds], f"{name}:relu6")
        quantization = self.quantization(self.graph.result(operation))
        output = operation.output
        self.node("QuantizeLinear", [real, *quantization], output)

    def real(self, operation: Operation, inputs: list[str]) -> str:
        """The operation in floating point, without its activation."""
        exact = f"{operation.name}:exact"

        def node(kind: str, *constants: str, **attributes: Any) -> str:
            return self.node(kind, [*inputs, *constants], exact, **attributes)

        def integers(what: str, *values: int) -> str:
            return self.constant(f"{operation.name}:{what}", np.array(values, np.int64))

        match operation:
            case Conv2D():
                return node("Conv", *self.weights(operation), **_window(operation))
            case DepthwiseConv2D():
                channels = self.graph.operands(operation)[0].shape[-1]
                window = _window(operation)
                return node("Conv", *self.weights(operation), group=channels, **window)
            case FullyConnected():
                return node("Gemm", *self.weights(operation), transB=1)
            case Add(multipliers=(_, second)):
                return node("Add" if second > 0 else "Sub")
            case Multiply():
                return node("Mul")
            case Extremum():
                return node("Max" if operation.largest else "Min")
            case Lookup(function=function, constant=None) if function in FUNCTIONS:
                slope = {"alpha": operation.alpha} if function == "leaky_relu" else {}
                return node(FUNCTIONS[function], **slope)
            case Concatenation():
                return node("Concat", axis=AXES[operation.axis])
            case Slice():
                first, last = operation.begin, operation.begin + operation.count
                axis = integers("axis", AXES[operation.axis])
                return node("Slice", integers("first", first), integers("last", last), axis)
            case ResizeNearest():
                factors = np.array((1, 1, *operation.factor), np.float32)
                scales = self.constant(f"{operation.name}:scales", factors)
                where = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
                return node("Resize", "", scales, mode="nearest", **where)
            case MaxPool2D():
                return node("MaxPool", **_window(operation))
            case Mean(axes=(0, 1)):
                pooled = self.node("GlobalAveragePool", inputs, f"{operation.name}:pooled")
                if len(self.graph.result(operation).shape) > 1:
                    return pooled
                return self.node("Flatten", [pooled], exact)
        raise DnaError(f"{operation.name}: dna bench does not know it in ONNX")

    def finish(self) -> bytes:
        inputs, outputs = (
            [
                helper.make_tensor_value_info(
                    name, self.element_type, _nchw(self.graph.tensors[name].shape)
                )
                for name in names
            ]
            for names in ((self.graph.input,), self.graph.outputs)
        )
        model = helper.make_model(
            helper.make_graph(self.nodes, "dna", inputs, outputs, self.initializers),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
