"""The convolutions of an ONNX file, and the windows and weights of all that have some."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from sw.composed.dilated import dilated
from sw.composed.grouped import grouped_conv2d
from sw.composed.transposed import transposed_conv2d
from sw.frontends.onnx.entry import TO_FIRST, Entry
from sw.frontends.onnx.node import Node
from sw.frontends.onnx.values import Array, Constant, Pending, Value
from sw.graph_builder import Output, Weights, Window
from sw.operations import Padding, Pair

BIAS_SCALE_ERROR = 1e-6
"""Relative; quantizers round the product of two scales in their own ways."""


MAX_DILATION = 64
DILATED = ("Conv", "QLinearConv")
"""What may be dilated."""


@dataclasses.dataclass(frozen=True)
class Layout:
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
    "QLinearConv": Layout(output=6, weights=3, bias=8),
    "QLinearMatMul": Layout(output=6, weights=3),
    "QGemm": Layout(output=7, weights=3, bias=6),
    "QLinearAdd": Layout(output=6, activations=2),
    "QLinearMul": Layout(output=6, activations=2),
    "QLinearSigmoid": Layout(output=3),
    "QLinearLeakyRelu": Layout(output=3),
    "QLinearAveragePool": Layout(output=3),
    "QLinearGlobalAveragePool": Layout(output=3),
}


class Convolutions(Entry):
    """Adds them to the graph."""

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
        weights, window = self.convolved(pending)
        weights = dataclasses.replace(weights, values=weights.values.transpose(0, 2, 3, 1))
        return Value(self.build.conv2d(name, self.source(pending), weights, output, window))

    def depthwise_convolution(self, pending: Pending, name: str, output: Output) -> Value:
        """Conv with a group for each channel."""
        weights, window = self.convolved(pending)
        if weights.values.shape[1] != 1:
            pending.node.refuse(f"weights {list(weights.values.shape)}", "[out, 1, height, width]")
        weights = dataclasses.replace(weights, values=weights.values[:, 0])
        source = self.source(pending)
        return Value(self.build.depthwise_conv2d(name, source, weights, output, window))

    def grouped_convolution(self, pending: Pending, name: str, output: Output) -> Value:
        """Conv with several groups, but not one for each channel."""
        weights, window = self.convolved(pending)
        source, group = self.source(pending), pending.node.attribute("group", 1)
        if weights.values.shape[1] * group != self.build.tensor(source).shape[-1]:
            pending.node.refuse(f"weights {list(weights.values.shape)} of {group} groups", "all")
        weights = dataclasses.replace(weights, values=weights.values.transpose(0, 2, 3, 1))
        return Value(grouped_conv2d(self.build, name, source, weights, output, window))

    def transposed_convolution(self, pending: Pending, name: str, output: Output) -> Value:
        """ConvTranspose."""
        node, source = pending.node, self.source(pending)
        node.expect("group", 1)
        weights = self.weights(pending, 4, 1)
        arranged = np.ascontiguousarray(weights.values.transpose(1, 2, 3, 0))
        weights = dataclasses.replace(weights, values=arranged)
        kernel, shape = arranged.shape[1:3], self.build.tensor(source).shape
        window = self.window(node, kernel)
        more = node.attribute("output_padding", [0, 0])
        if node.attribute("output_shape", None) is not None or len(more) != 2:
            node.refuse("the shape of its result", "explicit pads")
        pads = window.padding
        sizes = [
            (size - 1) * step + extent - before - after + open_
            for size, step, extent, before, after, open_ in zip(
                *(shape[:2], window.stride, kernel, (pads.top, pads.left)),
                *((pads.bottom, pads.right), more),
                strict=True,
            )
        ]
        made = transposed_conv2d(
            self.build,
            name,
            source,
            weights,
            output,
            stride=window.stride,
            cut=(pads.top, pads.left),
            size=(sizes[0], sizes[1]),
        )
        return Value(made)

    def convolved(self, pending: Pending) -> tuple[Weights, Window]:
        """Weights and window of a convolution; zeros between the weights of a dilated one."""
        node, weights = pending.node, self.weights(pending, 4, 0)
        dilations = node.attribute("dilations", [1, 1])
        if len(dilations) != 2 or min(dilations) < 1 or max(dilations) > MAX_DILATION:
            node.refuse(f"dilations {dilations}", f"1 to {MAX_DILATION}")
        window = self.window(node, weights.values.shape[2:])
        weights = dilated(weights, (dilations[0], dilations[1]), 2)
        return weights, dataclasses.replace(window, kernel=weights.values.shape[2:])

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
        if node.kind not in DILATED:
            node.expect("dilations", [1, 1])
        given = node.attribute("kernel_shape", None if kernel is None else list(kernel))
        if given is None or len(given) != 2 or kernel not in (None, tuple(given)):
            node.refuse(f"a kernel of {given}", "two numbers, those of the weights")
        stride: Pair = tuple(node.attribute("strides", [1, 1]))
        pads = node.attribute("pads", [0, 0, 0, 0])
        if len(stride) != 2 or len(pads) != 4:
            node.refuse(f"strides {list(stride)} and pads {pads}", "two and four numbers")
        top, left, bottom, right = pads
        return Window((given[0], given[1]), stride, Padding(top, bottom, left, right))
