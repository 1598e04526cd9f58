"""Functions of a value in an ONNX file: all 256 results of each, from ONNX Runtime itself.

Within a file such an operator stands between a DequantizeLinear and a QuantizeLinear, so its result
for a value hangs on nothing but that value, the two quantizations and its attributes. The three
nodes are run once with every value there is, each on its own, as the file says.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from sw.errors import DnaError
from sw.frontends.onnx.convolutions import Convolutions
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Constant, Pending, Value
from sw.frontends.tflite.functions.prelu import VALUES, prelu
from sw.graph_builder import Output
from sw.host.extras import needs
from sw.numerics import BYTES
from sw.operations import Tensor

Int8 = npt.NDArray[np.int8]
F32Array = npt.NDArray[np.float32]

OPSET, IR = 20, 9
INTEGER = "QLinear"
"""In front of the names of the QOperator form."""
OUTPUT_ZERO = 4
"""Position of the zero point of the result there."""
ATTRIBUTES: dict[str, dict[str, float]] = {
    "Sigmoid": {},
    "Tanh": {},
    "HardSwish": {},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
    "Elu": {"alpha": 1.0},
    "PRelu": {},
}
"""Of each operator, with their defaults."""


class Functions(Convolutions):
    """Adds them to the graph."""

    def function(self, pending: Pending, name: str, output: Output) -> Value:
        """Sigmoid and its like, and Div by a number or of one."""
        node, value = pending.node, pending.inputs[0]
        if node.kind == "Div":
            made = self.by_number(pending, name, output)
            return made or node.refuse("it divides by something else", "by one number")
        if node.kind.startswith(INTEGER) and not node.input(OUTPUT_ZERO):
            node.refuse("its output has no zero point", "one")  # ONNX Runtime ends the process
        kind = node.kind.removeprefix(INTEGER)
        given = {what: node.attribute(what, default) for what, default in ATTRIBUTES[kind].items()}
        for what, number in given.items():
            if not math.isfinite(number):
                node.refuse(f"{what} {number}", "a number")
        table = self.looked_up(node, name, value.name, output, kind, given)
        found: Value = dataclasses.replace(value, name=table)
        return found

    def activation_alone(self, pending: Pending, name: str, output: Output) -> Value:
        """Relu and Clip between quantizations of their own."""
        value = pending.inputs[0]
        made = self.looked_up(pending.node, name, value.name, output)
        found: Value = dataclasses.replace(value, name=made)
        return found

    def requantized(self, node: Node, name: str, x: str, output: Output) -> str:
        """A map with the quantization of a result; itself, if it has that."""
        if self.build.quantized_as(x, output.scale, output.zero_point):
            return x
        return self.looked_up(node, name, x, Output(output.scale, output.zero_point))

    def looked_up(
        self,
        node: Node,
        name: str,
        x: str,
        output: Output,
        kind: str | None = None,
        given: Mapping[str, float] = MappingProxyType({}),
        number: F32Array | None = None,
        *,
        first: bool = False,
    ) -> str:
        """What an operator gives for each value of ``x``; None: it is only quantized anew.

        An activation of ``output`` bounds the result.

        Args:
            given: attributes of the operator.
            number: its other operand.
            first: whether that is its first one.
        """
        source = self.build.tensor(x)
        table = _results(node, source, output, kind, given, number, first=first).reshape(BYTES)
        bounded = np.clip(table, *output.bounds).astype(np.int8)
        return self.build.table(name, x, bounded, Output(output.scale, output.zero_point))

    def by_number(self, pending: Pending, name: str, output: Output) -> Value | None:
        """An operator of activations and one number, in any order; None: it is of something else.

        Args:
            pending: of two operands.
        """
        node, operands = pending.node, pending.inputs
        values = [each for each in operands if isinstance(each, Value)]
        if len(operands) != 2 or len(values) != 1:
            return None
        (value,), first = values, not isinstance(operands[0], Value)
        number = _real(operands[0 if first else 1])
        rank = 2 if value.flat or self._rank(value) == 1 else 4
        if number is None or number.size != 1 or number.ndim > rank:
            return None
        made = self.looked_up(node, name, value.name, output, node.kind, {}, number, first=first)
        found: Value = dataclasses.replace(value, name=made)
        return found

    def parametric(self, pending: Pending, name: str, output: Output) -> Value:
        """PRelu with a slope for each channel, or one for all."""
        node, value = pending.node, pending.inputs[0]
        source = self.build.tensor(value.name)
        slopes = self._slopes(pending, source.shape[-1])
        tables = _results(node, source, output, "PRelu", {}, slopes)
        if len(slopes) == 1:
            made = self.build.table(name, value.name, tables.reshape(BYTES), output)
        else:
            made = prelu(self.build, name, self.source(pending), output, tables)
        found: Value = dataclasses.replace(value, name=made)
        return found

    def _slopes(self, pending: Pending, channels: int) -> F32Array:
        """The slopes of a PRelu as the file computes with them: one, or one a channel."""
        node, given = pending.node, pending.inputs[1]
        if isinstance(given, Value) or given is None:
            node.refuse("slopes that are no constant", "constant ones")
        slopes = _real(given)
        if slopes is None:
            node.refuse("several scales of the slopes", "one")
        shape = slopes.shape
        along = shape[-3] if len(shape) >= 3 else 1
        if math.prod(shape) not in (1, along) or along not in (1, channels):
            node.refuse(f"slopes of shape {list(shape)}", f"one, or [{channels}, 1, 1]")
        return slopes.reshape(-1)


def _real(operand: Any) -> F32Array | None:
    """A constant as the file computes with it; None if it has several scales."""
    if not isinstance(operand, Constant):
        return np.asarray(operand, np.float32)
    if operand.scale.size != 1:
        return None
    steps = operand.values.astype(np.float32) - operand.zero_point.astype(np.float32)
    return np.asarray(steps * operand.scale.reshape(()), np.float32)


def _results(
    node: Node,
    source: Tensor,
    output: Output,
    kind: str | None,
    given: Mapping[str, float],
    operand: F32Array | None = None,
    *,
    first: bool = False,
) -> Int8:
    """ONNX Runtime's results by the value's byte: int8 [256, values of the operand, or 1].

    Args:
        node: for messages.
        source: what is read.
        output: how the result is quantized.
        kind: of the float operator; None: there is none between the two quantizations.
        given: its attributes.
        operand: its other operand, one or several for as many channels.
        first: whether that is its first one.

    Raises:
        DnaError: ONNX Runtime refuses it with these numbers.
    """
    count = 1 if operand is None else operand.size
    constants: dict[str, Any] = {
        "x_scale": np.float32(source.scale),
        "x_zero": np.int8(source.zero_point),
        "y_scale": np.float32(output.scale),
        "y_zero": np.int8(output.zero_point),
    }
    reads = ["f"]
    if operand is not None:
        constants["operand"] = operand.reshape(-1, 1, 1)
        reads = ["operand", "f"] if first else ["f", "operand"]
    between = [] if kind is None else [helper.make_node(kind, reads, ["g"], **given)]
    last = "f" if kind is None else "g"
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["f"]),
        *between,
        helper.make_node("QuantizeLinear", [last, "y_scale", "y_zero"], ["y"]),
    ]
    shape = [1, count, BYTES, 1]
    graph = helper.make_graph(
        nodes,
        "function",
        [helper.make_tensor_value_info("x", TensorProto.INT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.INT8, shape)],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
    values = np.broadcast_to(VALUES.reshape(1, 1, BYTES, 1), shape).copy()
    results: Int8 = _run(model, values, node).reshape(count, BYTES).T
    return results


def _run(model: onnx.ModelProto, values: Int8, node: Node) -> Any:
    with needs("bench"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # an error is raised, too
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(None, {"x": values})[0]
    except Exception as error:  # its exceptions have no class of their own
        reason = " ".join(str(error).split())
        raise DnaError(f"{node}: ONNX Runtime refuses it: {reason[:200]}") from error
