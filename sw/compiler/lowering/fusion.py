"""Which additions are computed together with a convolution."""

from __future__ import annotations

import dataclasses
from collections import Counter

from hw.config import DnaConfig
from sw.compiler.lowering.depthwise import fits
from sw.graph import Graph
from sw.operations import Add, Conv2D, DepthwiseConv2D, FullyConnected, Operation


@dataclasses.dataclass(frozen=True)
class Joined:
    """An addition, and which of its operands is computed with it."""

    addition: Add
    position: int


def join_additions(graph: Graph, config: DnaConfig) -> dict[str, Joined]:
    """For the output of each convolution that an addition joins: that addition.

    The two operands of an addition are written by two operations (or one is the input); only the
    later one can take the addition along, because only then is the other one there.
    """
    uses = Counter(name for operation in graph.operations for name in operation.inputs)
    uses.update(graph.outputs)
    written = {operation.output: n for n, operation in enumerate(graph.operations)}
    joined = {}
    for addition in graph.operations:
        if not isinstance(addition, Add):
            continue
        order = [written.get(name, -1) for name in addition.inputs]
        position = order.index(max(order))
        name = addition.inputs[position]
        if (
            name in written
            and uses[name] == 1
            and _passes_post(graph, config, graph.operations[order[position]])
        ):
            joined[name] = Joined(addition, position)
    return joined


def _passes_post(graph: Graph, config: DnaConfig, operation: Operation) -> bool:
    """Whether an operation is a convolution of CONV, whose results an addition can join in POST."""
    if isinstance(operation, DepthwiseConv2D):
        return not fits(graph, config, operation)
    return isinstance(operation, Conv2D | FullyConnected)
