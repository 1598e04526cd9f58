"""ONNX models that ONNX Runtime has quantized statically, to the integer graph.

Both forms are read: QDQ, where QuantizeLinear and DequantizeLinear surround float operators, and
QOperator, where the operators themselves are integer. Activations are int8 or uint8 with a scale
for the tensor (uint8 with zero point z is int8 with z - 128), weights int8 without zero point.
Feature maps turn from channels first to channels last.

Whatever field of a node nobody reads is refused. The graph computes by the contract of
docs/numerics.md. ONNX Runtime's convolution does too; its addition and averages do not always:
``sim.compare.onnx`` counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from sw.errors import DnaError
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.operators import BUILDERS, Computation
from sw.frontends.onnx.passage import Passage
from sw.frontends.onnx.values import Hosted, Pending, Value
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.operators import find, spellings

INPUT = "input"


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
        return _Importer(model.graph).run()
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error


class _Importer(Computation, Passage):
    def __init__(self, graph: Any) -> None:
        super().__init__({item.name: numpy_helper.to_array(item) for item in graph.initializer})
        self.file = graph
        self.finished: dict[str, Value] = {}  # by the name of the float result

    def run(self) -> Imported:
        inputs = [item for item in self.file.input if item.name not in self.constants]
        if len(inputs) != 1 or len(self.file.output) != 1:
            raise DnaError(
                f"the model has {len(inputs)} inputs and {len(self.file.output)} outputs; "
                "supported is one of each"
            )
        self.entry = inputs[0]
        for index, proto in enumerate(self.file.node):
            self.node(Node(index, proto))
        graph = self.build.finish(self.exit().name)
        return Imported(graph, self.tensors, self.entry.name, len(self.file.node))

    def node(self, node: Node) -> None:
        row = find("onnx", self.spelled(node))
        if row is None and node.attribute("group", 1) != 1:
            node.refuse(f"{node.attribute('group', 1)} groups", "1, or one a channel")
        if row is None:
            node.unsupported()
        HANDLERS[row.name](self, node)

    def exit(self) -> Value:
        """The tensor that the model ends with."""
        value = self.values.get(self.file.output[0].name)
        if isinstance(value, Hosted):
            value = value.value
        if not isinstance(value, Value):
            raise DnaError("the model's output is not a quantized tensor or its DequantizeLinear")
        shape = self.build.tensor(value.name).shape
        if value.flat and shape[:-1] != (1, 1):
            raise DnaError(
                f"the model's output is a flattened map of {list(shape)}, whose order would be "
                "another; nearest: the map itself, or Gemm behind it"
            )
        return value

    def quantization_node(self, node: Node) -> None:
        """QuantizeLinear and DequantizeLinear."""
        axis = node.attribute("axis", 1)
        node.expect("block_size", 0)
        node.expect("saturate", 1)
        node.expect("precision", 0)
        if node.kind == "QuantizeLinear":
            self.quantize(node)
        else:
            self.dequantize(node, axis)
        node.finish(3)

    def quantize(self, node: Node) -> None:
        name, output = node.input(0), node.outputs[0]
        scale, zero_point, kind = self.quantization(node, 1)
        code = onnx.helper.np_dtype_to_tensor_dtype(kind)
        if node.attribute("output_dtype", 0) not in (0, code):
            node.refuse("another type than its zero point", "the same")
        self.quantized[output] = kind
        value = self.finished.get(name, self.values.get(name))
        if name == self.entry.name:
            self.values[output] = self.begin(node, scale, zero_point, output)
        elif isinstance(value, Hosted):
            self.values[output] = value
        elif isinstance(value, Value):
            self.check(node, value, scale, zero_point)
            self.values[output] = value
        elif isinstance(value, Pending):
            self.finish(value, scale, zero_point, output)
            self.finished[name] = self.values[output]
        else:
            node.refuse(
                f"{name!r} is no result of a supported operator", f"one of {spellings('onnx')}"
            )

    def dequantize(self, node: Node, axis: int) -> None:
        name, output = node.input(0), node.outputs[0]
        value = self.values.get(name)
        if node.attribute("output_dtype", 0) not in (0, onnx.TensorProto.FLOAT):
            node.refuse("another type than float32", "float32")
        if name in self.constants:
            self.values[output] = self.constant(node, name, 1, axis)
        elif isinstance(value, Hosted):
            self.values[output] = value
        elif isinstance(value, Value):
            self.check(node, value, *self.quantization(node, 1, self.quantized[name])[:2])
            self.values[output] = value
        else:
            node.refuse(f"{name!r} is not quantized", "a quantized tensor")

    def begin(self, node: Node, scale: float, zero_point: int, output: str) -> Value:
        """The network's input, quantized; once more if it has several readers."""
        if self.builder is not None:
            self.check(node, Value(INPUT), scale, zero_point)
            return Value(INPUT)
        kind = self.entry.type.tensor_type
        dims = [d.dim_value for d in kind.shape.dim]
        if kind.elem_type != onnx.TensorProto.FLOAT:
            node.refuse("an input that is not float32", "float32")
        if len(dims) != 4 or min(dims[1:]) < 1 or dims[0] > 1:
            node.refuse(f"the input has shape {dims}", "[1, channels, height, width], fixed")
        _, channels, height, width = dims
        self.builder = GraphBuilder(INPUT, (height, width, channels), scale, zero_point)
        self.tensors[INPUT] = output
        return Value(INPUT)

    def constant_node(self, node: Node) -> None:
        """Constant."""
        value = node.attribute("value", None)
        node.finish(0)
        if value is None:
            node.refuse("a constant without a tensor", "attribute value")
        self.constants[node.outputs[0]] = numpy_helper.to_array(value)


HANDLERS: dict[str, Callable[[_Importer, Node], None]] = {
    **dict.fromkeys(BUILDERS, Computation.compute),
    "activation": Passage.activation,
    "view": Passage.view,
    "softmax": Passage.softmax,
    "quantization": _Importer.quantization_node,
    "shape arithmetic": _Importer.constant_node,
}
"""What each row of the table of operators becomes."""
