"""A network that PT2E has converted, with quantize and dequantize nodes, as the integer graph.

The scales and zero points of those nodes are all that is taken from it: the operations between them
become those of :mod:`sw.operations`, whose arithmetic is the contract of docs/numerics.md. There is
a handler for each row of the table of operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.fx import GraphModule, Node

from sw import numerics
from sw.composed.padded import padded
from sw.composed.shuffled import depth_to_space
from sw.errors import DnaError
from sw.frontends.pytorch import quantizer as rules
from sw.frontends.pytorch.functions import FUNCTIONS, NEAR_ZERO, SIGMOID, SIXTH, SIXTHS, THREE
from sw.frontends.pytorch.nodes import DEQUANTIZE_CHANNELS, INPUT, arguments, pads_of, pair_of
from sw.frontends.pytorch.weighted import Weighted
from sw.frontends.tflite.operators.functions import function_table
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Window
from sw.numerics import INT8_MAX, INT8_MIN, Function, WithConstant
from sw.operations import Lookup, Padding, Scalar
from sw.operators import nearest
from sw.operators.constraints import SPATIAL
from sw.operators.shapes import MAP_RANK


def lower(converted: GraphModule, shape: tuple[int, ...]) -> Graph:
    """Turn a network that PT2E has converted into the integer graph.

    Args:
        converted: with quantize and dequantize nodes as :class:`DnaQuantizer` places them.
        shape: of one input image, (H, W, C).

    Raises:
        DnaError: see :func:`quantize`.
    """
    return _Lowering(converted, shape).run()


class _Lowering(Weighted):
    """One walk over the converted network."""

    def __init__(self, converted: GraphModule, shape: tuple[int, ...]) -> None:
        super().__init__(converted)
        self._shape = shape

    def run(self) -> Graph:
        """Lower every node, in order."""
        for node in self.module.graph.nodes:
            if node.op == "placeholder":
                if self.tensors:
                    raise DnaError(f"the network has a second input, {node.name!r}")
                scale, zero_point = self.quantization(node)
                self.builder = GraphBuilder(INPUT, self._shape, scale, zero_point)
                self.tensors[node] = INPUT
            elif node.op == "output":
                return self._finish(node)
            elif node.op == "call_function" and node.target is not DEQUANTIZE_CHANNELS:
                self._lower(node)  # weights are read where they are used
        raise DnaError("the network has no output")

    def _lower(self, node: Node) -> None:
        if any(source in self.flat for source in rules.sources(node)):
            self.flat.add(node)
        row = rules.row(node, self.builder.tensor(self.input(node)).shape[-1])
        if row is None:
            what = f"{rules.name_of(node)} ({node.target})"
            raise DnaError(
                f"unsupported operator {what}; nearest: {nearest('pytorch', str(node.target))}"
            )
        self.tensors[node] = HANDLERS[row.name](self, node)

    def _finish(self, node: Node) -> Graph:
        given: Any = node.args[0]
        outputs = given if isinstance(given, tuple | list) else (given,)
        for output in outputs:
            if not isinstance(output, Node):
                raise DnaError(f"an output of the network is {output!r}; nearest: tensors alone")
            shape = self.builder.tensor(self.tensors[output]).shape
            if output in self.flat and len(shape) == 3 and shape[:2] != (1, 1):
                raise DnaError(
                    f"the network's output is a flattened map of {list(shape)}, whose order would "
                    "be another; nearest: the map itself, or a linear layer behind it"
                )
        return self.builder.finish(*dict.fromkeys(self.tensors[output] for output in outputs))

    def _add(self, node: Node) -> str:
        name, subtract = self.name(node), str(node.target).startswith("aten.sub")
        a, b = self.input(node, 0), self.input(node, 1)
        sizes = [math.prod(self.builder.tensor(each).shape) for each in (a, b)]
        if sizes[0] < sizes[1]:
            if subtract:
                raise DnaError(f"unsupported operator {name}: a pixel minus a map")
            a, b = b, a
        return self.builder.add(name, a, b, self.output(node), subtract=subtract)

    def _multiply(self, node: Node) -> str:
        inputs = [self.input(node, 0), self.input(node, 1)]
        # The second one may be a pixel for all of the first.
        inputs.sort(key=lambda name: -math.prod(self.builder.tensor(name).shape))
        return self.builder.multiply(self.name(node), inputs[0], inputs[1], self.output(node))

    def _function(self, node: Node) -> str:
        name, x, output = self.name(node), self.input(node), self.output(node)
        kind = str(node.target).split(".")[1].rstrip("_")
        if kind == "silu":
            gate = self._looked_up(f"{name}.sigmoid", x, "logistic", Output(*SIGMOID))
            return self.builder.multiply(name, x, gate, output)
        if kind == "hardsigmoid":  # relu6(x + 3) / 6
            ratio = self.builder.tensor(x).scale / SIXTHS[0]
            if not numerics.MIN_ADD_RATIO <= ratio < numerics.MAX_ADD_RATIO:
                # A sum cannot reach so far; what lies beyond 4 is 0 or 1 anyway.
                x = self._looked_up(f"{name}.near", x, "quantize", Output(*NEAR_ZERO))
            shifted = self._looked_up(f"{name}.shifted", x, "add", Output(*SIXTHS), 0.0, THREE)
            return self._looked_up(name, shifted, "mul", output, 0.0, SIXTH)
        (alpha,) = arguments(node, 1, 0.01) if kind == "leaky_relu" else (0.0,)
        return self._looked_up(name, x, FUNCTIONS[kind], output, float(alpha))

    def _looked_up(
        self,
        name: str,
        x: str,
        function: Function | WithConstant,
        output: Output,
        alpha: float = 0.0,
        constant: Scalar | None = None,
    ) -> str:
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

    def _concatenation(self, node: Node) -> str:
        name = self.name(node)
        (axis,) = arguments(node, 1, 0)
        if axis % node.meta["val"].ndim != 1 or node.meta["val"].ndim != 4:
            raise DnaError(f"unsupported operator {name}: along axis {axis}; nearest: channels, 1")
        tensors = [self.tensors[source] for source in rules.sources(node)]
        return self.builder.concatenate(name, tensors)

    def _slice(self, node: Node) -> str:
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

    def _nearest(self, node: Node) -> str:
        name, x = self.name(node), self.input(node)
        height, width, _ = self.builder.tensor(x).shape
        rows, columns = (int(size) for size in node.meta["val"].shape[2:])
        if rows % height or columns % width:
            raise DnaError(
                f"unsupported operator {name}: {height} x {width} to {rows} x {columns}; nearest: "
                "whole factors"
            )
        return self.builder.resize_nearest(name, x, (rows // height, columns // width))

    def _pixel_shuffle(self, node: Node) -> str:
        (factor,) = arguments(node, 1, 1)
        return depth_to_space(
            self.builder, self.name(node), self.input(node), int(factor), channels_first=True
        )

    def _mean(self, node: Node) -> str:
        name = self.name(node)
        extent: Any = node.args[1]
        over = {2, 3} if pair_of(extent) == (1, 1) else set()
        if node.target is torch.ops.aten.mean.dim:
            over = {axis % 4 for axis in extent}
        (keep,) = arguments(node, 2, False)
        output = Output(*self.quantization(node))
        if len(over) == 1 and over <= {2, 3} and keep:
            inner = (over.pop() - 2,)
            return self.builder.mean(name, self.input(node), output, keep_dims=True, axes=inner)
        if over != {2, 3}:
            raise DnaError(
                f"unsupported operator {name}: only the mean over the whole map, or over rows or "
                "columns that stay in its shape"
            )
        spatial = any(self._is_spatial(reader) for reader in self.readers(node))
        return self.builder.mean(name, self.input(node), output, keep_dims=spatial)

    def _is_spatial(self, node: Node) -> bool:
        """Whether an operation wants a map, and be it of one pixel."""
        if node.op != "call_function" or node.target is rules.CONVOLUTION:
            return node.op == "call_function"
        row = rules.row(node)
        spatial = ("padding", "transposed convolution")
        return row is not None and (SPATIAL in row.constraints or row.name in spatial)

    def _max_pool(self, node: Node) -> str:
        name = self.name(node)
        kernel, stride, padding, dilation, ceil = arguments(node, 1, [], [], [0, 0], [1, 1], False)
        if pair_of(dilation) != (1, 1) or ceil:
            raise DnaError(f"unsupported operator {name}: max-pool with dilation or ceil_mode")
        window = Window(pair_of(kernel), pair_of(stride or kernel), pads_of(padding))
        return self.builder.max_pool2d(
            name, self.input(node), window, activation=self.activation(node)
        )

    def _average_pool(self, node: Node) -> str:
        name = self.name(node)
        kernel, stride, padding, ceil, counts, divisor = arguments(
            node, 1, [], [], [0, 0], False, True, None
        )
        if ceil or divisor is not None:
            raise DnaError(
                f"unsupported operator {name}: average-pool with ceil_mode or divisor_override"
            )
        window = Window(pair_of(kernel), pair_of(stride or kernel), pads_of(padding))
        if counts and window.padding != Padding():
            return self.builder.counting_average(name, self.input(node), self.output(node), window)
        return self.builder.average_pool2d(
            name, self.input(node), window, activation=self.activation(node)
        )

    def _pad(self, node: Node) -> str:
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

    def _view(self, node: Node) -> str:
        if node.target is not rules.DROPOUT:
            self.flat.add(node)
        return self.input(node)

    def _nothing(self, node: Node) -> str:
        """Nothing to add: the value is that of the input, or what the host makes of it."""
        return self.input(node)


HANDLERS: dict[str, Callable[[_Lowering, Node], str]] = {
    "convolution": _Lowering.convolution,
    "depthwise convolution": _Lowering.depthwise_convolution,
    "grouped convolution": _Lowering.grouped_convolution,
    "transposed convolution": _Lowering.transposed_convolution,
    "fully connected": _Lowering.linear,
    "addition": _Lowering._add,
    "multiplication": _Lowering._multiply,
    "function": _Lowering._function,
    "concatenation": _Lowering._concatenation,
    "slice": _Lowering._slice,
    "nearest resize": _Lowering._nearest,
    "interleaving": _Lowering._pixel_shuffle,
    "max-pool": _Lowering._max_pool,
    "average-pool": _Lowering._average_pool,
    "mean": _Lowering._mean,
    "padding": _Lowering._pad,
    "activation": _Lowering._nothing,
    "view": _Lowering._view,
    "quantization": _Lowering._nothing,
    "softmax": _Lowering._nothing,
}
"""What each row of the table of operators becomes; the result is the name of a tensor."""
