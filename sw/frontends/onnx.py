"""ONNX models that ONNX Runtime has quantized statically, to the integer graph.

Both forms are read: QDQ, where QuantizeLinear and DequantizeLinear surround float operators, and
QOperator, where the operators themselves are integer. Activations are int8 or uint8 with a scale
for the tensor (uint8 with zero point z is int8 with z - 128), weights int8 without zero point.
Feature maps turn from channels first to channels last.

The graph computes by the contract of docs/numerics.md. ONNX Runtime's convolution does too; its
addition and average do not always: ``sim.compare.onnx`` counts.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.numerics import Activation
from sw.operations import Padding, Pair

Array = npt.NDArray[Any]

INPUT = "input"
_SUPPORTED = (
    "Conv, Gemm, MatMul, Add, Relu, Clip to 0..6, MaxPool, GlobalAveragePool, Flatten, Reshape, "
    "QuantizeLinear, DequantizeLinear, QLinearConv, QLinearAdd, QLinearMatMul, QGemm, "
    "QLinearGlobalAveragePool"
)
_VIEWS = ("Flatten", "Reshape", "Squeeze")


@dataclasses.dataclass(frozen=True)
class Imported:
    """A model as the integer graph.

    Attributes:
        graph: the network, int8 in and out, channels last.
        tensors: of the graph by name, the quantized tensors of the file with the same values.
        input: name of the float input of the file.
        nodes: of the file, quantization included.
    """

    graph: Graph
    tensors: dict[str, str]
    input: str
    nodes: int


@dataclasses.dataclass(frozen=True)
class _Value:
    """A quantized tensor: which of the graph it is, and whether it was flattened since."""

    name: str
    flat: bool = False


@dataclasses.dataclass(frozen=True)
class _Constant:
    """A quantized constant: values, scales (one or one a channel) and zero points."""

    values: Array
    scale: npt.NDArray[np.float32]
    zero_point: Array


@dataclasses.dataclass(frozen=True)
class _Pending:
    """A float operator whose result has yet to be quantized."""

    node: Any
    index: int
    inputs: tuple[Any, ...]
    activation: Activation = "none"


def import_file(path: Path) -> Imported:
    """Read an ONNX file and turn it into the integer graph.

    Raises:
        DnaError: it cannot be read or holds what is not supported; one line that names the node and
            the nearest thing that is supported.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # protobuf and the checker raise classes of their own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DnaError(f"{path} is no ONNX model or is damaged: {reason[0][:200]}") from error
    try:
        return _Importer(model).run()
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error


