"""Graph to layers: the first pass. Each operation has a function of its own in ``LOWERINGS``.

- Convolution, and fully connected as a convolution whose kernel is the whole input.
- An addition, a difference or the larger one of two joins the convolution that computes one of its
  operands, if nothing else needs that operand and the other one is there before. Otherwise it
  becomes a convolution of its own, the identity.
- A function of each value is a table in the same place, with all functions of functions that only
  lead to it; it is a convolution of its own, the identity, if what it reads is needed, too.
- A depthwise convolution for the engine that the machine has for them; where it has none or that
  does not take it, as a plain one whose weights are zero off the diagonal.
- A product of two maps is an identity, in whose stream it is.
- Concatenations, slices and nearest resizes are copies by POOL, word by word.
- Max-pool and mean; an average-pool is a mean of each of its windows, or of the whole map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hw.config import DnaConfig
from sw.compiler.layers import Layer
from sw.compiler.lowering.context import Context, check_extents
from sw.compiler.lowering.convolution import conv2d, depthwise_conv2d, fully_connected
from sw.compiler.lowering.copies import channel_slice, concatenation, interleave, resize_nearest
from sw.compiler.lowering.elementwise import add, function, multiply
from sw.compiler.lowering.fusion import Fusion
from sw.compiler.lowering.pooling import average_pool2d, max_pool2d, mean
from sw.errors import DnaError
from sw.graph import Graph
from sw.operations import (
    Add,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Extremum,
    FullyConnected,
    Interleave,
    Lookup,
    MaxPool2D,
    Mean,
    Multiply,
    Operation,
    ResizeNearest,
    Slice,
)

Lowering = Callable[[Context, Any, int], Layer]
"""Context, operation of the class that the table names, and number of the layer; to the layer."""

LOWERINGS: Mapping[type[Operation], Lowering] = {
    Conv2D: conv2d,
    DepthwiseConv2D: depthwise_conv2d,
    FullyConnected: fully_connected,
    Add: add,
    Multiply: multiply,
    Extremum: add,
    Lookup: function,
    Concatenation: concatenation,
    Slice: channel_slice,
    ResizeNearest: resize_nearest,
    Interleave: interleave,
    MaxPool2D: max_pool2d,
    AveragePool2D: average_pool2d,
    Mean: mean,
}
"""How each class of operations becomes a layer; an addition or a function only if none takes it."""


def lower(graph: Graph, config: DnaConfig) -> list[Layer]:
    """The layers of ``graph`` in the order in which they run.

    Raises:
        DnaError: an operation has no counterpart in the instruction set.
    """
    if graph.input in graph.outputs:
        raise DnaError("the network has no operation: its output is its input")
    fusion = Fusion(graph, config)
    context = Context(graph, config, fusion.follows, fusion.functions)
    layers: list[Layer] = []
    for operation in graph.operations:
        if operation.name not in fusion.absorbed:
            layer = _lowering(operation)(context, operation, len(layers))
            check_extents(layer, config)
            layers.append(layer)
    return layers


def _lowering(operation: Operation) -> Lowering:
    try:
        return LOWERINGS[type(operation)]
    except KeyError:
        raise DnaError(
            f"{operation.name}: the compiler has no lowering for {type(operation).__name__}"
        ) from None
