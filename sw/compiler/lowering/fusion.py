"""What is computed together with a convolution in the stream behind it: tables and additions."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator

from hw.config import DnaConfig
from sw.compiler.lowering.depthwise import fits
from sw.compiler.lowering.pointwise import Pointwise, pointwise
from sw.graph import Graph
from sw.operations import (
    Add,
    Conv2D,
    DepthwiseConv2D,
    Extremum,
    FullyConnected,
    Multiply,
    Operation,
)

Addition = Add | Extremum
"""What POST does with two values behind its requantizers."""


@dataclasses.dataclass(frozen=True)
class Joined:
    """An addition, or a choice of one of two, and which of its operands is computed with it."""

    addition: Addition
    position: int


@dataclasses.dataclass(frozen=True)
class Follow:
    """What follows a result in POST.

    Attributes:
        front: a function of it.
        joined: an addition to that.
        behind: a function of the sum; there is one table at most.
        output: the tensor in the end.
    """

    front: Pointwise | None = None
    joined: Joined | None = None
    behind: Pointwise | None = None
    output: str = ""

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations, in order."""
        return (
            *(self.front.operations if self.front else ()),
            *((self.joined.addition.name,) if self.joined else ()),
            *(self.behind.operations if self.behind else ()),
        )


class Fusion:
    """Which operations of a graph are computed with which.

    The two operands of an addition are written by two layers (or one is the input); only the later
    one can take the addition along, because only then is the other one there.

    Attributes:
        follows: by the tensor that a convolution, a lone function or a lone addition computes.
        functions: those that are layers of their own, by their tensor.
        absorbed: names of the operations that are no layer of their own.
    """

    def __init__(self, graph: Graph, config: DnaConfig) -> None:
        self._graph = graph
        self._config = config
        self._functions, within = pointwise(graph)
        self.follows: dict[str, Follow] = {}
        self.absorbed = set(within)
        self._readers = self._find_readers()
        self._place = dict.fromkeys(graph.sources, -1)
        self._place |= {operation.output: n for n, operation in enumerate(graph.operations)}
        for number, operation in enumerate(graph.operations):
            if operation.name not in self.absorbed:
                self._follow(number, operation)
        self.functions = {
            name: function
            for name, function in self._functions.items()
            if function.operations[-1] not in self.absorbed
        }

    def _find_readers(self) -> dict[str, list[str]]:
        """Of each tensor the tensors that are computed from it; twice if it is read twice."""
        readers: dict[str, list[str]] = defaultdict(list)
        for operation in self._graph.operations:
            if operation.output not in self._functions and operation.name not in self.absorbed:
                for name in operation.inputs:
                    readers[name].append(operation.output)
        for name, function in self._functions.items():
            readers[function.root].append(name)
        for name in self._graph.outputs:
            readers[name].append("")
        return readers

    def _follow(self, number: int, operation: Operation) -> None:
        """Find what can join the layer of an operation, the ``number``th."""
        name = operation.output
        alone = self._functions.get(name)
        adds = alone is None and isinstance(operation, Addition)
        front = joined = behind = None
        if alone is not None:
            front, end = alone, name
        elif isinstance(operation, Multiply) or _passes_post(self._graph, self._config, operation):
            front = self._function_of(name)
            end = self._output(front) if front else name
        elif adds:
            end = name
        else:
            return
        if not adds and (alone is not None or not isinstance(operation, Multiply)):
            joined = self._addition_to(end, number)
        if joined is not None:
            end = joined.addition.output
        if front is None and (joined is not None or adds):
            behind = self._function_of(end)
            end = self._output(behind) if behind else end
        follow = Follow(front, joined, behind, end)
        self.follows[name] = follow
        for each in self._computed_here(follow):
            if each != operation.name:
                self.absorbed.add(each)
            self._place[self._graph.find(each).output] = number

    def _computed_here(self, follow: Follow) -> Iterator[str]:
        """The operations of a layer, but for those that another one computes, too."""
        ends = {each.operations[-1] for each in (follow.front, follow.behind) if each}
        for name in follow.operations:
            if name in ends or self._graph.find(name).output not in self._functions:
                yield name

    def _output(self, function: Pointwise) -> str:
        return self._graph.find(function.operations[-1]).output

    def _only_reader(self, name: str) -> str | None:
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 else None

    def _function_of(self, name: str) -> Pointwise | None:
        """The function that is all that reads a tensor."""
        reader = self._only_reader(name)
        return self._functions.get(reader) if reader else None

    def _addition_to(self, name: str, number: int) -> Joined | None:
        """The addition that is all that reads a tensor, if its other operand is there by then.

        What is read is a whole operand: one pixel for all is not computed here.
        """
        reader = self._only_reader(name)
        addition = next(self._computing(reader), None) if reader else None
        if not isinstance(addition, Addition) or addition.name in self.absorbed:
            return None
        if reader in self._functions:
            return None
        tensors = self._graph.tensors
        if tensors[name].shape != tensors[addition.output].shape:
            return None
        position = addition.inputs.index(name)
        other = addition.inputs[1 - position]
        return Joined(addition, position) if self._place[other] < number else None

    def _computing(self, name: str) -> Iterator[Operation]:
        return (each for each in self._graph.operations if each.output == name)


def _passes_post(graph: Graph, config: DnaConfig, operation: Operation) -> bool:
    """Whether an operation is a convolution of CONV, whose results an addition can join in POST."""
    if isinstance(operation, DepthwiseConv2D):
        return not fits(graph, config, operation)
    return isinstance(operation, Conv2D | FullyConnected)
