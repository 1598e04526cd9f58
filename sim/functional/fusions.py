"""Which additions the kernels do together with the convolution in front of them."""

from __future__ import annotations

from collections import defaultdict

from sw.graph import Graph
from sw.operations import Add, Conv2D


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
