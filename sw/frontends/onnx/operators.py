"""The operators of an ONNX file as operations of the graph: builders and handlers by table row.

A float operator of the QDQ form waits until its result is quantized; one of the QOperator form says
so itself. Then its builder adds the operation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from sw.composed.padded import padded
from sw.errors import DnaError
from sw.frontends.onnx.convolutions import LAYOUTS, Layout
from sw.frontends.onnx.moves import Moves
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Constant, Pending, Value
from sw.graph_builder import Output
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Padding
from sw.operators import find


class Computation(Moves):
    """Adds operations to the graph, one node after the other."""

    def compute(self, node: Node) -> None:
        """An operator with a result on the machine."""
        if node.kind in LAYOUTS:
            self.integer(node, LAYOUTS[node.kind])
            return
        inputs = tuple(self.operand(node, name) for name in node.inputs if name)
        kind = self.quantized.get(node.input(0))
        for part, output in enumerate(node.outputs if node.kind == "Split" else node.outputs[:1]):
            pending = Pending(node, inputs, part=part)
            self.values[output] = pending
            if kind is not None:  # a float operator that moves bytes, in the QOperator form
                tensor = self.build.tensor(self.read(node, node.input(0)).name)
                self.finish(pending, tensor.scale, tensor.zero_point, output)
                self.quantized[output] = kind

    def integer(self, node: Node, layout: Layout) -> None:
        """An operator of the QOperator form, as the float one between its quantizations."""
        inputs: list[Any] = []
        for position in range(0, 3 * layout.activations, 3):
            if node.input(position) == self.entry.name:
                self.begin_with_bytes(node, position + 1)
            inputs.append(self.activation_input(node, position))
        if layout.weights is not None:
            name = node.input(layout.weights)
            axis = 0 if node.kind == "QLinearConv" or node.attribute("transB", 0) else -1
            inputs.append(self.constant(node, name, layout.weights + 1, axis))
        if layout.bias is not None:
            inputs.append(self.array(node, layout.bias, "a bias"))
        scale, zero_point, kind = self.quantization(node, layout.output)
        self.finish(Pending(node, tuple(inputs)), scale, zero_point, node.outputs[0])
        self.quantized[node.outputs[0]] = kind

    def read(self, node: Node, name: str) -> Value:
        """A quantized activation, or a float one whose operator has only moved such values."""
        pending = self.values.get(name)
        if not isinstance(pending, Pending) or pending.activation != "none":
            return super().read(node, name)
        row, source = find("onnx", self.spelled(pending.node)), pending.inputs[0]
        if row is None or row.name not in _MOVED or not isinstance(source, Value):
            return super().read(node, name)
        if name not in self.moved:
            tensor = self.build.tensor(source.name)
            self.moved[name] = self._added(pending, tensor.scale, tensor.zero_point)[1]
        return self.moved[name]

    def finish(self, pending: Pending, scale: float, zero_point: int, output: str) -> None:
        """Add the operation whose result is ``output``."""
        name, made = self._added(pending, scale, zero_point)
        self.values[output] = made
        self.tensors[name] = output

    def _added(self, pending: Pending, scale: float, zero_point: int) -> tuple[str, Value]:
        """Add the operation of ``pending``; the name of its result, and how the file sees it."""
        node = pending.node
        row = find("onnx", self.spelled(node))
        if row is None:
            node.unsupported()
        of_two = pending.inputs if node.kind in _OF_TWO else pending.inputs[:1]
        if not any(isinstance(each, Value) for each in of_two):
            node.refuse("its first operand is no activation", "one")
        name = base = f"{node.kind.lower()}_{node.index}"
        again = 1
        while name in self.views:  # the same result with another quantization or activation
            again += 1
            name = f"{base}_{again}"
        try:
            if row.name in _MOVED:
                made = self._moved(pending, row.name, name, pending.output(scale, zero_point))
            else:
                made = BUILDERS[row.name](self, pending, name, pending.output(scale, zero_point))
        except DnaError as error:
            text = str(error)
            raise DnaError(text if text.startswith("node ") else f"{node}: {text}") from error
        if not self.build.quantized_as(name, scale, zero_point):
            node.refuse("its output has another scale than its input", "the same")
        layout = LAYOUTS.get(node.kind)
        several = node.kind in ("Concat", "Max", "Min")
        read = len(node.inputs) if layout or several else _INPUTS.get(node.kind, 1)
        node.finish(read, len(node.outputs) if node.kind == "Split" else 1)
        self.views[name] = made
        return name, made

    def _moved(self, pending: Pending, row: str, name: str, output: Output) -> Value:
        """What moves values, or chooses among them, and what gives them another quantization."""
        source = self.build.tensor(pending.inputs[0].name)
        plain = Output(source.scale, source.zero_point)
        if self.build.quantized_as(source.name, output.scale, output.zero_point):
            return BUILDERS[row](self, pending, name, output)
        alone = dataclasses.replace(pending, activation="none")
        moved = BUILDERS[row](self, alone, f"{name}.moved", plain)
        return dataclasses.replace(
            moved, name=self.looked_up(pending.node, name, moved.name, output)
        )

    # Builders.

    def fully_connected(self, pending: Pending, name: str, output: Output) -> Value:
        """Gemm and MatMul of one row."""
        node, value = pending.node, pending.inputs[0]
        node.expect("alpha", 1.0)
        node.expect("beta", 1.0)
        node.expect("transA", 0)
        transposed = bool(node.attribute("transB", 0))
        weights = self.weights(pending, 2, 0 if transposed else 1)
        matrix = weights.values if transposed else weights.values.T
        shape = self.build.tensor(value.name).shape
        if len(shape) == 3 and not value.flat:
            node.refuse(f"it multiplies a map of {list(shape)}", "Flatten in front of it")
        if len(shape) == 3 and matrix.shape[1] == math.prod(shape):
            height, width, channels = shape
            if not value.last:
                matrix = matrix.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            matrix = matrix.reshape(len(matrix), -1)
        weights = dataclasses.replace(weights, values=np.ascontiguousarray(matrix))
        return Value(self.build.fully_connected(name, value.name, weights, output))

    def max_pool(self, pending: Pending, name: str, output: Output) -> Value:
        """MaxPool."""
        node = pending.node
        node.expect("storage_order", 0)
        window = self.window(node)
        pads = window.padding
        if max(pads.top, pads.bottom) >= window.kernel[0] or (
            max(pads.left, pads.right) >= window.kernel[1]
        ):
            node.refuse(f"a window of {list(window.kernel)} within {pads}", "less padding")
        made = self.build.max_pool2d(
            name, self.source(pending), window, activation=output.activation
        )
        return Value(made)

    def average_pool(self, pending: Pending, name: str, output: Output) -> Value:
        """AveragePool: halves go to even, so a convolution computes it where every count is one.

        Where padding does not count, an average-pool does, whose halves go away from zero.
        """
        node = pending.node
        window = self.window(node)
        counts = node.attribute("count_include_pad", 0)
        node.expect("channels_last", 0)
        source = self.source(pending)
        if counts or window.padding == Padding():
            return Value(self.build.counting_average(name, source, output, window))
        made = self.build.average_pool2d(name, source, window, activation=output.activation)
        return Value(made)

    def mean(self, pending: Pending, name: str, output: Output) -> Value:
        """GlobalAveragePool, and ReduceMean of height and width."""
        node, keep = pending.node, True
        inner: tuple[int, ...] = (0, 1)
        if node.kind == "ReduceMean":
            axes = self.axes(node)
            over = {axis % 4 for axis in axes or []}
            keep = bool(node.attribute("keepdims", 1))
            if axes is None or not over or not over <= {2, 3} or (len(over) == 1 and not keep):
                node.refuse(f"axes {axes}", "axes 2 and 3, height and width, or one that stays")
            inner = tuple(sorted(axis - 2 for axis in over))
            node.attribute("noop_with_empty_axes", 0)
        node.expect("channels_last", 0)
        source = self.source(pending)
        return Value(self.build.mean(name, source, output, keep_dims=keep, axes=inner))

    def padding(self, pending: Pending, name: str, output: Output) -> Value:
        """Pad with zeros."""
        node, source = pending.node, self.source(pending)
        node.expect("mode", "constant")
        amounts = self.array(node, 1, "padding")
        once = node.attribute("pads", None)  # until opset 10, of float tensors only
        if amounts is None and once is not None and node.input(0) not in self.quantized:
            node.expect("value", 0.0)
            amounts = np.array(once)
        if amounts is None or amounts.shape != (8,) or node.input(3):
            node.refuse("padding of some axes only", "eight amounts")
        filler = pending.inputs[2] if node.input(2) else None
        if isinstance(filler, Value) or (isinstance(filler, np.ndarray) and filler.size != 1):
            node.refuse("padding with more than one value", "zero")
        value = self.filler(pending, filler, output)
        before, after = amounts[:4].tolist(), amounts[4:].tolist()
        if any((*before[:2], *after[:2])):
            node.refuse("padding of batch or channels", "height and width")
        pads = Padding(before[2], after[2], before[3], after[3])
        source = self.requantized(node, f"{name}.in", source, output)
        if value == output.zero_point or pads == Padding():
            return Value(self.build.identity(name, source, padding=pads))
        return Value(padded(self.build, name, source, pads, value))

    def filler(self, pending: Pending, filler: Any, output: Output) -> int:
        """The int8 value that a Pad pads with."""
        kind = self.quantized.get(pending.node.input(0))
        if isinstance(filler, Constant):
            real = (filler.values.astype(np.float64) - filler.zero_point) * filler.scale
        elif filler is None or kind is None:
            real = np.zeros(1) if filler is None else filler
        else:
            return int(filler.item()) - (128 if kind == np.uint8 else 0)
        steps = np.rint(np.float32(np.asarray(real).item()) / np.float32(output.scale))
        return int(np.clip(steps + output.zero_point, INT8_MIN, INT8_MAX))


_MOVED = ("slice", "nearest resize", "interleaving", "max-pool")
"""Rows whose results are values that they read; so it is the same to quantize anew before them or
behind them."""
_OF_TWO = ("Add", "Sub", "Mul", "Div", "Max", "Min")
"""What may have a number in front of its activation."""
_INPUTS = {
    "Clip": 3,
    "Conv": 3,
    "ConvTranspose": 3,
    "Gemm": 3,
    "MatMul": 2,
    "Add": 2,
    "Pad": 3,
    "ReduceMean": 2,
    "Sub": 2,
    "Mul": 2,
    "Div": 2,
    "PRelu": 2,
    "Slice": 5,
    "Split": 2,
    "Resize": 4,
}
"""Inputs that builders of the float form read, where it is not one."""

Builder = Callable[[Computation, Pending, str, Output], Value]
BUILDERS: dict[str, Builder] = {
    "convolution": Computation.convolution,
    "depthwise convolution": Computation.depthwise_convolution,
    "grouped convolution": Computation.grouped_convolution,
    "transposed convolution": Computation.transposed_convolution,
    "interleaving": Computation.interleaving,
    "fully connected": Computation.fully_connected,
    "addition": Computation.addition,
    "multiplication": Computation.multiplication,
    "extremum": Computation.extremum,
    "function": Computation.function,
    "parametric ReLU": Computation.parametric,
    "concatenation": Computation.concatenation,
    "slice": Computation.slice,
    "nearest resize": Computation.resize,
    "bilinear resize": Computation.resize,
    "max-pool": Computation.max_pool,
    "average-pool": Computation.average_pool,
    "mean": Computation.mean,
    "padding": Computation.padding,
    "activation": Computation.activation_alone,
}
"""What adds the operation of each row."""
