"""What the nodes of a converted network say: names, operands, quantizations, activations."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt
import torch
from torch.fx import GraphModule, Node

from sw.errors import DnaError
from sw.frontends.pytorch import quantizer as rules
from sw.graph_builder import GraphBuilder, Output
from sw.numerics import Activation
from sw.operations import Padding, Pair

Array = npt.NDArray[Any]

UINT8_TO_INT8 = -128
INPUT = "input"

_Q = torch.ops.quantized_decomposed
QUANTIZE = _Q.quantize_per_tensor.default
DEQUANTIZE = _Q.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = _Q.dequantize_per_channel.default


class Nodes:
    """Looks up what the nodes of a network say.

    Args:
        converted: with quantize and dequantize nodes as :class:`DnaQuantizer` places them.

    Attributes:
        tensors: of every node the tensor in the integer graph.
        flat: nodes whose map was flattened, channels first.
        names: of the graph's operations so far.
        builder: of the graph, once the input is known.
    """

    builder: GraphBuilder

    def __init__(self, converted: GraphModule) -> None:
        self.module = converted
        self.tensors: dict[Node, str] = {}
        self.flat: set[Node] = set()
        self.names: set[str] = {INPUT}

    def name(self, node: Node) -> str:
        """The node's name, numbered if a module computes more than once."""
        base = rules.name_of(node)
        names = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(1)))
        name = next(name for name in names if name not in self.names)
        self.names.add(name)
        return name

    def input(self, node: Node, argument: int = 0) -> str:
        """The tensor that an argument is; of several the first."""
        source: Any = node.args[argument]
        first = source[0] if isinstance(source, list | tuple) else source
        return self.tensors[first]

    def readers(self, node: Node) -> Iterator[Node]:
        """The operations that read a node's result, through its quantization."""
        for user in node.users:
            if user.target in (QUANTIZE, DEQUANTIZE):
                yield from self.readers(user)
            else:
                yield user

    def quantization(self, node: Node) -> tuple[float, int]:
        """Scale and int8 zero point of a node's result, from the quantize node that reads it."""
        node = self.activation_behind(node) or node
        for user in node.users:
            if user.target is QUANTIZE:
                _, scale, zero_point, *_ = user.args
                return float(scale), int(zero_point) + UINT8_TO_INT8  # type: ignore[arg-type]
        raise DnaError(f"{rules.name_of(node)}: its result was not quantized")

    @staticmethod
    def activation_behind(node: Node) -> Node | None:
        """The activation that is the only reader of a node."""
        users = list(node.users)
        if node.op == "call_function" and len(users) == 1 and rules.is_a(users[0], "activation"):
            return users[0]
        return None

    def activation(self, node: Node) -> Activation:
        """What stands behind a node, for it to take in."""
        behind = self.activation_behind(node)
        return "none" if behind is None else rules.activation_of(behind) or "none"

    def output(self, node: Node) -> Output:
        """How the result is quantized, with the activation behind the node."""
        return Output(*self.quantization(node), self.activation(node))

    def array(self, node: Any) -> Array:
        """A constant of the network."""
        value: torch.Tensor = operator.attrgetter(node.target)(self.module)
        return value.detach().numpy()


def arguments(node: Node, start: int, *defaults: Any) -> list[Any]:
    """Positional arguments from ``start`` on; those left out have their default."""
    given = list(node.args[start:])
    return given + list(defaults[len(given) :])


def pair_of(value: Any) -> Pair:
    """Rows and columns of an argument that may say both in one number."""
    height, width = value if len(value) == 2 else (value[0], value[0])
    return int(height), int(width)


def pads_of(value: Any) -> Padding:
    """The padding that an argument says for both sides."""
    vertical, horizontal = pair_of(value)
    return Padding(top=vertical, bottom=vertical, left=horizontal, right=horizontal)
