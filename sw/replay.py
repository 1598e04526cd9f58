"""Checks a graph that was read: it must be what :class:`sw.graph_builder.GraphBuilder` makes.

The builder gets nothing but what a front end says: names, weights, windows, scales. All that it
derives (shapes, multipliers, bounds, shifts) must be what the graph holds, to the bit. So whoever
computes a graph, native code too, meets only what the builder lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sw import numerics
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
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
    Tensor,
)
from sw.operators import row_of

Replayed = Callable[[GraphBuilder, Graph, Any, Output], str]
"""Adds an operation of a graph to a builder."""


def check_graph(graph: Graph) -> None:
    """Check that ``graph`` is what the builder makes of its own description.

    Raises:
        DnaError: it is not; the message names the operation, the tensor or the constant.
    """
    for key, tensor in graph.tensors.items():
        if tensor.name != key:
            raise DnaError(f"tensor {key!r} is called {tensor.name!r}, too")
        if not numerics.INT8_MIN <= tensor.zero_point <= numerics.INT8_MAX:
            raise DnaError(f"{key}: zero point {tensor.zero_point!r} is not in -128..127")
    source = _tensor(graph, graph.input)
    # What overflows is refused by the builder.
    with np.errstate(all="ignore"):
        builder = GraphBuilder(source.name, source.shape, source.scale, source.zero_point)
        for name in graph.further:
            more = _tensor(graph, name)
            builder.further_input(name, more.shape, more.scale, more.zero_point)
        for operation in graph.operations:
            _replay(builder, graph, operation)
        for state in graph.states:
            if f"{state.source}.initial" not in graph.constants:
                raise DnaError(f"there is no constant '{state.source}.initial'")
            builder.carry(state.source, state.target, graph.constants[f"{state.source}.initial"])
        right = builder.finish(*graph.answers)
    _compare(graph, right)


def _tensor(graph: Graph, name: str) -> Tensor:
    if name not in graph.tensors:
        raise DnaError(f"there is no tensor {name!r}")
    return graph.tensors[name]


def _replay(builder: GraphBuilder, graph: Graph, operation: Operation) -> None:
    name = operation.name
    operands = row_of(type(operation)).operands
    if len(operation.inputs) != (operands or len(operation.inputs)) or not operation.inputs:
        raise DnaError(f"{name} has {len(operation.inputs)} inputs, not {operands}")
    tensor = _tensor(graph, name)
    output = Output(tensor.scale, tensor.zero_point, getattr(operation, "activation", "none"))
    REPLAYS[type(operation)](builder, graph, operation, output)


def _window(operation: Any) -> Window:
    return Window(operation.kernel, operation.stride, operation.padding)


def _weights(graph: Graph, operation: Operation) -> Weights:
    arrays = []
    for what in ("weights", "bias", "weight_scale"):
        key = f"{operation.name}.{what}"
        if key not in graph.constants:
            raise DnaError(f"there is no constant {key!r}")
        arrays.append(graph.constants[key])
    values, bias, scale = arrays
    if values.ndim < 2 or not values.size:
        raise DnaError(f"{operation.name}: weights {list(values.shape)} are none")
    return Weights(values=values, bias=bias, scale=scale)


def _conv2d(builder: GraphBuilder, graph: Graph, conv: Conv2D, output: Output) -> str:
    weights = _weights(graph, conv)
    return builder.conv2d(conv.name, conv.inputs[0], weights, output, _window(conv))


def _depthwise(builder: GraphBuilder, graph: Graph, conv: DepthwiseConv2D, output: Output) -> str:
    weights = _weights(graph, conv)
    return builder.depthwise_conv2d(conv.name, conv.inputs[0], weights, output, _window(conv))


def _fully_connected(
    builder: GraphBuilder, graph: Graph, dense: FullyConnected, output: Output
) -> str:
    weights = _weights(graph, dense)
    return builder.fully_connected(dense.name, dense.inputs[0], weights, output)


def _add(builder: GraphBuilder, _graph: Graph, add: Add, output: Output) -> str:
    left, right = add.inputs
    return builder.add(add.name, left, right, output, subtract=add.multipliers[1] < 0)


def _multiply(builder: GraphBuilder, _graph: Graph, product: Multiply, output: Output) -> str:
    left, right = product.inputs
    return builder.multiply(product.name, left, right, output)


def _extremum(builder: GraphBuilder, _graph: Graph, choice: Extremum, output: Output) -> str:
    left, right = choice.inputs
    return builder.extremum(choice.name, left, right, output, largest=choice.largest)


def _lookup(builder: GraphBuilder, graph: Graph, lookup: Lookup, output: Output) -> str:
    table = graph.constants.get(f"{lookup.name}.table")
    if table is None:
        raise DnaError(f"there is no constant '{lookup.name}.table'")
    return builder.lookup(lookup, table, output)


def _concatenate(
    builder: GraphBuilder, _graph: Graph, joint: Concatenation, _output: Output
) -> str:
    return builder.concatenate(joint.name, joint.inputs, joint.axis)


def _slice(builder: GraphBuilder, _graph: Graph, part: Slice, _output: Output) -> str:
    return builder.slice_channels(part.name, part.inputs[0], part.begin, part.count, part.axis)


def _resize(builder: GraphBuilder, _graph: Graph, resize: ResizeNearest, _output: Output) -> str:
    return builder.resize_nearest(resize.name, resize.inputs[0], resize.factor)


def _interleave(builder: GraphBuilder, _graph: Graph, turns: Interleave, _output: Output) -> str:
    return builder.interleave(turns.name, turns.inputs, turns.factor)


def _max_pool(builder: GraphBuilder, _graph: Graph, pool: MaxPool2D, _output: Output) -> str:
    return builder.max_pool2d(pool.name, pool.inputs[0], _window(pool))


def _average(builder: GraphBuilder, _graph: Graph, pool: AveragePool2D, _output: Output) -> str:
    return builder.average_pool2d(pool.name, pool.inputs[0], _window(pool))


def _mean(builder: GraphBuilder, graph: Graph, mean: Mean, output: Output) -> str:
    keep_dims = len(graph.tensors[mean.name].shape) == 3
    return builder.mean(mean.name, mean.inputs[0], output, keep_dims=keep_dims, axes=mean.axes)


REPLAYS: Mapping[type[Operation], Replayed] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    FullyConnected: _fully_connected,
    Add: _add,
    Multiply: _multiply,
    Extremum: _extremum,
    Lookup: _lookup,
    Concatenation: _concatenate,
    Slice: _slice,
    ResizeNearest: _resize,
    Interleave: _interleave,
    MaxPool2D: _max_pool,
    AveragePool2D: _average,
    Mean: _mean,
}
"""How each class of operations joins a builder again."""


def _compare(graph: Graph, right: Graph) -> None:
    for operation, other in zip(graph.operations, right.operations, strict=True):
        for field in operation.__struct_fields__:
            said, true = getattr(operation, field), getattr(other, field)
            if said != true:
                raise DnaError(f"{operation.name}: {field} is {said!r}, not {true!r}")
    for kind, names, others in (
        ("tensor", graph.tensors, right.tensors),
        ("constant", graph.constants, right.constants),
    ):
        for name in names.keys() ^ others.keys():
            raise DnaError(f"there is a {kind} too many or too few: {name!r}")
    for name, tensor in graph.tensors.items():
        if tensor != right.tensors[name]:
            raise DnaError(f"{name}: the tensor is {tensor}, not {right.tensors[name]}")
    for name, array in graph.constants.items():
        derived = right.constants[name]
        if array is not derived and not (
            (array.dtype, array.shape) == (derived.dtype, derived.shape)
            and array.tobytes() == derived.tobytes()
        ):
            raise DnaError(f"{name} is not what follows from the scales")
