"""What moves values and changes none, of a converted network."""

from __future__ import annotations

import numpy as np
from torch.fx import Node

from sw.composed.bilinear import Way, bilinear, bilinear_factor
from sw.composed.padded import padded
from sw.composed.shuffled import depth_to_space
from sw.errors import DnaError
from sw.frontends.pytorch import quantizer as rules
from sw.frontends.pytorch.nodes import arguments
from sw.frontends.pytorch.weighted import Weighted
from sw.frontends.tflite.functions.tables import function_table
from sw.graph_builder import Output
from sw.numerics import INT8_MAX, INT8_MIN, Function, WithConstant
from sw.operations import Lookup, Padding, Scalar
from sw.operators.shapes import MAP_RANK


class Moves(Weighted):
    """Adds it to the graph, and functions of a value, one of which gives it another scale."""

    def looked_up(
        self,
        name: str,
        x: str,
        function: Function | WithConstant,
        output: Output,
        alpha: float = 0.0,
        constant: Scalar | None = None,
    ) -> str:
        """A function of each value, by LiteRT's table.

        Args:
            alpha: of a leaky ReLU.
            constant: the other operand.
        """
        source = self.builder.tensor(x)
        ends = (source.scale, source.zero_point), (output.scale, output.zero_point)
        try:
            table = function_table(function, *ends, alpha, constant)
        except DnaError as error:
            raise DnaError(f"unsupported operator {name}: {error}") from error
        slope = float(np.float32(alpha))
        operation = Lookup(
            name=name,
            inputs=(x,),
            output=name,
            function=function,
            alpha=slope,
            constant=constant,
        )
        return self.builder.lookup(operation, table, output)

    def requantized(self, name: str, x: str, output: Output) -> str:
        """A map with the scale and zero point of a result; itself, if it has those.

        A sigmoid's and a tanh's are prescribed, so they share no other.
        """
        if self.builder.quantized_as(x, output.scale, output.zero_point):
            return x
        return self.looked_up(name, x, "quantize", Output(output.scale, output.zero_point))

    def concatenation(self, node: Node) -> str:
        """``cat`` of channels."""
        name = self.name(node)
        (axis,) = arguments(node, 1, 0)
        if axis % node.meta["val"].ndim != 1 or node.meta["val"].ndim != 4:
            raise DnaError(f"unsupported operator {name}: along axis {axis}; nearest: channels, 1")
        output = Output(*self.quantization(node))
        tensors = [
            self.requantized(f"{name}.{place}", self.tensors[source], output)
            for place, source in enumerate(rules.sources(node))
        ]
        return self.builder.concatenate(name, tensors)

    def slice(self, node: Node) -> str:
        """A slice with step 1."""
        name, x = self.name(node), self.input(node)
        axis, begin, end, step = arguments(node, 1, 0, None, None, 1)
        shape = self.builder.tensor(x).shape
        rank = node.meta["val"].ndim
        inner = {0: None, 1: 2, 2: 0, 3: 1}[axis % rank]
        extent = 1 if inner is None else shape[inner - MAP_RANK]
        first, last, _ = slice(begin, end).indices(extent)
        if (first, last) == (0, extent) and step == 1:
            return x
        if step != 1 or (len(shape), rank) != (MAP_RANK, 4) or inner is None or first >= last:
            raise DnaError(
                f"unsupported operator {name}: {first} to {last} by {step} of axis {axis}; "
                "nearest: step 1 along an axis of the map"
            )
        return self.builder.slice_channels(name, x, first, last - first, inner)

    def nearest(self, node: Node) -> str:
        """A nearest resize by whole factors."""
        name, x = self.name(node), self.input(node)
        height, width, _ = self.builder.tensor(x).shape
        rows, columns = (int(size) for size in node.meta["val"].shape[2:])
        if rows % height or columns % width:
            raise DnaError(
                f"unsupported operator {name}: {height} x {width} to {rows} x {columns}; nearest: "
                "whole factors"
            )
        return self.builder.resize_nearest(name, x, (rows // height, columns // width))

    def bilinear(self, node: Node) -> str:
        """A bilinear resize; its halves go up, as LiteRT has them."""
        name, x = self.name(node), self.input(node)
        aligned, *_ = arguments(node, 2, False)
        way: Way = "aligned" if aligned else "half"
        shape, made = self.builder.tensor(x).shape[:2], node.meta["val"].shape[2:]
        rows, columns = (
            bilinear_factor(size, int(each), way) for size, each in zip(shape, made, strict=True)
        )
        if rows is None or columns is None:
            raise DnaError(
                f"unsupported operator {name}: {list(shape)} to {[int(each) for each in made]}; "
                "nearest: factors of 2 and 4"
            )
        return bilinear(self.builder, name, x, (rows, columns), way)

    def pixel_shuffle(self, node: Node) -> str:
        """Channels as pixels between pixels."""
        (factor,) = arguments(node, 1, 1)
        return depth_to_space(
            self.builder, self.name(node), self.input(node), int(factor), channels_first=True
        )

    def pad(self, node: Node) -> str:
        """A constant around height and width."""
        name = self.name(node)
        amounts, mode, value = arguments(node, 1, [], "constant", None)
        if mode != "constant" or len(amounts) != 4 or min(amounts) < 0:
            raise DnaError(
                f"unsupported operator {name}: padding {amounts} of mode {mode} with {value}; "
                "nearest: a constant around height and width"
            )
        left, right, top, bottom = (int(amount) for amount in amounts)
        padding, x = Padding(top, bottom, left, right), self.input(node)
        if not value:
            return self.builder.identity(name, x, padding=padding)
        source = self.builder.tensor(x)
        level = round(float(value) / source.scale) + source.zero_point
        return padded(self.builder, name, x, padding, min(max(level, INT8_MIN), INT8_MAX))
