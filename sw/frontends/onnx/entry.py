"""The input of an ONNX file: float with a QuantizeLinear behind it, or bytes with their scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from sw.errors import DnaError
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Source, Value, Values
from sw.graph_builder import GraphBuilder

INPUT = "input"
TO_FIRST = [0, 3, 1, 2]
"""The Transpose that puts the channels first, behind the input of what came from TensorFlow."""
TO_LAST = [0, 2, 3, 1]

_PASSING = ("QuantizeLinear", "DequantizeLinear", "Identity", "Dropout")
_BYTES = {onnx.TensorProto.INT8: np.dtype(np.int8), onnx.TensorProto.UINT8: np.dtype(np.uint8)}


def channels_first_later(file: Any, name: str) -> bool:
    """Whether all that reads the input ``name`` puts its channels first before it computes."""
    names, readers = {name}, []
    for node in file.node:
        if not names & set(node.input):
            continue
        if node.op_type in _PASSING:
            names.add(node.output[0])
        else:
            perm = [list(item.ints) for item in node.attribute if item.name == "perm"]
            readers.append(node.op_type == "Transpose" and perm == [TO_FIRST])
    return bool(readers) and all(readers)


class Entry(Values):
    """Begins the graph at the network's input.

    Attributes:
        entry: the input of the file.
        last: whether its channels are last.
    """

    entry: Any
    last: bool

    def enter(self, file: Any, entry: Any) -> None:
        """Look at the input of ``file`` before its first node.

        Raises:
            DnaError: it is neither float32 nor bytes.
        """
        self.entry, self.last = entry, channels_first_later(file, entry.name)
        kind = entry.type.tensor_type.elem_type
        if kind == onnx.TensorProto.FLOAT:
            self.values[entry.name] = Source(self.last)
        elif kind in _BYTES:
            self.quantized[entry.name] = _BYTES[kind]
        else:
            raise DnaError(
                f"the input is {onnx.TensorProto.DataType.Name(kind)}; nearest: a float input with "
                "a QuantizeLinear, or INT8 or UINT8"
            )

    def begin(self, node: Node, scale: float, zero_point: int, held: str, *, last: bool) -> Value:
        """The network's input, quantized; once more if it has several readers.

        Args:
            held: the file's tensor with its bytes.
            last: whether that has its channels last.
        """
        value = Value(INPUT, last=last)
        if self.builder is not None:
            self.check(node, value, scale, zero_point)
            return value
        dims = [d.dim_value for d in self.entry.type.tensor_type.shape.dim]
        if len(dims) != 4 or min(dims[1:]) < 1 or dims[0] > 1:
            order = "height, width, channels" if self.last else "channels, height, width"
            node.refuse(f"the input has shape {dims}", f"[1, {order}], fixed")
        sizes = dims[1:] if self.last else [*dims[2:], dims[1]]
        self.builder = GraphBuilder(INPUT, tuple(sizes), scale, zero_point)
        self.tensors[INPUT] = held
        return value

    def begin_with_bytes(self, node: Node, position: int) -> None:
        """An input that is quantized in the file, when its first reader says how.

        Args:
            position: of its scale among the inputs of ``node``.
        """
        name = self.entry.name
        if name in self.quantized and name not in self.values:
            scale, zero_point, _ = self.quantization(node, position, self.quantized[name])
            self.values[name] = self.begin(node, scale, zero_point, name, last=self.last)
