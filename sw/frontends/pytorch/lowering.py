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
from sw.errors import DnaError
from sw.frontends.pytorch import quantizer as rules
from sw.frontends.pytorch.functions import FUNCTIONS, NEAR_ZERO, SIGMOID, SIXTH, SIXTHS, THREE
from sw.frontends.pytorch.moves import Moves
from sw.frontends.pytorch.nodes import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    INPUT,
    arguments,
    pads_of,
    pair_of,
)
from sw.frontends.tflite.functions.prelu import prelu, prelu_tables
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Window
from sw.numerics import BYTES, INT8_MAX, INT8_MIN
from sw.operations import Padding
from sw.operators import nearest
from sw.operators.constraints import SPATIAL


def lower(converted: GraphModule, shape: tuple[int, ...]) -> Graph:
    """Turn a network that PT2E has converted into the integer graph.

    Args:
        converted: with quantize and dequantize nodes as :class:`DnaQuantizer` places them.
        shape: of one input image, (H, W, C).

    Raises:
        DnaError: see :func:`quantize`.
    """
    return _Lowering(converted, shape).run()


class _Lowering(Moves):
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

    def _extremum(self, node: Node) -> str:
        name, output = self.name(node), self.output(node)
        a, b = (
            self.requantized(f"{name}.{place}", self.input(node, place), output) for place in (0, 1)
        )
        sizes = [math.prod(self.builder.tensor(each).shape) for each in (a, b)]
        if sizes[0] < sizes[1]:  # the second one may be a pixel for all of the first
            a, b = b, a
        largest = str(node.target).startswith("aten.max")
        return self.builder.extremum(name, a, b, output, largest=largest)

    def _prelu(self, node: Node) -> str:
        name, x, output = self.name(node), self.input(node), self.output(node)
        slopes = self.array(node.args[1]).reshape(-1).astype(np.float32)
        if len(slopes) == 1:
            return self.looked_up(name, x, "leaky_relu", output, float(slopes[0]))
        source = self.builder.tensor(x)
        scale = float(np.abs(slopes).max()) / INT8_MAX or 1.0
        steps = np.rint(slopes / np.float32(scale)).astype(np.int8)
        ends = (source.scale, source.zero_point), (output.scale, output.zero_point)
        return prelu(self.builder, name, x, output, prelu_tables(*ends, steps, (scale, 0)))

    def _activation(self, node: Node) -> str:
        """A function, unless the operation in front of it has taken it in."""
        source: Any = node.args[0]
        return self._by_torch(node) if source.target is DEQUANTIZE else self.input(node)

    def _by_torch(self, node: Node) -> str:
        """What PyTorch gives for each of the 256 values."""
        name, x, output = self.name(node), self.input(node), Output(*self.quantization(node))
        source = self.builder.tensor(x)
        steps = np.arange(BYTES, dtype=np.uint8).view(np.int8).astype(np.float32)
        real = torch.from_numpy((steps - source.zero_point) * np.float32(source.scale))
        function: Any = node.target
        with torch.inference_mode():
            results = function(real, *node.args[1:], **node.kwargs).numpy()
        made = np.rint(results / np.float32(output.scale)) + output.zero_point
        if not np.isfinite(made).all():
            raise DnaError(f"unsupported operator {name}: it has no result for some values")
        table = np.clip(made, INT8_MIN, INT8_MAX).astype(np.int8)
        return self.builder.table(name, x, table, output)

    def _function(self, node: Node) -> str:
        kind = str(node.target).split(".")[1].rstrip("_")
        if kind not in (*FUNCTIONS, "silu", "hardsigmoid"):
            return self._by_torch(node)
        name, x, output = self.name(node), self.input(node), self.output(node)
        if kind == "silu":
            gate = self.looked_up(f"{name}.sigmoid", x, "logistic", Output(*SIGMOID))
            return self.builder.multiply(name, x, gate, output)
        if kind == "hardsigmoid":  # relu6(x + 3) / 6
            ratio = self.builder.tensor(x).scale / SIXTHS[0]
            if not numerics.MIN_ADD_RATIO <= ratio < numerics.MAX_ADD_RATIO:
                # A sum cannot reach so far; what lies beyond 4 is 0 or 1 anyway.
                x = self.looked_up(f"{name}.near", x, "quantize", Output(*NEAR_ZERO))
            shifted = self.looked_up(f"{name}.shifted", x, "add", Output(*SIXTHS), 0.0, THREE)
            return self.looked_up(name, shifted, "mul", output, 0.0, SIXTH)
        (alpha,) = arguments(node, 1, 0.01) if kind == "leaky_relu" else (0.0,)
        return self.looked_up(name, x, FUNCTIONS[kind], output, float(alpha))

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
    "extremum": _Lowering._extremum,
    "function": _Lowering._function,
    "parametric ReLU": _Lowering._prelu,
    "concatenation": _Lowering.concatenation,
    "slice": _Lowering.slice,
    "nearest resize": _Lowering.nearest,
    "bilinear resize": _Lowering.bilinear,
    "interleaving": _Lowering.pixel_shuffle,
    "max-pool": _Lowering._max_pool,
    "average-pool": _Lowering._average_pool,
    "mean": _Lowering._mean,
    "padding": _Lowering.pad,
    "activation": _Lowering._activation,
    "view": _Lowering._view,
    "quantization": _Lowering._nothing,
    "softmax": _Lowering._nothing,
}
"""What each row of the table of operators becomes; the result is the name of a tensor."""
