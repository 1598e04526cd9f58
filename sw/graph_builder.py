"""Builds the integer graph: front ends say what a network does, this checks and derives the rest.

An operation of the graph is one of :mod:`sw.operation_builder`; here is what takes several, or one
with constants that follow from what it is for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from sw import numerics
from sw.descriptions import Output, Weights, Window
from sw.errors import DnaError
from sw.graph import Array, Graph, State
from sw.numerics import Activation
from sw.operation_builder import OperationBuilder
from sw.operations import AveragePool2D, Conv2D, MaxPool2D, Padding

__all__ = ["GraphBuilder", "Output", "Weights", "Window"]


class GraphBuilder(OperationBuilder):
    """An :class:`OperationBuilder` that also adds what is made of operations, and changes some.

    Arguments, names of outputs and errors are those of :class:`OperationBuilder`.
    """

    def identity(
        self,
        name: str,
        x: str,
        *,
        padding: Padding = Padding(),  # noqa: B008 (immutable)
        activation: Activation = "none",
    ) -> str:
        """Add a convolution that changes no value, for its padding or its activation."""
        source = self.tensor(x)
        output = Output(source.scale, source.zero_point, activation)
        return self._uniform(name, x, 1.0, output, Window((1, 1), padding=padding))

    def repeat_channels(self, x: str, order: Sequence[int]) -> bool:
        """Let a convolution that nobody reads yet write its channels in an order, also repeated.

        Returns:
            Whether ``x`` is the result of one.
        """
        operations = self._graph.operations
        computed = any(isinstance(op, Conv2D) and op.output == x for op in operations)
        if not computed or any(x in op.inputs for op in operations):
            return False
        for what in ("weights", "bias", "weight_scale", "multiplier"):
            values = self._graph.constants[f"{x}.{what}"]
            self._graph.constants[f"{x}.{what}"] = np.ascontiguousarray(values[list(order)])
        shape = (*self._graph.tensors[x].shape[:-1], len(order))
        self._graph.tensors[x] = msgspec.structs.replace(self._graph.tensors[x], shape=shape)
        return True

    def selected(self, name: str, x: str, order: Sequence[int]) -> str:
        """Add a convolution that changes no value: some channels of a map, in any order."""
        source = self.tensor(x)
        values = np.eye(source.shape[-1], dtype=np.int8)[list(order)]
        weights = Weights(
            values=values[:, None, None],
            bias=np.zeros(len(values), np.int32),
            scale=np.ones(len(values), np.float32),
        )
        return self.conv2d(name, x, weights, Output(source.scale, source.zero_point))

    def widened(self, name: str, x: str, before: int, after: int, padding: Padding) -> str:
        """Add a convolution that puts channels of zeros around those that there are."""
        source = self.tensor(x)
        channels = source.shape[-1]
        values = np.pad(np.eye(channels, dtype=np.int8), ((before, after), (0, 0)))
        weights = Weights(
            values=values[:, None, None],
            bias=np.zeros(len(values), np.int32),
            scale=np.ones(len(values), np.float32),
        )
        output, window = Output(source.scale, source.zero_point), Window((1, 1), padding=padding)
        return self.conv2d(name, x, weights, output, window)

    def counting_average(self, name: str, x: str, output: Output, window: Window) -> str:
        """Add the average over all of a window, its padding counted in as zeros.

        It is a depthwise convolution of ones: unlike an average-pool it has a scale of its own and
        rounds halves to even.
        """
        return self._uniform(name, x, 1 / (window.kernel[0] * window.kernel[1]), output, window)

    def constant_pixel(self, name: str, x: str, values: Array, output: Output) -> str:
        """Add a pixel that is always the same; a convolution of nothing but a bias makes it.

        Args:
            x: any map or flat tensor with a channel for each of ``values``.
            values: int8 [channels], as ``output`` quantizes them.
        """
        source = self.tensor(x)
        if source.shape[:-1] not in ((1, 1), ()):
            unchanged = Output(source.scale, source.zero_point)
            x = self.mean(f"{name}.place", x, unchanged, keep_dims=True)
        channels, flat = len(values), len(source.shape) == 1
        weights = Weights(
            values=np.zeros((channels, channels) if flat else (channels, 1, 1), np.int8),
            bias=values.astype(np.int32) - output.zero_point,
            scale=np.full(channels, np.float32(output.scale) / np.float32(source.scale)),
        )
        add = self.fully_connected if flat else self.depthwise_conv2d
        return add(name, x, weights, output)

    def _uniform(self, name: str, x: str, weight: float, output: Output, window: Window) -> str:
        channels = self.tensor(x).shape[-1]
        weights = Weights(
            values=np.ones((channels, *window.kernel), np.int8),
            bias=np.zeros(channels, np.int32),
            scale=np.full(channels, weight, np.float32),
        )
        return self.depthwise_conv2d(name, x, weights, output, window)

    def max_pool2d(
        self, name: str, x: str, window: Window, *, activation: Activation = "none"
    ) -> str:
        """Add a max-pool; the output keeps the input's scale and zero point.

        Args:
            activation: behind it; where that leaves a value out, an identity of its own.
        """
        return self._pool(MaxPool2D, name, x, window, activation)

    def average_pool2d(
        self, name: str, x: str, window: Window, *, activation: Activation = "none"
    ) -> str:
        """Add an average-pool; the output keeps the input's scale and zero point.

        Args:
            activation: as for :meth:`max_pool2d`.
        """
        return self._pool(AveragePool2D, name, x, window, activation)

    def _pool(
        self,
        kind: type[MaxPool2D | AveragePool2D],
        name: str,
        x: str,
        window: Window,
        activation: Activation,
    ) -> str:
        source = self.tensor(x)
        bounds = Output(source.scale, source.zero_point, activation).bounds
        bounded = bounds != (numerics.INT8_MIN, numerics.INT8_MAX)
        pooled = f"{name}.window" if bounded else name
        self.pool(kind, pooled, x, window)
        return self.identity(name, pooled, activation=activation) if bounded else name

    def carry(self, source: str, target: str, initial: Array) -> None:
        """Let the next call begin with tensor ``target`` where this one began with ``source``.

        Args:
            source: a further input.
            target: of its scale, zero point and number of values.
            initial: int8 of the shape of ``source``, what the first call begins with.

        Raises:
            DnaError: ``source`` is no input of its own, or the others do not fit it.
        """
        before, after, key = self.tensor(source), self.tensor(target), f"{source}.initial"
        if source not in self._graph.further or key in self._graph.constants:
            raise DnaError(f"{source!r} is no further input, or carried twice")
        if target in self._graph.inputs:
            raise DnaError(f"{source!r} would be carried from {target!r}, which is an input")
        if (before.scale, before.zero_point, math.prod(before.shape)) != (
            *(after.scale, after.zero_point, math.prod(after.shape)),
        ):
            raise DnaError(f"{target!r} is not what {source!r} can be carried from")
        if initial.dtype != np.int8 or initial.shape != before.shape:
            raise DnaError(f"{source!r} begins with {initial.dtype} of shape {initial.shape}")
        self._graph.constants[key] = np.ascontiguousarray(initial)
        self._graph.states = (*self._graph.states, State(source, target))

    def finish(self, output: str, *others: str) -> Graph:
        """The graph, ending at tensor ``output``, and at ``others``.

        Raises:
            DnaError: one is not computed, or named twice; or a further input is not read.
        """
        unread = set(self._graph.further) - set(self._graph.sources)
        if unread:
            raise DnaError(f"the input {min(unread)!r} is read by no operation")
        outputs = (output, *others)
        for name in outputs:
            self.tensor(name)
        if len(set(outputs)) != len(outputs):
            raise DnaError(f"an output is named twice: {', '.join(outputs)}")
        self._graph.output, self._graph.others = output, others
        return self._graph
