"""Convolutions and linear layers of a converted network as operations of the graph."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from torch.fx import Node

from sw.composed.dilated import dilated
from sw.composed.grouped import grouped_conv2d
from sw.composed.transposed import transposed_conv2d
from sw.errors import DnaError
from sw.frontends.pytorch.nodes import Nodes, arguments, pads_of, pair_of
from sw.graph_builder import Weights, Window

MAX_BIAS = 2**30


class Weighted(Nodes):
    """Adds them to the graph."""

    def weights(self, node: Node, name: str, axis: int = 0) -> Weights:
        """Weights as PyTorch orders them, and bias, of a convolution or linear layer.

        A bias is int32 at scale ``s_in * s_w``. Where a channel's weights are so small (or all
        zero) that its bias would not fit, the weights' scale is raised until it does: beside such a
        bias the weights it rounds away are nothing.

        Args:
            axis: of the output channels, which come first in the result.
        """
        dequantize: Any = node.args[1]
        weights, scale, zero_point = (self.array(source) for source in dequantize.args[:3])
        if zero_point.any():
            raise DnaError(f"{name}: weights must have zero point 0")
        weights, scale = np.moveaxis(weights, axis, 0), scale.astype(np.float32)
        channels = weights.shape[0]
        given = node.args[2] if len(node.args) > 2 else None
        bias = (self.array(given) if given is not None else np.zeros(channels)).astype(np.float64)
        input_scale = self.builder.tensor(self.input(node)).scale
        narrow = np.abs(bias) > MAX_BIAS * input_scale * scale.astype(np.float64)
        if narrow.any():
            wide = (np.abs(bias) / (MAX_BIAS * input_scale)).astype(np.float32)
            ratio = np.where(narrow, scale / np.where(narrow, wide, 1), 1)
            shape = (channels, *[1] * (weights.ndim - 1))
            weights = np.rint(weights * ratio.reshape(shape)).astype(np.int8)
            scale = np.where(narrow, wide, scale)
        integers = np.rint(bias / (input_scale * scale.astype(np.float64))).astype(np.int64)
        largest = np.abs(integers) + 255 * np.abs(weights.astype(np.int64)).reshape(
            channels, -1
        ).sum(axis=1)
        if largest.max() >= 2**31:
            raise DnaError(
                f"{name}: channel {int(largest.argmax())} can overflow a 32-bit accumulator"
            )
        return Weights(weights, integers.astype(np.int32), scale)

    def convolution(self, node: Node) -> str:
        """A convolution with one group."""
        name, weights, window = self.convolved(node)
        values = weights.values.transpose(0, 2, 3, 1)
        weights = dataclasses.replace(weights, values=values)
        return self.builder.conv2d(name, self.input(node), weights, self.output(node), window)

    def grouped_convolution(self, node: Node) -> str:
        """A convolution with several groups, but not one for each channel."""
        name, weights, window = self.convolved(node)
        values = weights.values.transpose(0, 2, 3, 1)
        weights = dataclasses.replace(weights, values=values)
        source, output = self.input(node), self.output(node)
        return grouped_conv2d(self.builder, name, source, weights, output, window)

    def transposed_convolution(self, node: Node) -> str:
        """A transposed convolution."""
        name = self.name(node)
        given = arguments(node, 3, [1, 1], [0, 0], [0, 0], 1, [1, 1])
        stride, pads, _, groups, dilation = given
        if groups != 1 or pair_of(dilation) != (1, 1):
            raise DnaError(
                f"unsupported operator {name}: groups {groups}, dilation {dilation}; nearest: 1"
            )
        weights = self.weights(node, name, axis=1)
        weights = dataclasses.replace(weights, values=weights.values.transpose(0, 2, 3, 1))
        height, width = (int(size) for size in node.meta["val"].shape[2:])
        return transposed_conv2d(
            self.builder,
            name,
            self.input(node),
            weights,
            self.output(node),
            stride=pair_of(stride),
            cut=pair_of(pads),
            size=(height, width),
        )

    def depthwise_convolution(self, node: Node) -> str:
        """A convolution with a group for each channel."""
        name, weights, window = self.convolved(node)
        weights = dataclasses.replace(weights, values=weights.values[:, 0])
        return self.builder.depthwise_conv2d(
            name, self.input(node), weights, self.output(node), window
        )

    def convolved(self, node: Node) -> tuple[str, Weights, Window]:
        """Name, weights and window of a convolution; zeros between the weights of a dilated one."""
        name = self.name(node)
        stride, pads, dilation = arguments(node, 3, [1, 1], [0, 0], [1, 1])[:3]
        weights = dilated(self.weights(node, name), pair_of(dilation), 2)
        window = Window(weights.values.shape[2:], pair_of(stride), pads_of(pads))
        return name, weights, window

    def linear(self, node: Node) -> str:
        """A linear layer."""
        name = self.name(node)
        weights = self.weights(node, name)
        source = self.builder.tensor(self.input(node))
        if len(source.shape) == 3:  # flattened NCHW, while the graph is NHWC
            height, width, channels = source.shape
            values = weights.values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            matrix = values.reshape(weights.values.shape)
            weights = dataclasses.replace(weights, values=matrix)
        self.flat.discard(node)
        return self.builder.fully_connected(name, source.name, weights, self.output(node))
