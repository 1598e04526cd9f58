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

from sw.errors import DnaError
from sw.frontends.onnx.entry import TO_FIRST, Entry
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Array, Constant, Pending, Value
from sw.graph_builder import Output, Weights, Window
from sw.operations import Padding, Pair
from sw.operators import find

BIAS_SCALE_ERROR = 1e-6
"""Relative; quantizers round the product of two scales in their own ways."""


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Positions of inputs of an operator of the QOperator form.

    Attributes:
        output: scale of its result; the zero point is behind it.
        weights, bias: of a weighted operator; the scales stand behind the weights.
        activations: how many come first, each with scale and zero point.
    """

    output: int
    weights: int | None = None
    bias: int | None = None
    activations: int = 1


LAYOUTS = {
    "QLinearConv": _Layout(output=6, weights=3, bias=8),
    "QLinearMatMul": _Layout(output=6, weights=3),
    "QGemm": _Layout(output=7, weights=3, bias=6),
    "QLinearAdd": _Layout(output=6, activations=2),
    "QLinearAveragePool": _Layout(output=3),
    "QLinearGlobalAveragePool": _Layout(output=3),
}


class Computation(Entry):
    """Adds operations to the graph, one node after the other."""

    def compute(self, node: Node) -> None:
        """An operator with a result on the machine."""
        if node.kind in LAYOUTS:
            self.integer(node, LAYOUTS[node.kind])
            return
        pending = Pending(node, tuple(self.operand(node, name) for name in node.inputs if name))
        self.values[node.outputs[0]] = pending
        kind = self.quantized.get(node.input(0))
        if kind is not None:  # a float operator that moves bytes, in the QOperator form
            tensor = self.build.tensor(self.read(node, node.input(0)).name)
            self.finish(pending, tensor.scale, tensor.zero_point, node.outputs[0])
            self.quantized[node.outputs[0]] = kind

    def integer(self, node: Node, layout: _Layout) -> None:
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

    def finish(self, pending: Pending, scale: float, zero_point: int, output: str) -> None:
        """Add the operation whose result is ``output``."""
        node = pending.node
        row = find("onnx", self.spelled(node))
        if row is None:
            node.unsupported()
        source = pending.inputs[0]
        if not isinstance(source, Value):
            node.refuse("its first operand is no activation", "one")
        name = base = f"{node.kind.lower()}_{node.index}"
        again = 1
        while name in self.tensors:  # the same result with another quantization or activation
            again += 1
            name = f"{base}_{again}"
        try:
            made = BUILDERS[row.name](self, pending, name, pending.output(scale, zero_point))
        except DnaError as error:
            text = str(error)
            raise DnaError(text if text.startswith("node ") else f"{node}: {text}") from error
        tensor = self.build.tensor(name)
        if (tensor.scale, tensor.zero_point) != (float(np.float32(scale)), zero_point):
            node.refuse("its output has another scale than its input", "the same")
        layout = LAYOUTS.get(node.kind)
        node.finish(len(node.inputs) if layout else _INPUTS.get(node.kind, 1))
        self.values[output] = self.views[name] = made
        self.tensors[name] = output

    # Builders.

    def source(self, pending: Pending) -> str:
        """The feature map that an operator reads."""
        value: Value = pending.inputs[0]
        if value.flat:
            pending.node.refuse("its input was flattened", "Flatten in front of Gemm or MatMul")
        if value.last:
            pending.node.refuse("its input has the channels last", f"Transpose {TO_FIRST} in front")
        return value.name

    def convolution(self, pending: Pending, name: str, output: Output) -> Value:
        """Conv with one group."""
        weights = self.weights(pending, 4, 0)
        window = self.window(pending.node, weights.values.shape[2:])
        weights = dataclasses.replace(weights, values=weights.values.transpose(0, 2, 3, 1))
        return Value(self.build.conv2d(name, self.source(pending), weights, output, window))

    def depthwise_convolution(self, pending: Pending, name: str, output: Output) -> Value:
        """Conv with a group for each channel."""
        weights = self.weights(pending, 4, 0)
        if weights.values.shape[1] != 1:
            pending.node.refuse(f"weights {list(weights.values.shape)}", "[out, 1, height, width]")
        window = self.window(pending.node, weights.values.shape[2:])
        weights = dataclasses.replace(weights, values=weights.values[:, 0])
        source = self.source(pending)
        return Value(self.build.depthwise_conv2d(name, source, weights, output, window))

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

    def addition(self, pending: Pending, name: str, output: Output) -> Value:
        """Add of two activations."""
        left: Value = pending.inputs[0]
        right = pending.inputs[1]
        if not isinstance(right, Value):
            pending.node.refuse("it adds a constant", "two activations")
        if (left.flat, left.last) != (right.flat, right.last):
            pending.node.refuse("it adds a map and a flat tensor", "two of one shape and order")
        made = self.build.add(name, left.name, right.name, output)
        return dataclasses.replace(left, name=made)

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
        if node.kind == "ReduceMean":
            axes = self.axes(node)
            if axes is None or {axis % 4 for axis in axes} != {2, 3}:
                node.refuse(f"axes {axes}", "axes 2 and 3, height and width")
            keep = bool(node.attribute("keepdims", 1))
            node.attribute("noop_with_empty_axes", 0)
        node.expect("channels_last", 0)
        return Value(self.build.mean(name, self.source(pending), output, keep_dims=keep))

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
        if isinstance(filler, Constant):
            zero = bool((filler.values == filler.zero_point).all())
        else:
            kind = self.quantized.get(node.input(0))
            shift = 128 if kind == np.uint8 else 0
            target = 0 if kind is None else output.zero_point + shift
            zero = float(0 if filler is None else filler.item()) == target
        if not zero:
            node.refuse("padding with another value than zero", "zero")
        before, after = amounts[:4].tolist(), amounts[4:].tolist()
        if any((*before[:2], *after[:2])):
            node.refuse("padding of batch or channels", "height and width")
        pads = Padding(before[2], after[2], before[3], after[3])
        return Value(self.build.identity(name, source, padding=pads))

    def activation_alone(self, pending: Pending, name: str, output: Output) -> Value:
        """Relu and Clip between quantizations of their own."""
        return Value(self.build.bounded(name, self.source(pending), output))

    def weights(self, pending: Pending, rank: int, axis: int) -> Weights:
        """Weights in the file's order, with the scales of the output channels along ``axis``."""
        node, held = pending.node, pending.inputs[1]
        if not isinstance(held, Constant) or held.values.dtype != np.int8:
            node.refuse("weights that are no int8 constants", "int8")
        if held.values.ndim != rank:
            node.refuse(f"weights of rank {held.values.ndim}", f"rank {rank}")
        if np.any(held.zero_point):
            node.refuse("weights with a zero point", "symmetric ones")
        channels = held.values.shape[axis]
        if held.scale.size not in (1, channels) or (
            held.scale.size > 1 and held.axis % rank != axis
        ):
            node.refuse(
                f"{held.scale.size} weight scales along axis {held.axis}",
                "one, or one for each output channel",
            )
        scale = np.broadcast_to(held.scale, channels).astype(np.float32)
        return Weights(held.values, self.bias(pending, scale), scale)

    def bias(self, pending: Pending, weight_scale: Array) -> Array:
        """int32 [channels] at the scale of the accumulator; zeros if there is none."""
        node, channels = pending.node, len(weight_scale)
        bias = pending.inputs[2] if len(pending.inputs) > 2 else None
        if bias is None:
            return np.zeros(channels, np.int32)
        if isinstance(bias, Constant):
            if bias.scale.size > 1 and bias.axis not in (0, -1):
                node.refuse(f"the scales of the bias along axis {bias.axis}", "axis 0")
            if bias.scale.size not in (1, channels):
                node.refuse(f"{bias.scale.size} scales of the bias", "one, or one a channel")
            expected = np.float32(self.build.tensor(pending.inputs[0].name).scale) * weight_scale
            if np.any(bias.zero_point) or not np.allclose(
                bias.scale, expected, rtol=BIAS_SCALE_ERROR, atol=0
            ):
                node.refuse("a bias of another scale, or with a zero point", "s_in * s_w, 0")
            bias = bias.values
        elif node.kind not in LAYOUTS:
            node.refuse("a bias that is not int32", "int32, s_in * s_w")
        if bias.dtype != np.int32 or bias.size != channels:
            node.refuse("a bias that is not int32", f"int32 [{channels}], s_in * s_w")
        return np.asarray(bias).reshape(channels)

    def window(self, node: Node, kernel: Any = None) -> Window:
        """The window of a convolution with this kernel, or of a pooling."""
        node.expect("auto_pad", "NOTSET")
        node.expect("ceil_mode", 0)
        dilations = node.attribute("dilations", [1, 1])
        if dilations != [1, 1]:
            node.refuse(f"dilations {dilations}", "1")
        given = node.attribute("kernel_shape", None if kernel is None else list(kernel))
        if given is None or len(given) != 2 or kernel not in (None, tuple(given)):
            node.refuse(f"a kernel of {given}", "two numbers, those of the weights")
        stride: Pair = tuple(node.attribute("strides", [1, 1]))
        pads = node.attribute("pads", [0, 0, 0, 0])
        if len(stride) != 2 or len(pads) != 4:
            node.refuse(f"strides {list(stride)} and pads {pads}", "two and four numbers")
        top, left, bottom, right = pads
        return Window((given[0], given[1]), stride, Padding(top, bottom, left, right))


_INPUTS = {"Clip": 3, "Conv": 3, "Gemm": 3, "MatMul": 2, "Add": 2, "Pad": 3, "ReduceMean": 2}
"""Inputs that builders of the float form read, where it is not one."""

Builder = Callable[[Computation, Pending, str, Output], Value]
BUILDERS: dict[str, Builder] = {
    "convolution": Computation.convolution,
    "depthwise convolution": Computation.depthwise_convolution,
    "fully connected": Computation.fully_connected,
    "addition": Computation.addition,
    "max-pool": Computation.max_pool,
    "average-pool": Computation.average_pool,
    "mean": Computation.mean,
    "padding": Computation.padding,
    "activation": Computation.activation_alone,
}
"""What adds the operation of each row."""
