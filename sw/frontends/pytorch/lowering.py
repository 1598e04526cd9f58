"""A network that PT2E has converted, with quantize and dequantize nodes, as the integer graph.

The scales and zero points of those nodes are all that is taken from it: the operations between them
become those of :mod:`sw.operations`, whose arithmetic is the contract of docs/numerics.md. There is
a handler for each row of the table of operators.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.fx import GraphModule, Node

from sw.errors import DnaError
from sw.frontends.pytorch import quantizer as rules
from sw.frontends.pytorch.functions import FUNCTIONS, SIGMOID, SIXTH, SIXTHS, THREE
from sw.frontends.tflite.operators.functions import function_table
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.numerics import Activation, Function, WithConstant
from sw.operations import Lookup, Padding, Pair, Scalar
from sw.operators import nearest
from sw.operators.constraints import SPATIAL

Array = npt.NDArray[Any]

UINT8_TO_INT8 = -128
MAX_BIAS = 2**30
INPUT = "input"

_Q = torch.ops.quantized_decomposed
QUANTIZE = _Q.quantize_per_tensor.default
DEQUANTIZE = _Q.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = _Q.dequantize_per_channel.default


def lower(converted: GraphModule, shape: tuple[int, ...]) -> Graph:
    """Turn a network that PT2E has converted into the integer graph.

    Args:
        converted: with quantize and dequantize nodes as :class:`DnaQuantizer` places them.
        shape: of one input image, (H, W, C).

    Raises:
        DnaError: see :func:`quantize`.
    """
    return _Lowering(converted, shape).run()


class _Lowering:
    """One walk over the converted network."""

    def __init__(self, converted: GraphModule, shape: tuple[int, ...]) -> None:
        self._module = converted
        self._shape = shape
        self._tensors: dict[Node, str] = {}  # every node's tensor in the integer graph
        self._flat: set[Node] = set()  # nodes whose map was flattened, channels first
        self._names: set[str] = {INPUT}
        self._builder: GraphBuilder

    def run(self) -> Graph:
        """Lower every node, in order."""
        for node in self._module.graph.nodes:
            if node.op == "placeholder":
                if self._tensors:
                    raise DnaError(f"the network has a second input, {node.name!r}")
                scale, zero_point = self._quantization(node)
                self._builder = GraphBuilder(INPUT, self._shape, scale, zero_point)
                self._tensors[node] = INPUT
            elif node.op == "output":
                return self._finish(node)
            elif node.op == "call_function" and node.target is not DEQUANTIZE_CHANNELS:
                self._lower(node)  # weights are read where they are used
        raise DnaError("the network has no output")

    def _lower(self, node: Node) -> None:
        if any(source in self._flat for source in rules.sources(node)):
            self._flat.add(node)
        row = rules.row(node, self._builder.tensor(self._input(node)).shape[-1])
        if row is None:
            what = f"{rules.name_of(node)} ({node.target})"
            raise DnaError(
                f"unsupported operator {what}; nearest: {nearest('pytorch', str(node.target))}"
            )
        self._tensors[node] = HANDLERS[row.name](self, node)

    def _finish(self, node: Node) -> Graph:
        given: Any = node.args[0]
        outputs = given if isinstance(given, tuple | list) else (given,)
        for output in outputs:
            if not isinstance(output, Node):
                raise DnaError(f"an output of the network is {output!r}; nearest: tensors alone")
            shape = self._builder.tensor(self._tensors[output]).shape
            if output in self._flat and len(shape) == 3 and shape[:2] != (1, 1):
                raise DnaError(
                    f"the network's output is a flattened map of {list(shape)}, whose order would "
                    "be another; nearest: the map itself, or a linear layer behind it"
                )
        return self._builder.finish(*dict.fromkeys(self._tensors[output] for output in outputs))

    def _name(self, node: Node) -> str:
        """The node's name, numbered if a module computes more than once."""
        base = rules.name_of(node)
        names = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(1)))
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return name

    def _input(self, node: Node, argument: int = 0) -> str:
        source: Any = node.args[argument]
        first = source[0] if isinstance(source, list | tuple) else source
        return self._tensors[first]

    def _readers(self, node: Node) -> Iterator[Node]:
        """The operations that read a node's result, through its quantization."""
        for user in node.users:
            if user.target in (QUANTIZE, DEQUANTIZE):
                yield from self._readers(user)
            else:
                yield user

    def _quantization(self, node: Node) -> tuple[float, int]:
        """Scale and int8 zero point of a node's result, from the quantize node that reads it."""
        node = self._activation_behind(node) or node
        for user in node.users:
            if user.target is QUANTIZE:
                _, scale, zero_point, *_ = user.args
                return float(scale), int(zero_point) + UINT8_TO_INT8  # type: ignore[arg-type]
        raise DnaError(f"{rules.name_of(node)}: its result was not quantized")

    @staticmethod
    def _activation_behind(node: Node) -> Node | None:
        users = list(node.users)
        if node.op == "call_function" and len(users) == 1 and rules.is_a(users[0], "activation"):
            return users[0]
        return None

    def _activation(self, node: Node) -> Activation:
        behind = self._activation_behind(node)
        return "none" if behind is None else rules.activation_of(behind) or "none"

    def _output(self, node: Node) -> Output:
        return Output(*self._quantization(node), self._activation(node))

    def _array(self, node: Any) -> Array:
        value: torch.Tensor = operator.attrgetter(node.target)(self._module)
        return value.detach().numpy()

    def _weights(self, node: Node, name: str) -> Weights:
        """Weights as PyTorch orders them, and bias, of a convolution or linear layer.

        A bias is int32 at scale ``s_in * s_w``. Where a channel's weights are so small (or all
        zero) that its bias would not fit, the weights' scale is raised until it does: beside such a
        bias the weights it rounds away are nothing.
        """
        dequantize: Any = node.args[1]
        weights, scale, zero_point = (self._array(source) for source in dequantize.args[:3])
        if zero_point.any():
            raise DnaError(f"{name}: weights must have zero point 0")
        scale = scale.astype(np.float32)
        channels = weights.shape[0]
        given = node.args[2] if len(node.args) > 2 else None
        bias = (self._array(given) if given is not None else np.zeros(channels)).astype(np.float64)
        input_scale = self._builder.tensor(self._input(node)).scale
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

    def _convolution(self, node: Node) -> str:
        name, weights, window = self._convolved(node)
        values = weights.values.transpose(0, 2, 3, 1)
        weights = dataclasses.replace(weights, values=values)
        return self._builder.conv2d(name, self._input(node), weights, self._output(node), window)

    def _depthwise_convolution(self, node: Node) -> str:
        name, weights, window = self._convolved(node)
        weights = dataclasses.replace(weights, values=weights.values[:, 0])
        return self._builder.depthwise_conv2d(
            name, self._input(node), weights, self._output(node), window
        )

    def _convolved(self, node: Node) -> tuple[str, Weights, Window]:
        name = self._name(node)
        stride, padding, dilation, groups = _arguments(node, 3, [1, 1], [0, 0], [1, 1], 1)
        if _pair(dilation) != (1, 1):
            raise DnaError(
                f"unsupported operator {name}: convolution with dilation {dilation}, "
                f"groups {groups}"
            )
        weights = self._weights(node, name)
        height, width = weights.values.shape[2:]
        return name, weights, Window((height, width), _pair(stride), _padding(padding))

    def _linear(self, node: Node) -> str:
        name = self._name(node)
        weights = self._weights(node, name)
        source = self._builder.tensor(self._input(node))
        if len(source.shape) == 3:  # flattened NCHW, while the graph is NHWC
            height, width, channels = source.shape
            values = weights.values.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
            matrix = values.reshape(weights.values.shape)
            weights = dataclasses.replace(weights, values=matrix)
        self._flat.discard(node)
        return self._builder.fully_connected(name, source.name, weights, self._output(node))

    def _add(self, node: Node) -> str:
        inputs = self._input(node, 0), self._input(node, 1)
        return self._builder.add(self._name(node), *inputs, self._output(node))

    def _multiply(self, node: Node) -> str:
        inputs = [self._input(node, 0), self._input(node, 1)]
        # The second one may be a pixel for all of the first.
        inputs.sort(key=lambda name: -math.prod(self._builder.tensor(name).shape))
        return self._builder.multiply(self._name(node), inputs[0], inputs[1], self._output(node))

    def _function(self, node: Node) -> str:
        name, x, output = self._name(node), self._input(node), self._output(node)
        kind = str(node.target).split(".")[1].rstrip("_")
        if kind == "silu":
            gate = self._looked_up(f"{name}.sigmoid", x, "logistic", Output(*SIGMOID))
            return self._builder.multiply(name, x, gate, output)
        if kind == "hardsigmoid":  # relu6(x + 3) / 6
            shifted = self._looked_up(f"{name}.shifted", x, "add", Output(*SIXTHS), 0.0, THREE)
            return self._looked_up(name, shifted, "mul", output, 0.0, SIXTH)
        (alpha,) = _arguments(node, 1, 0.01) if kind == "leaky_relu" else (0.0,)
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
        source = self._builder.tensor(x)
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
        return self._builder.lookup(operation, table, output)

    def _concatenation(self, node: Node) -> str:
        name = self._name(node)
        (axis,) = _arguments(node, 1, 0)
        if axis % node.meta["val"].ndim != 1 or node.meta["val"].ndim != 4:
            raise DnaError(f"unsupported operator {name}: along axis {axis}; nearest: channels, 1")
        tensors = [self._tensors[source] for source in rules.sources(node)]
        return self._builder.concatenate(name, tensors)

    def _nearest(self, node: Node) -> str:
        name, x = self._name(node), self._input(node)
        height, width, _ = self._builder.tensor(x).shape
        rows, columns = (int(size) for size in node.meta["val"].shape[2:])
        if rows % height or columns % width:
            raise DnaError(
                f"unsupported operator {name}: {height} x {width} to {rows} x {columns}; nearest: "
                "whole factors"
            )
        return self._builder.resize_nearest(name, x, (rows // height, columns // width))

    def _mean(self, node: Node) -> str:
        name = self._name(node)
        extent: Any = node.args[1]
        if node.target is torch.ops.aten.mean.dim:
            whole = {axis % 4 for axis in extent} == {2, 3}
        else:
            whole = _pair(extent) == (1, 1)
        if not whole:
            raise DnaError(f"unsupported operator {name}: only the mean over the whole map")
        spatial = any(self._is_spatial(reader) for reader in self._readers(node))
        output = Output(*self._quantization(node))
        return self._builder.mean(name, self._input(node), output, keep_dims=spatial)

    def _is_spatial(self, node: Node) -> bool:
        """Whether an operation wants a map, and be it of one pixel."""
        if node.op != "call_function" or node.target is rules.CONVOLUTION:
            return node.op == "call_function"
        row = rules.row(node)
        return row is not None and (SPATIAL in row.constraints or row.name == "padding")

    def _max_pool(self, node: Node) -> str:
        name = self._name(node)
        kernel, stride, padding, dilation, ceil = _arguments(node, 1, [], [], [0, 0], [1, 1], False)
        if _pair(dilation) != (1, 1) or ceil:
            raise DnaError(f"unsupported operator {name}: max-pool with dilation or ceil_mode")
        window = Window(_pair(kernel), _pair(stride or kernel), _padding(padding))
        return self._builder.max_pool2d(
            name, self._input(node), window, activation=self._activation(node)
        )

    def _average_pool(self, node: Node) -> str:
        name = self._name(node)
        kernel, stride, padding, ceil, counts, divisor = _arguments(
            node, 1, [], [], [0, 0], False, True, None
        )
        if ceil or divisor is not None:
            raise DnaError(
                f"unsupported operator {name}: average-pool with ceil_mode or divisor_override"
            )
        window = Window(_pair(kernel), _pair(stride or kernel), _padding(padding))
        if counts and window.padding != Padding():
            return self._builder.counting_average(
                name, self._input(node), self._output(node), window
            )
        return self._builder.average_pool2d(
            name, self._input(node), window, activation=self._activation(node)
        )

    def _pad(self, node: Node) -> str:
        name = self._name(node)
        amounts, mode, value = _arguments(node, 1, [], "constant", None)
        if mode != "constant" or value or len(amounts) != 4:
            raise DnaError(
                f"unsupported operator {name}: padding {amounts} of mode {mode} with {value}; "
                "nearest: zeros around height and width"
            )
        left, right, top, bottom = (int(amount) for amount in amounts)
        padding = Padding(top, bottom, left, right)
        return self._builder.identity(name, self._input(node), padding=padding)

    def _view(self, node: Node) -> str:
        if node.target is not rules.DROPOUT:
            self._flat.add(node)
        return self._input(node)

    def _nothing(self, node: Node) -> str:
        """Nothing to add: the value is that of the input, or what the host makes of it."""
        return self._input(node)


HANDLERS: dict[str, Callable[[_Lowering, Node], str]] = {
    "convolution": _Lowering._convolution,
    "depthwise convolution": _Lowering._depthwise_convolution,
    "fully connected": _Lowering._linear,
    "addition": _Lowering._add,
    "multiplication": _Lowering._multiply,
    "function": _Lowering._function,
    "concatenation": _Lowering._concatenation,
    "nearest resize": _Lowering._nearest,
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


def _arguments(node: Node, start: int, *defaults: Any) -> list[Any]:
    """Positional arguments from ``start`` on; those left out have their default."""
    given = list(node.args[start:])
    return given + list(defaults[len(given) :])


def _pair(value: Any) -> Pair:
    height, width = value if len(value) == 2 else (value[0], value[0])
    return int(height), int(width)


def _padding(value: Any) -> Padding:
    vertical, horizontal = _pair(value)
    return Padding(top=vertical, bottom=vertical, left=horizontal, right=horizontal)
