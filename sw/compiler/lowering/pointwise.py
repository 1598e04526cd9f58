"""Functions of one value: which chains of operations are one table.

A chain begins at the last tensor that something else needs, its root: every tensor behind it is a
function of the root's value at the same place, whatever operations lead there. So a product of a
value and a function of it, or the larger one of them, is a table, too. The tables are computed
here, all 256 values at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sw.graph import Graph
from sw.numerics import BYTES
from sw.operations import Extremum, Lookup, Multiply, Operation

Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass(frozen=True)
class Pointwise:
    """A tensor as a function of another one.

    Attributes:
        root: the other one.
        table: int8 [256], the result by the byte of the root's value, read as unsigned.
        operations: names of those that lead from it here, in order.
    """

    root: str
    table: Int8
    operations: tuple[str, ...]


def pointwise(graph: Graph) -> tuple[dict[str, Pointwise], set[str]]:
    """The tensors that are tables of others and are needed, and the operations within those.

    Returns:
        By the name of the tensor, what it is; and the names of operations whose results nothing
        but a table needs.
    """
    chained = {
        operation.name: operation
        for operation in graph.operations
        if isinstance(operation, Lookup | Multiply | Extremum)
    }
    while True:
        needed = _needed(graph, chained)
        functions: dict[str, Pointwise] = {}
        for operation in graph.operations:
            if operation.name not in chained:
                continue
            function = _function(graph, operation, functions, needed)
            if function is None:
                del chained[operation.name]
                break
            functions[operation.output] = function
        else:
            break
    within = {name for name, operation in chained.items() if operation.output not in needed}
    return {name: each for name, each in functions.items() if name in needed}, within


def _needed(graph: Graph, chained: Mapping[str, Operation]) -> set[str]:
    """Tensors that must be there: read by something else, or by nothing."""
    inputs = {name for operation in graph.operations for name in operation.inputs}
    needed = {*graph.outputs, *(o.output for o in graph.operations if o.output not in inputs)}
    for operation in graph.operations:
        if operation.name not in chained:
            needed.update(operation.inputs)
    return needed


def _function(
    graph: Graph, operation: Operation, functions: Mapping[str, Pointwise], needed: set[str]
) -> Pointwise | None:
    """What an operation computes, if all that it reads are functions of one tensor."""
    values = np.arange(BYTES, dtype=np.uint8).view(np.int8)
    ways: list[dict[str, Pointwise]] = []
    for name in operation.inputs:
        way = {}
        if name in needed or name not in functions:
            way[name] = Pointwise(name, values, ())
        if name in functions:
            way.setdefault(functions[name].root, functions[name])
        ways.append(way)
    root = next((root for root in ways[0] if all(root in way for way in ways)), None)
    if root is None:
        return None
    reads = [way[root] for way in ways]
    names = dict.fromkeys(name for each in reads for name in each.operations)
    table = _results(graph, operation, [each.table for each in reads])
    return Pointwise(root, table, (*names, operation.name))


def _results(graph: Graph, operation: Operation, values: list[Int8]) -> Int8:
    """The results of an operation on values; the rules of docs/numerics.md."""
    if isinstance(operation, Lookup):
        table: Int8 = graph.constant(operation, "table")[values[0].view(np.uint8)]
        return table
    if isinstance(operation, Extremum):
        extremum: Int8 = (np.maximum if operation.largest else np.minimum)(*values)
        return extremum
    assert isinstance(operation, Multiply)
    left, right = (
        value.astype(np.int32) - tensor.zero_point
        for value, tensor in zip(values, graph.operands(operation), strict=True)
    )
    scaled = (left * right).astype(np.float32) * np.float32(operation.multiplier)
    rounded = np.rint(scaled).astype(np.int64) + graph.result(operation).zero_point
    product: Int8 = np.clip(rounded, operation.lo, operation.hi).astype(np.int8)
    return product
