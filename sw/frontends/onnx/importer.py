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

import numpy as np
import onnx
from onnx import numpy_helper

from sw.errors import DnaError
from sw.frontends.onnx.host import Host
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.operators import BUILDERS, Computation
from sw.frontends.onnx.passage import Passage
from sw.frontends.onnx.values import Array, Hosted, Pending, Source, Value
from sw.graph import Graph
from sw.operators import find, spellings


@dataclasses.dataclass(frozen=True)
class End:
    """An output of the graph.

    Attributes:
        value: how the file sees it, where the host begins.
        border: name of the file's tensor that holds it so.
    """

    value: Value
    border: str


@dataclasses.dataclass(frozen=True)
class Imported:
    """A model as the integer graph.

    Attributes:
        graph: the network, int8 in and out, channels last.
        tensors: of the graph by name, the quantized tensors of the file with the same values.
        views: of the graph's results by name, how the file sees those.
        input: name of the input of the file.
        input_last: whether that has its channels last, as the graph's has.
        ends: the graph's outputs, in its order.
        nodes: of the file, quantization included.
        notes: what whoever uses the graph has to know, a sentence each.
    """

    graph: Graph
    tensors: dict[str, str]
    views: dict[str, Value]
    input: str
    input_last: bool
    ends: tuple[End, ...]
    nodes: int
    notes: tuple[str, ...]


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
        if model.functions or model.graph.sparse_initializer:
            raise DnaError("functions or sparse constants; nearest: plain nodes and tensors")
        return _Importer(model.graph).run()
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error


class _Importer(Computation, Passage, Host):
    def __init__(self, graph: Any) -> None:
        super().__init__({item.name: numpy_helper.to_array(item) for item in graph.initializer})
        self.file = graph
        self.finished: dict[tuple[str, float, int], Value] = {}
        """By the name of the float result and its quantization."""

    def run(self) -> Imported:
        inputs = [item for item in self.file.input if item.name not in self.constants]
        if len(inputs) != 1 or not self.file.output:
            raise DnaError(
                f"the model has {len(inputs)} inputs and {len(self.file.output)} outputs; "
                "supported is one input, and one output or more"
            )
        self.enter(self.file, inputs[0])
        for index, proto in enumerate(self.file.node):
            self.node(Node(index, proto, self.alias))
        ends: dict[str, End] = {}
        for output in self.file.output:
            end = self.exit(output.name)
            ends.setdefault(end.value.name, end)
        return Imported(
            graph=self.build.finish(*ends),
            tensors=self.tensors,
            views=self.views,
            input=self.entry.name,
            input_last=self.last,
            ends=tuple(ends.values()),
            nodes=len(self.file.node),
            notes=tuple(self.notes),
        )

    def node(self, node: Node) -> None:
        row = find("onnx", self.spelled(node))
        if row is None and node.attribute("group", 1) != 1:
            node.refuse(f"{node.attribute('group', 1)} groups", "1, or one a channel")
        if row is None:
            node.unsupported()
        HANDLERS[row.name](self, node)

    def exit(self, border: str) -> End:
        """The tensor that the machine ends with for an output of the file."""
        found = self.values.get(self.alias.get(border, border))
        value = found
        if isinstance(found, Hosted):
            value, border = found.value, found.border
        if not isinstance(value, Value):
            raise DnaError("the model's output is not a quantized tensor or its DequantizeLinear")
        if not len(self.tensors) > 1:
            raise DnaError("the model has no operator that the machine would run")
        shape = self.build.tensor(value.name).shape
        if len(shape) == 3 and shape[:2] != (1, 1) and not value.last:
            self.notes.append(
                f"the output of the artifact is {list(shape)}, height, width, channels; "
                f"in the file it is {self.seen(value)}, channels first"
            )
        return End(value, border)

    def quantization_node(self, node: Node) -> None:
        """QuantizeLinear and DequantizeLinear."""
        axis = node.attribute("axis", 1)
        node.expect("block_size", 0)
        node.expect("saturate", 1)
        node.expect("precision", 0)
        if node.kind == "QuantizeLinear":
            self.quantize(node, axis)
        else:
            self.dequantize(node, axis)
        node.finish(3)

    def quantize(self, node: Node, axis: int) -> None:
        name, output = node.input(0), node.outputs[0]
        if name in self.constants:
            self.constants[output] = self.quantized_constant(node, axis)
            return
        scale, zero_point, kind = self.quantization(node, 1)
        code = onnx.helper.np_dtype_to_tensor_dtype(kind)
        if node.attribute("output_dtype", 0) not in (0, code):
            node.refuse("another type than its zero point", "the same")
        self.quantized[output] = kind
        value, key = self.values.get(name), (name, scale, zero_point)
        if isinstance(value, Source):
            self.values[output] = self.begin(node, scale, zero_point, output, last=value.last)
        elif isinstance(value, Hosted):
            self.values[output] = value
        elif isinstance(value, Value):
            self.check(node, value, scale, zero_point)
            self.values[output] = value
        elif key in self.finished:
            self.values[output] = self.finished[key]
        elif isinstance(value, Pending):
            self.finish(value, scale, zero_point, output)
            self.finished[key] = self.values[output]
        else:
            node.refuse(
                f"{name!r} is no result of a supported operator", f"one of {spellings('onnx')}"
            )

    def dequantize(self, node: Node, axis: int) -> None:
        name, output = node.input(0), node.outputs[0]
        if name == self.entry.name:
            self.begin_with_bytes(node, 1)
        value = self.values.get(name)
        if node.attribute("output_dtype", 0) not in (0, onnx.TensorProto.FLOAT):
            node.refuse("another type than float32", "float32")
        if name in self.constants:
            self.values[output] = self.constant(node, name, 1, axis)
        elif isinstance(value, Hosted):
            self.values[output] = value
        elif isinstance(value, Value):
            self.check_read(node, value, 0)
            self.values[output] = value
        else:
            node.refuse(f"{name!r} is not quantized", "a quantized tensor")

    def constant_node(self, node: Node) -> None:
        """Constant, in any form that holds numbers."""
        given = {form: node.attribute(form, None) for form in CONSTANTS}
        node.finish(0)
        for form, value in given.items():
            if value is not None:
                self.constants[node.outputs[0]] = CONSTANTS[form](value)
                return
        node.refuse("a constant without numbers", f"one of {', '.join(CONSTANTS)}")


CONSTANTS: dict[str, Callable[[Any], Array]] = {
    "value": numpy_helper.to_array,
    "value_float": lambda value: np.array(value, np.float32),
    "value_floats": lambda value: np.array(value, np.float32),
    "value_int": lambda value: np.array(value, np.int64),
    "value_ints": lambda value: np.array(value, np.int64),
}
"""The attributes of Constant that are read, and what makes arrays of them."""

HANDLERS: dict[str, Callable[[_Importer, Node], None]] = {
    **dict.fromkeys(BUILDERS, Computation.compute),
    "activation": Passage.activation,
    "view": Passage.view,
    "softmax": Host.softmax,
    "quantization": _Importer.quantization_node,
    "shape arithmetic": _Importer.constant_node,
}
"""What each row of the table of operators becomes."""
