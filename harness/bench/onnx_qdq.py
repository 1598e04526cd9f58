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
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Operation,
    Padding,
    Pair,
    Tensor,
)

Array = npt.NDArray[Any]

OPSET = 13  # the first with a scale per channel
IR_VERSION = 8
SIGNED_TO_UNSIGNED = 128


def emit(graph: Graph, *, signed: bool, subsample: bool) -> bytes:
    """The ONNX model of ``graph``, batch 1, quantized input (NCHW) to quantized output.

    Args:
        signed: int8 activations; otherwise uint8, each value 128 higher. Weights are int8.
        subsample: write a strided 1x1 convolution as a subsampling (a max-pool of one pixel) and
            a dense convolution. OpenVINO makes that change by itself when two such convolutions
            share an input, as in ResNet50 v1, but behind the dequantization, and then runs the
            two in floating point; done here, between quantized tensors, they stay in int8.
    """
    return _Emitter(graph, signed, subsample).finish()


def _nchw(shape: tuple[int, ...]) -> list[int]:
    return [1, shape[-1], *shape[:-1]]


def _pads(padding: Padding) -> list[int]:
    return [padding.top, padding.left, padding.bottom, padding.right]


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

    def weights(self, operation: Conv2D | FullyConnected) -> list[str]:
        """Dequantized weights (output channel first, then input channel) and bias."""
        weight_scale = self.graph.constant(operation, "weight_scale")
        input_scale = np.float32(self.graph.operands(operation)[0].scale)
        array = self.graph.constant(operation, "weights")
        if array.ndim == 4:
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
        real = f"{name}:exact"
        if self.replaces_stride(operation):
            inputs = [self.subsampled(operation.inputs[0], operation.stride, f"{name}:subsampled")]
            operation = msgspec.structs.replace(operation, stride=(1, 1))
        else:
            inputs = [
                self.dequantized(source, f"{name}:input{i}")
                for i, source in enumerate(operation.inputs)
            ]
        match operation:
            case Conv2D():
                self.node(
                    "Conv",
                    inputs + self.weights(operation),
                    real,
                    kernel_shape=list(operation.kernel),
                    strides=list(operation.stride),
                    pads=_pads(operation.padding),
                )
            case FullyConnected():
                self.node("Gemm", inputs + self.weights(operation), real, transB=1)
            case Add():
                self.node("Add", inputs, real)
            case MaxPool2D():
                self.node(
                    "MaxPool",
                    inputs,
                    real,
                    kernel_shape=list(operation.kernel),
                    strides=list(operation.stride),
                    pads=_pads(operation.padding),
                )
            case Mean():
                pooled = self.node("GlobalAveragePool", inputs, f"{name}:pooled")
                self.node("Flatten", [pooled], real)
            case _:
                raise DnaError(f"{operation.name}: dna bench does not know it in ONNX")
        if isinstance(operation, Conv2D | FullyConnected | Add):
            if operation.activation == "relu":
                real = self.node("Relu", [real], f"{name}:relu")
            elif operation.activation == "relu6":
                bounds = [self.constant(f"{name}:{v}", np.array(v, np.float32)) for v in (0, 6)]
                real = self.node("Clip", [real, *bounds], f"{name}:relu6")
        quantization = self.quantization(self.graph.result(operation))
        output = operation.output
        self.node("QuantizeLinear", [real, *quantization], output)

    def finish(self) -> bytes:
        source = self.graph.tensors[self.graph.input]
        target = self.graph.tensors[self.graph.output]
        inputs, outputs = (
            [helper.make_tensor_value_info(tensor.name, self.element_type, _nchw(tensor.shape))]
            for tensor in (source, target)
        )
        model = helper.make_model(
            helper.make_graph(self.nodes, "dna", inputs, outputs, self.initializers),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