class _Importer:
    def __init__(self, model: Any) -> None:
        self.file = model.graph
        self.constants: dict[str, Array] = {
            item.name: numpy_helper.to_array(item) for item in self.file.initializer
        }
        self.values: dict[str, Any] = {}
        self.builder: GraphBuilder | None = None
        self.tensors: dict[str, str] = {}
        self.quantized: set[str] = set()

    def run(self) -> Imported:
        inputs = [item for item in self.file.input if item.name not in self.constants]
        if len(inputs) != 1 or len(self.file.output) != 1:
            raise DnaError(
                f"the model has {len(inputs)} inputs and {len(self.file.output)} outputs; "
                "supported is one of each"
            )
        self.source = inputs[0]
        for index, node in enumerate(self.file.node):
            self.node(index, node)
        output = self.values.get(self.file.output[0].name)
        if not isinstance(output, _Value) or self.builder is None:
            raise DnaError("the model's output is not a quantized tensor or its DequantizeLinear")
        graph = self.builder.finish(output.name)
        return Imported(graph, self.tensors, self.source.name, len(self.file.node))

    def refuse(self, index: int, node: Any, what: str, nearest: str) -> NoReturn:
        raise DnaError(f"node {index} ({node.op_type}): {what}; nearest: {nearest}")

    def node(self, index: int, node: Any) -> None:
        kind = node.op_type
        if kind == "Constant":
            self.constants[node.output[0]] = numpy_helper.to_array(_attributes(node)["value"])
        elif kind == "QuantizeLinear":
            self.quantize(index, node)
        elif kind == "DequantizeLinear":
            self.dequantize(index, node)
        elif kind in ("Relu", "Clip"):
            self.activation(index, node)
        elif kind in _VIEWS:
            self.view(index, node)
        elif kind in ("Conv", "Gemm", "MatMul", "Add", "MaxPool", "GlobalAveragePool"):
            inputs = tuple(self.operand(index, node, name) for name in node.input if name)
            pending = _Pending(node, index, inputs)
            self.values[node.output[0]] = pending
            if node.input[0] in self.quantized:  # a maximum in the QOperator form
                tensor = self.build.tensor(inputs[0].name)
                self.quantized.add(node.output[0])
                self.finish(pending, tensor.scale, tensor.zero_point, node.output[0])
        elif kind.startswith("Q"):
            self.integer(index, node)
        else:
            self.refuse(index, node, "this operator is not supported", f"one of {_SUPPORTED}")

    # Quantization.

    def parameters(self, index: int, node: Any, scale: str, zero: str) -> tuple[Array, Array]:
        for name in (scale, zero):
            if name and name not in self.constants:
                self.refuse(index, node, "a scale or zero point that is no constant", "constants")
        scales = np.atleast_1d(self.constants[scale]).astype(np.float32)
        zeros = self.constants[zero] if zero else np.zeros(1, np.uint8)
        return scales, np.atleast_1d(zeros)

    def of_activation(self, index: int, node: Any, scale: str, zero: str) -> tuple[float, int]:
        """Scale and int8 zero point of an activation."""
        scales, zeros = self.parameters(index, node, scale, zero)
        if len(scales) != 1:
            self.refuse(index, node, f"{len(scales)} scales of an activation", "one")
        if zeros.dtype not in (np.int8, np.uint8):
            self.refuse(index, node, f"{zeros.dtype} activations", "int8 or uint8")
        shift = 128 if zeros.dtype == np.uint8 else 0
        return float(scales[0]), int(zeros[0]) - shift

    def quantize(self, index: int, node: Any) -> None:
        name, output = node.input[0], node.output[0]
        self.quantized.add(output)
        zero = node.input[2] if len(node.input) > 2 else ""
        scale, zero_point = self.of_activation(index, node, node.input[1], zero)
        if name == self.source.name:
            self.begin(index, node, scale, zero_point, output)
            return
        value = self.values.get(name)
        if isinstance(value, _Value):
            tensor = self.build.tensor(value.name)
            if (tensor.scale, tensor.zero_point) != (float(np.float32(scale)), zero_point):
                self.refuse(index, node, "another scale for the same values", "the same scale")
            self.values[output] = value
            return
        if not isinstance(value, _Pending):
            self.refuse(index, node, f"{name!r} is no result of a supported operator", _SUPPORTED)
        self.finish(value, scale, zero_point, output)

    def dequantize(self, index: int, node: Any) -> None:
        name, output = node.input[0], node.output[0]
        zero = node.input[2] if len(node.input) > 2 else ""
        if name in self.constants:
            self.values[output] = self.constant(index, node, name, node.input[1], zero)
        elif isinstance(self.values.get(name), _Value):
            self.values[output] = self.values[name]
        else:
            self.refuse(index, node, f"{name!r} is not quantized", "a quantized tensor")

    def constant(self, index: int, node: Any, name: str, scale: str, zero: str) -> _Constant:
        scales, zeros = self.parameters(index, node, scale, zero)
        values = self.constants[name]
        zeros = zeros if zero else np.zeros(1, values.dtype)
        if values.dtype == np.uint8:  # the same with 128 less
            values, zeros = (values ^ 128).view(np.int8), zeros.astype(np.int64) - 128
        return _Constant(values, scales, zeros)

    def begin(self, index: int, node: Any, scale: float, zero_point: int, output: str) -> None:
        dims = [d.dim_value for d in self.source.type.tensor_type.shape.dim]
        if len(dims) != 4 or min(dims[1:]) < 1 or dims[0] > 1:
            self.refuse(
                index, node, f"the input has shape {dims}", "[1, channels, height, width], fixed"
            )
        _, channels, height, width = dims
        self.builder = GraphBuilder(INPUT, (height, width, channels), scale, zero_point)
        self.values[output] = _Value(INPUT)
        self.tensors[INPUT] = output

    @property
    def build(self) -> GraphBuilder:
        if self.builder is None:
            raise DnaError("the model's input is not quantized first; nearest: QuantizeLinear")
        return self.builder

    # Operators.

    def operand(self, index: int, node: Any, name: str) -> Any:
        if name in self.values:
            value = self.values[name]
            if isinstance(value, _Pending):
                self.refuse(index, node, f"{name!r} is float within the network", "QDQ around it")
            return value
        if name not in self.constants:
            self.refuse(
                index, node, f"{name!r} is float within the network", "QDQ around every operator"
            )
        return self.constants[name]

    def read(self, index: int, node: Any, name: str) -> _Value:
        value = self.values.get(name)
        if not isinstance(value, _Value):
            self.refuse(index, node, f"{name!r} is not a quantized activation", "one")
        return value

    def activation(self, index: int, node: Any) -> None:
        value = self.values.get(node.input[0])
        attributes = _attributes(node)
        kind: Activation = "relu"
        if node.op_type == "Clip":
            bounds = [self.constants.get(name) for name in node.input[1:]]
            found: list[Any] = [float(b) for b in bounds if b is not None] or [
                attributes.get("min"),
                attributes.get("max"),
            ]
            if found != [0.0, 6.0]:
                self.refuse(index, node, f"Clip to {found}", "Relu, or Clip to 0..6")
            kind = "relu6"
        if not isinstance(value, _Pending) or value.activation != "none":
            self.refuse(index, node, "it does not follow Conv, Gemm or Add directly", "fused")
        self.values[node.output[0]] = dataclasses.replace(value, activation=kind)

    def view(self, index: int, node: Any) -> None:
        value = self.values.get(node.input[0])
        if isinstance(value, _Pending):
            self.refuse(index, node, "it reads a float result", "QDQ around every operator")
        source = self.read(index, node, node.input[0])
        self.values[node.output[0]] = _Value(source.name, flat=True)
        if node.input[0] in self.quantized:
            self.quantized.add(node.output[0])

    def integer(self, index: int, node: Any) -> None:
        """An operator of the QOperator form, as the float one between its quantizations."""
        names = list(node.input)
        kind = node.op_type
        if kind in ("QLinearConv", "QGemm", "QLinearMatMul"):
            weights = self.constant(index, node, names[3], names[4], names[5])
            source = self.read(index, node, names[0])
            if kind == "QGemm":
                bias, scale, zero = names[6] if len(names) > 6 else "", names[7], names[8]
            else:
                bias = names[8] if len(names) > 8 else ""
                scale, zero = names[6], names[7]
            inputs: tuple[Any, ...] = (source, weights)
            if bias:
                inputs += (_Constant(self.constants[bias], np.ones(1, np.float32), np.zeros(1)),)
        elif kind == "QLinearAdd":
            inputs = (self.read(index, node, names[0]), self.read(index, node, names[3]))
            scale, zero = names[6], names[7]
        elif kind == "QLinearGlobalAveragePool":
            inputs = (self.read(index, node, names[0]),)
            scale, zero = names[3], names[4]
        else:
            self.refuse(index, node, "this operator is not supported", f"one of {_SUPPORTED}")
        self.quantized.add(node.output[0])
        quantization = self.of_activation(index, node, scale, zero)
        self.finish(_Pending(node, index, inputs), *quantization, node.output[0])

    def finish(self, pending: _Pending, scale: float, zero_point: int, output: str) -> None:
        """Add the operation whose result is ``output``."""
        node, index = pending.node, pending.index
        name = f"{node.op_type.lower()}_{index}"
        source = pending.inputs[0]
        if not isinstance(source, _Value):
            self.refuse(index, node, "its first operand is no activation", "one")
        made: dict[str, Any] = {"scale": scale, "zero_point": zero_point}
        try:
            match node.op_type.removeprefix("QLinear").removeprefix("Q"):
                case "Conv":
                    self.convolution(name, pending, made)
                case "Gemm" | "MatMul":
                    self.dense(name, pending, made)
                case "Add":
                    other = pending.inputs[1]
                    if not isinstance(other, _Value):
                        self.refuse(index, node, "it adds a constant", "two activations")
                    self.build.add(
                        name, source.name, other.name, activation=pending.activation, **made
                    )
                case "MaxPool":
                    kernel, stride, padding = self.window(pending)
                    self.build.max_pool2d(
                        name, source.name, kernel=kernel, stride=stride, padding=padding
                    )
                case "GlobalAveragePool":
                    self.build.mean(name, source.name, keep_dims=True, **made)
        except DnaError as error:
            text = str(error)
            raise DnaError(
                text if text.startswith("node ") else f"node {index} ({node.op_type}): {text}"
            ) from error
        tensor = self.build.tensor(name)
        if (tensor.scale, tensor.zero_point) != (float(np.float32(scale)), zero_point):
            self.refuse(index, node, "its output has another scale than its input", "the same")
        self.values[output] = _Value(name)
        self.tensors[name] = output

    def weights(self, pending: _Pending) -> tuple[_Constant, Array | None]:
        weights = pending.inputs[1]
        if not isinstance(weights, _Constant) or weights.values.dtype != np.int8:
            self.refuse(pending.index, pending.node, "weights that are no int8 constants", "int8")
        if np.any(weights.zero_point):
            self.refuse(pending.index, pending.node, "weights with a zero point", "symmetric ones")
        bias = pending.inputs[2] if len(pending.inputs) > 2 else None
        if bias is not None and (not isinstance(bias, _Constant) or bias.values.dtype != np.int32):
            self.refuse(
                pending.index, pending.node, "a bias that is not int32", "int32, s_in * s_w"
            )
        return weights, None if bias is None else bias.values

    def convolution(self, name: str, pending: _Pending, made: dict[str, Any]) -> None:
        weights, bias = self.weights(pending)
        source = pending.inputs[0]
        channels = len(weights.values)
        attributes = _attributes(pending.node)
        if attributes.get("dilations", [1, 1]) != [1, 1]:
            self.refuse(pending.index, pending.node, "dilations", "1")
        groups = attributes.get("group", 1)
        inputs = self.build.tensor(source.name).shape[-1]
        _, stride, padding = self.window(pending, weights.values.shape[2:])
        constants: dict[str, Any] = {
            "bias": np.zeros(channels, np.int32) if bias is None else bias,
            "weight_scale": np.broadcast_to(weights.scale, channels).astype(np.float32),
        }
        common: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "activation": pending.activation,
        }
        if groups == 1:
            arranged = weights.values.transpose(0, 2, 3, 1)
            self.build.conv2d(name, source.name, weights=arranged, **constants, **common, **made)
        elif groups == inputs:
            self.build.depthwise_conv2d(
                name, source.name, weights=weights.values[:, 0], **constants, **common, **made
            )
        else:
            self.refuse(pending.index, pending.node, f"{groups} groups", "1, or one a channel")

    def dense(self, name: str, pending: _Pending, made: dict[str, Any]) -> None:
        weights, bias = self.weights(pending)
        source = pending.inputs[0]
        attributes = _attributes(pending.node)
        factors = {attributes.get("alpha", 1.0), attributes.get("beta", 1.0)}
        if attributes.get("transA", 0) or factors != {1.0}:
            self.refuse(pending.index, pending.node, "transA, alpha or beta", "0, 1 and 1")
        matrix = weights.values if attributes.get("transB", 0) else weights.values.T
        shape = self.build.tensor(source.name).shape
        if len(shape) == 3 and matrix.shape[1] == np.prod(shape):
            height, width, channels = shape
            matrix = matrix.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            matrix = matrix.reshape(len(matrix), -1)
        self.build.fully_connected(
            name,
            source.name,
            weights=np.ascontiguousarray(matrix),
            bias=np.zeros(len(matrix), np.int32) if bias is None else bias,
            weight_scale=np.broadcast_to(weights.scale, len(matrix)).astype(np.float32),
            activation=pending.activation,
            **made,
        )

    def window(self, pending: _Pending, kernel: tuple[int, ...] = ()) -> tuple[Pair, Pair, Padding]:
        attributes = _attributes(pending.node)
        if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or attributes.get("ceil_mode", 0):
            self.refuse(pending.index, pending.node, "auto_pad or ceil_mode", "explicit pads")
        height, width = kernel or attributes["kernel_shape"]
        rows, columns = attributes.get("strides", [1, 1])
        top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
        return (height, width), (rows, columns), Padding(top, bottom, left, right)


def _attributes(node: Any) -> dict[str, Any]:
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
