"""What the kernels do together: additions with the convolution in front, functions in one table."""

from __future__ import annotations

from collections import defaultdict

import msgspec

from sw.compiler.lowering.pointwise import pointwise
from sw.graph import Graph
from sw.operations import Add, Conv2D, Lookup


def fusions(graph: Graph) -> dict[str, Add]:
    """Additions that the convolution before them can do, by the name of the convolution.

    It must be the later of the two addends and have no other reader.
    """
    readers: dict[str, int] = defaultdict(int)
    for operation in graph.operations:
        for name in operation.inputs:
            readers[name] += 1
    order = {operation.output: i for i, operation in enumerate(graph.operations)}
    found = {}
    for operation in graph.operations:
        if not isinstance(operation, Add):
            continue
        last = max(operation.inputs, key=lambda name: order.get(name, -1))
        if last in order and readers[last] == 1 and last not in graph.outputs:
            producer = graph.operations[order[last]]
            shapes = {graph.tensors[name].shape for name in operation.inputs}
            if isinstance(producer, Conv2D) and len(shapes) == 1:
                found[producer.name] = operation
    return found


def with_tables(graph: Graph) -> Graph:
    """The same network with every chain of functions of one value, gates too, as one table."""
    functions, within = pointwise(graph)
    operations = list(graph.operations)
    constants = dict(graph.constants)
    for i, operation in enumerate(operations):
        function = functions.get(operation.output)
        if function is None:
            continue
        operations[i] = Lookup(
            name=operation.name,
            inputs=(function.root,),
            output=operation.output,
            function="table",
        )
        constants[f"{operation.name}.table"] = function.table
    operations = [operation for operation in operations if operation.name not in within]
    return msgspec.structs.replace(graph, operations=operations, constants=constants)
