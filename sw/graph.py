"""The integer graph: a quantized network as the contract of docs/numerics.md computes it.

A graph is a list of operations in execution order over named tensors; :mod:`sw.operations` says
what these are, and :class:`sw.graph_builder.GraphBuilder` puts them together. Large arrays live in
``Graph.constants``, a dictionary of numpy arrays named ``<operation>.<what>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sw import numerics
from sw.errors import DnaError
from sw.operations import (
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Moved,
    Operation,
    Tensor,
    Weighted,
)

Array = npt.NDArray[Any]

NOTHING: Mapping[str, Array] = MappingProxyType({})
"""No further inputs."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map that is carried from call to call.

    Its constant ``<source>.initial``, int8 of the source's shape, is what the first call begins
    with.

    Attributes:
        source: the input that a call begins with.
        target: the tensor that the next one begins with, value by value in the order of the bytes.
    """

    source: str
    target: str


class Graph(msgspec.Struct):
    """A quantized network.

    Attributes:
        input: name of the input tensor; of several the first.
        output: name of the output tensor (logits); of several the first.
        tensors: every tensor by name.
        operations: in execution order; each output is written once, before it is read.
        constants: arrays by name; see the operations.
        others: names of further output tensors.
        further: names of further input tensors, those of ``states`` included.
        states: what is carried from call to call.
    """

    input: str
    output: str
    tensors: dict[str, Tensor]
    operations: list[Operation]
    constants: dict[str, Array]
    others: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    states: tuple[State, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of the output tensors that are asked for."""
        return (self.output, *self.others)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all output tensors: behind the answers what the next call begins with."""
        return tuple(dict.fromkeys([*self.answers, *(state.target for state in self.states)]))

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all input tensors."""
        return (self.input, *self.further)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the input tensors that no call leaves to the next one."""
        carried = {state.source for state in self.states}
        return tuple(name for name in self.inputs if name not in carried)

    def initial(self) -> dict[str, Array]:
        """What the first call begins with, by the name of the input."""
        return {state.source: self.constants[f"{state.source}.initial"] for state in self.states}

    def carried(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """What the next call begins with, by the name of the input; ``found``: all outputs."""
        return {
            state.source: found[state.target].reshape(self.tensors[state.source].shape)
            for state in self.states
        }

    def fed(self, image: Array, further: Mapping[str, Array]) -> list[Array]:
        """All inputs in order, int8; a state that is not given has its initial value.

        Raises:
            DnaError: one is missing, or has another type or shape.
        """
        values = {**self.initial(), **further, self.input: image}
        for name in values.keys() - set(self.inputs):
            raise DnaError(f"the network has no input {name!r}")
        for name in self.inputs:
            shape = self.tensors[name].shape
            if name not in values:
                raise DnaError(f"the network takes {name!r} too, int8 of shape {shape}")
            array, place = values[name], "" if len(self.given) == 1 else f" as {name!r}"
            if array.dtype != np.int8 or array.shape != shape:
                raise DnaError(
                    f"the network takes int8 images of shape {shape}{place}, not {array.dtype} of "
                    f"shape {array.shape}"
                )
        return [values[name] for name in self.inputs]

    def constant(self, operation: Operation, what: str) -> Array:
        """The array ``what`` of an operation."""
        return self.constants[f"{operation.name}.{what}"]

    def operands(self, operation: Operation) -> list[Tensor]:
        """The input tensors of an operation."""
        return [self.tensors[name] for name in operation.inputs]

    def result(self, operation: Operation) -> Tensor:
        """The output tensor of an operation."""
        return self.tensors[operation.output]

    def find(self, name: str) -> Operation:
        """The operation called ``name``.

        Raises:
            DnaError: there is none.
        """
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise DnaError(f"the graph has no operation {name!r}")

    def weighted(self) -> Iterator[Weighted]:
        """The convolutions and classifier layers, in order."""
        for operation in self.operations:
            if isinstance(operation, Weighted):
                yield operation

    def dense_weights(self, operation: DepthwiseConv2D) -> Array:
        """The weights as those of a :class:`Conv2D`, zero where a channel sees another one."""
        weights = self.constant(operation, "weights")
        channels, inputs = weights.shape[0], self.operands(operation)[0].shape[2]
        dense = np.zeros((*weights.shape, inputs), np.int8)
        each = np.arange(channels)
        dense[each, :, :, each // (channels // inputs)] = weights
        return dense

    @property
    def sources(self) -> list[str]:
        """The tensors that no operation computes, ``input`` first: of a network its inputs."""
        computed = {operation.output for operation in self.operations}
        read = (name for operation in self.operations for name in operation.inputs)
        return list(dict.fromkeys([self.input, *(name for name in read if name not in computed)]))

    def part(self, names: Sequence[str]) -> Graph:
        """The operations called ``names``, in this order, as a graph; it shares their constants.

        Its input is the first operand of the first of them, its output the last one's result. What
        else comes from outside, such as the other operand of an addition, is among its
        :attr:`sources`.

        Raises:
            DnaError: there is no such operation.
        """
        operations = [self.find(name) for name in names]
        part = Graph(
            input=operations[0].inputs[0],
            output=operations[-1].output,
            tensors={},
            operations=operations,
            constants={
                key: value
                for key, value in self.constants.items()
                if key.rpartition(".")[0] in names
            },
        )
        for name in (*part.sources, *(operation.output for operation in operations)):
            part.tensors[name] = self.tensors[name]
        return part

    def at_least_zero_point(self, name: str) -> bool:
        """Whether no value of a tensor is below its zero point, so that PAD never wins a maximum.

        A pooling or a copy passes its input's bound on, an activation clamps to ``lo``.
        """
        zero_point = self.tensors[name].zero_point
        if zero_point == numerics.INT8_MIN:
            return True
        for operation in self.operations:
            if operation.output == name:
                if isinstance(operation, MaxPool2D | AveragePool2D | Moved):
                    return all(self.at_least_zero_point(each) for each in operation.inputs)
                return bool(getattr(operation, "lo", numerics.INT8_MIN) >= zero_point)
        return False

    def macs(self, operation: Operation) -> int:
        """Multiply-accumulates of one operation (padding counted, as is usual)."""
        if not isinstance(operation, Conv2D | DepthwiseConv2D | FullyConnected):
            return 0
        per_channel = int(np.prod(self.constant(operation, "weights").shape[1:]))
        return per_channel * int(np.prod(self.result(operation).shape))
