"""Makes a case that fails simpler, step by step, as long as it fails in the same way."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from sim.memory.model import MemoryModel
from sim.reference import ReferenceModel
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
    Padding,
    ResizeNearest,
    Slice,
    Windowed,
)
from tests.sweeps.fuzz_cases import Case, Failure

MOST_ATTEMPTS = 150
"""Cases that shrinking may try."""

Judge = Callable[[Case], Failure | None]
"""What is wrong with a case."""


def shrink(case: Case, judge: Judge) -> tuple[Case, Failure]:
    """A case that fails in the same way and that no single step makes simpler.

    Args:
        case: one that fails.
        judge: finds that.

    Returns:
        The smallest that was found in ``MOST_ATTEMPTS`` runs, and how it fails.
    """
    failure = judge(case)
    assert failure is not None
    attempts = 0
    progress = True
    while progress:
        progress = False
        for candidate in _simpler(case):
            attempts += 1
            if attempts > MOST_ATTEMPTS:
                return case, failure
            found = judge(candidate)
            if found is not None and found.kind == failure.kind:
                case, failure, progress = candidate, found, True
                break
    return case, failure


def _simpler(case: Case) -> Iterator[Case]:
    """Cases that are a step simpler, the largest steps first."""
    if case.images > 1:
        yield from (
            dataclasses.replace(case, images=count) for count in sorted({1, case.images - 1})
        )
    yield from (dataclasses.replace(case, memory=memory) for memory in _calmer(case.memory))
    graph = case.graph
    inner = [operation.output for operation in graph.operations if operation.output != graph.output]
    tensors = ReferenceModel(graph).run_all(case.image)
    steps: list[dict[str, Any]] = [
        *([{}] if len(rebuild(graph).operations) < len(graph.operations) else []),
        *([{"keep_others": False}] if graph.others else []),
        *({"target": name} for name in inner),
        *({"source": name} for name in reversed(inner)),
        *({"shape": shape} for shape in _smaller(graph.tensors[graph.input].shape)),
        *(
            {"edits": {operation.name: edit}}
            for operation in graph.operations
            for edit in _edits(graph, operation)
        ),
    ]
    for step in steps:
        with contextlib.suppress(DnaError):
            smaller = rebuild(graph, **step)
            image = tensors[smaller.input]
            inside = tuple(slice(size) for size in smaller.tensors[smaller.input].shape)
            yield dataclasses.replace(
                case, graph=smaller, image=np.ascontiguousarray(image[inside])
            )


def _calmer(memory: MemoryModel) -> Iterator[MemoryModel]:
    """The usual memory, or one that is like it in one more respect."""
    usual = MemoryModel()
    if memory != usual:
        yield usual
        for field in dataclasses.fields(memory):
            if memory.dram is not None and field.name in ("dram", "cycle_ps"):
                continue  # which go together, and with the usual memory
            calmer = dataclasses.replace(memory, **{field.name: getattr(usual, field.name)})
            if calmer not in (memory, usual):
                yield calmer


def _less(size: int) -> list[int]:
    return sorted({1, size // 2, size - 1} & set(range(1, size)))


def _smaller(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for axis, size in enumerate(shape):
        for less in _less(size):
            yield (*shape[:axis], less, *shape[axis + 1 :])


def _edits(graph: Graph, operation: Operation) -> Iterator[dict[str, Any]]:
    if isinstance(operation, Windowed):
        if operation.padding != Padding():
            yield {"padding": Padding()}
        if operation.stride != (1, 1):
            yield {"stride": (1, 1)}
        for kernel in _smaller(operation.kernel):
            yield {"kernel": kernel}
    if isinstance(operation, Conv2D | FullyConnected):
        for channels in _less(graph.result(operation).shape[-1]):
            yield {"channels": channels}


def rebuild(
    graph: Graph,
    *,
    source: str | None = None,
    target: str | None = None,
    shape: tuple[int, ...] | None = None,
    edits: Mapping[str, Mapping[str, Any]] | None = None,
    unread: bool = False,
    keep_others: bool = True,
) -> Graph:
    """A part of ``graph``, or the same with other sizes; what weights are left keep their values.

    Args:
        source: tensor that becomes the input.
        target: tensor that becomes the output.
        shape: of the input, nowhere larger than it is.
        edits: by operation, other ``kernel``, ``stride``, ``padding`` or ``channels``.
        unread: keep operations whose result nobody needs.
        keep_others: keep further outputs, unless another tensor becomes the output.

    Raises:
        DnaError: there is no such graph.
    """
    others = graph.others if target is None and keep_others else ()
    source, target = source or graph.input, target or graph.output
    first = graph.tensors[source]
    builder = GraphBuilder(source, shape or first.shape, first.scale, first.zero_point)
    needed, made = {target, *others}, []
    for operation in reversed(graph.operations):
        if unread or operation.output in needed - {source}:
            made.append(operation)
            needed |= set(operation.inputs)
    for operation in reversed(made):
        REBUILD[type(operation)](
            Rebuilt(builder, graph, operation, (edits or {}).get(operation.name, {}))
        )
    return builder.finish(target, *others)


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """An operation of ``graph``, changed by ``edit``, for the graph that ``builder`` has."""

    builder: GraphBuilder
    graph: Graph
    operation: Any
    edit: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the operation, and of what it reads."""
        return (self.operation.name, *self.operation.inputs)

    @property
    def output(self) -> Output:
        result = self.graph.result(self.operation)
        return Output(
            result.scale, result.zero_point, getattr(self.operation, "activation", "none")
        )

    @property
    def window(self) -> Window:
        wanted = (self.edit.get(key, getattr(self.operation, key)) for key in WINDOW)
        return Window(*wanted)

    def weights(self) -> Weights:
        """Those that fit what the operation reads now."""
        out = slice(self.edit.get("channels"))
        values, bias, scale = (
            self.graph.constant(self.operation, what)[out]
            for what in ("weights", "bias", "weight_scale")
        )
        shape = self.builder.tensor(self.operation.inputs[0]).shape
        if isinstance(self.operation, FullyConnected):
            return Weights(values[:, : int(np.prod(shape))], bias, scale)
        height, width = self.window.kernel
        values = values[:, :height, :width]
        if isinstance(self.operation, Conv2D):
            return Weights(values[..., : shape[-1]], bias, scale)
        inputs = self.graph.operands(self.operation)[0].shape[-1]
        kept = shape[-1] * (len(values) // inputs)
        return Weights(values[:kept], bias[:kept], scale[:kept])


WINDOW = ("kernel", "stride", "padding")
REBUILD: dict[type[Operation], Callable[[Rebuilt], str]] = {
    Conv2D: lambda it: it.builder.conv2d(*it.names, it.weights(), it.output, it.window),
    DepthwiseConv2D: lambda it: it.builder.depthwise_conv2d(
        *it.names, it.weights(), it.output, it.window
    ),
    FullyConnected: lambda it: it.builder.fully_connected(*it.names, it.weights(), it.output),
    Add: lambda it: it.builder.add(*it.names, it.output, subtract=it.operation.multipliers[1] < 0),
    Extremum: lambda it: it.builder.extremum(*it.names, it.output, largest=it.operation.largest),
    Multiply: lambda it: it.builder.multiply(*it.names, it.output),
    Concatenation: lambda it: it.builder.concatenate(
        it.operation.name, it.operation.inputs, it.operation.axis
    ),
    Slice: lambda it: it.builder.slice_channels(
        *it.names, it.operation.begin, it.operation.count, it.operation.axis
    ),
    ResizeNearest: lambda it: it.builder.resize_nearest(*it.names, it.operation.factor),
    Interleave: lambda it: it.builder.interleave(
        it.operation.name, it.operation.inputs, it.operation.factor
    ),
    Lookup: lambda it: it.builder.lookup(
        it.operation, it.graph.constant(it.operation, "table"), it.output
    ),
    MaxPool2D: lambda it: it.builder.max_pool2d(*it.names, it.window),
    AveragePool2D: lambda it: it.builder.average_pool2d(*it.names, it.window),
    Mean: lambda it: it.builder.mean(
        *it.names,
        it.output,
        keep_dims=len(it.graph.result(it.operation).shape) == 3,
        axes=it.operation.axes,
    ),
}
"""How an operation of each class is added once more, with other sizes."""
