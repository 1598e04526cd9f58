"""Runs an integer graph with the kernels of ``kernels.cc``, on CPUs that ``isa.py`` names.

The kernels are compiled once per source and kept in the user's cache folder.
"""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim import native
from sim.functional import packing
from sim.functional.fusions import fusions, with_tables
from sim.functional.isa import Isa
from sim.functional.layout import (
    PRELUDE,
    UNSIGNED,
    Kind,
    Layer,
    Map,
    Memory,
    Products,
    aligned,
    borders,
    section,
    spatial,
)
from sim.native.declarations import constants
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
    Pair,
    ResizeNearest,
    Slice,
    Windowed,
)

Array = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]

SOURCE = Path(__file__).with_name("kernels.cc")
CHANNELS = 2
"""The axis of what a copy takes within each pixel."""


def library(isa: Isa) -> Path:
    """The kernels, compiled for an instruction set.

    Raises:
        DnaError: the compiler fails or the cache folder cannot be written.
    """
    return native.library(
        SOURCE,
        isa.flags,
        headers=sorted(SOURCE.parent.glob("*.h")),
        prelude=PRELUDE + constants(isa.constants),
    )


class Kernels:
    """A graph laid out for the kernels.

    Args:
        graph: what to run.
        isa: the instruction set, which this CPU has.
        threads: threads that share every layer.
        every_tensor: keep the result of every operation, for :meth:`run` to return.

    Raises:
        DnaError: the kernels cannot be compiled.
    """

    def __init__(
        self, graph: Graph, isa: Isa, threads: int = 1, *, every_tensor: bool = False
    ) -> None:
        if not every_tensor:
            graph = with_tables(graph)
        self._graph = graph
        self._isa = isa
        self._names = (
            [operation.output for operation in graph.operations]
            if every_tensor
            else list(graph.outputs)
        )
        self._fused = {} if every_tensor else fusions(graph)
        self._constants: list[Array] = []
        self._borders = borders(graph)
        self._memory: dict[str, Memory] = {}
        layers = list(self._plan(reuse=not every_tensor))
        self._compute = self._start((Layer * len(layers))(*layers), threads)

    def run(self, image: Int8, *further: Int8) -> list[Int8]:
        """The outputs for one image, as :meth:`sim.functional.litert.LiteRT.run` gives them."""
        for name, values in zip(self._graph.inputs, (image, *further), strict=True):
            source = self._memory[name].view
            np.bitwise_xor(values.view(np.uint8).reshape(source.shape), UNSIGNED, out=source)
        self._compute()
        return [
            (self._memory[name].view ^ UNSIGNED)
            .view(np.int8)
            .reshape(self._graph.tensors[name].shape)
            for name in self._names
        ]

    def _start(self, layers: ctypes.Array[Layer], threads: int) -> Callable[[], object]:
        """What computes all layers, as often as it is called."""
        code = ctypes.CDLL(str(library(self._isa)))
        code.dna_create.restype = ctypes.c_void_p
        machine = ctypes.c_void_p(code.dna_create(layers, len(layers), threads))
        weakref.finalize(self, code.dna_destroy, machine)
        return functools.partial(code.dna_run, machine)

    def _plan(self, reuse: bool) -> Iterator[Layer]:
        """The layers in order, and memory for every tensor that is written.

        With ``reuse``, a tensor takes over the memory of a dead one of the same form: what was
        written lately is still in the cache.
        """
        graph = self._graph
        steps: list[tuple[Operation, Add | None]] = []
        absorbed = {add.name for add in self._fused.values()}
        for operation in graph.operations:
            if operation.name not in absorbed:
                steps.append((operation, self._fused.get(operation.name)))
        last_use = dict.fromkeys((*graph.outputs, *graph.inputs), len(steps))
        for i, (operation, add) in enumerate(steps):
            for name in (*operation.inputs, *(add.inputs if add else ())):
                last_use[name] = max(last_use.get(name, 0), i)
        free: dict[tuple[Any, ...], list[Memory]] = defaultdict(list)

        def form(name: str) -> tuple[Any, ...]:
            tensor = graph.tensors[name]
            return (tensor.shape, tensor.zero_point, self._borders[name])

        def allocate(name: str) -> None:
            waiting = free[form(name)]
            self._memory[name] = (
                waiting.pop() if waiting else Memory(graph.tensors[name], self._borders[name])
            )

        for name in graph.inputs:
            allocate(name)
        for i, (operation, add) in enumerate(steps):
            allocate((add or operation).output)
            yield from self._layers(operation, add)
            if reuse:
                for name in {*operation.inputs, *(add.inputs if add else ())}:
                    if name in self._memory and last_use[name] == i:
                        free[form(name)].append(self._memory[name])

    def _map(self, name: str) -> Map:
        tensor, memory = self._graph.tensors[name], self._memory[name]
        height, width, channels = spatial(tensor.shape)
        return Map(
            data=memory.bytes[memory.start :].ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)),
            row=memory.row,
            height=height,
            width=width,
            channels=channels,
            zero_point=tensor.zero_point + UNSIGNED,
        )

    def _constant(self, array: Array) -> Any:
        """A pointer to an aligned copy that lives as long as this object."""
        copy = aligned(array.nbytes).view(array.dtype).reshape(array.shape)
        copy[...] = array
        self._constants.append(copy)
        return copy.ctypes.data_as(ctypes.POINTER(np.ctypeslib.as_ctypes_type(copy.dtype)))

    def _layers(self, operation: Operation, fused: Add | None) -> Iterator[Layer]:
        if isinstance(operation, Interleave):
            yield from self._in_turns(operation)
            return
        if not isinstance(operation, Concatenation):
            yield self._layer(operation, fused)
            return
        at = 0
        for name in operation.inputs:
            source = self._map(name)
            extent = (source.height, source.width, source.channels)[operation.axis]
            layer = Layer(input=source, output=self._map(operation.output))
            if operation.axis == CHANNELS:
                self._copy(layer, at=at, count=extent)
            else:
                layer.output = section(layer.output, operation.axis, at, extent)
                self._copy(layer)
            at += extent
            yield layer

    def _in_turns(self, operation: Interleave) -> Iterator[Layer]:
        """A copy for each map: rows a factor apart, and pixels as channels of wider ones."""
        down, across = operation.factor
        for number, name in enumerate(operation.inputs):
            row, column = divmod(number, across)
            layer = Layer(input=self._map(name), output=self._map(operation.output))
            target = section(layer.output, 0, row, layer.output.height - row)
            target.height, target.row = layer.input.height, target.row * down
            target.width, target.channels = layer.input.width, target.channels * across
            layer.output = target
            self._copy(layer, at=column * layer.input.channels, count=layer.input.channels)
            yield layer

    def _layer(self, operation: Operation, fused: Add | None) -> Layer:
        layer = Layer(input=self._map(operation.inputs[0]))
        layer.output = self._map((fused or operation).output)
        layer.stride[:] = (1, 1)
        if isinstance(operation, Windowed):
            layer.kernel[:] = operation.kernel
            layer.stride[:] = operation.stride
            layer.before[:] = (operation.padding.top, operation.padding.left)
        fill = FILLERS.get(type(operation))
        if fill is None:
            raise DnaError(f"{operation.name}: no kernel computes {type(operation).__name__}")
        fill(self, layer, operation)
        if fused is not None:
            self._addition(layer, fused, fused.inputs.index(operation.output))
        return layer

    def _convolution(self, layer: Layer, operation: Conv2D | FullyConnected) -> None:
        layer.kind = Kind.CONVOLUTION
        self._weighted(layer, operation, self._graph.constant(operation, "weights"))

    def _add(self, layer: Layer, operation: Add) -> None:
        layer.kind = Kind.ADD
        self._addition(layer, operation, 0)

    def _multiply(self, layer: Layer, operation: Multiply) -> None:
        layer.kind = Kind.MULTIPLY
        layer.other = self._map(operation.inputs[1])
        layer.multiplier = self._constant(np.array([operation.multiplier], np.float32))
        layer.zero_point = self._graph.tensors[operation.output].zero_point
        layer.lo, layer.hi = operation.lo, operation.hi

    def _extremum(self, layer: Layer, operation: Extremum) -> None:
        layer.kind = Kind.MAXIMUM if operation.largest else Kind.MINIMUM
        layer.other = self._map(operation.inputs[1])

    def _lookup(self, layer: Layer, operation: Lookup) -> None:
        layer.kind = Kind.LOOKUP
        table = self._graph.constant(operation, "table").view(np.uint8)
        values = np.arange(len(table)) ^ UNSIGNED
        layer.table = self._constant(table[values] ^ UNSIGNED)

    def _copy(
        self, layer: Layer, first: int = 0, at: int = 0, count: int = 0, factor: Pair = (1, 1)
    ) -> None:
        layer.kind = Kind.COPY
        layer.first, layer.at, layer.count = first, at, count or layer.output.channels
        layer.kernel[:] = factor

    def _slice(self, layer: Layer, operation: Slice) -> None:
        if operation.axis == CHANNELS:
            self._copy(layer, first=operation.begin)
        else:
            layer.input = section(layer.input, operation.axis, operation.begin, operation.count)
            self._copy(layer)

    def _resize_nearest(self, layer: Layer, operation: ResizeNearest) -> None:
        self._copy(layer, factor=operation.factor)

    def _several(self, layer: Layer, operation: Concatenation | Interleave) -> None:
        raise AssertionError(f"{operation.name} is a copy for each input")

    def _max_pool(self, layer: Layer, _operation: MaxPool2D) -> None:
        layer.kind = Kind.MAX_POOL

    def _average_pool(self, layer: Layer, _operation: AveragePool2D) -> None:
        layer.kind = Kind.AVERAGE_POOL

    def _mean(self, layer: Layer, operation: Mean) -> None:
        layer.kind = Kind.MEAN
        layer.mean_multiplier = operation.multiplier
        layer.mean_offset = operation.offset

    def _addition(self, layer: Layer, add: Add, side: int) -> None:
        """``side`` is the addend that the layer has at hand."""
        layer.other = self._map(add.inputs[1 - side])
        layer.multiply[:] = (add.multipliers[side], add.multipliers[1 - side])
        layer.shift = add.shift
        layer.add_zero_point = self._graph.tensors[add.output].zero_point
        layer.add_lo, layer.add_hi = add.lo, add.hi

    def _depthwise(self, layer: Layer, operation: DepthwiseConv2D) -> None:
        weights = self._graph.constant(operation, "weights")
        source = self._graph.operands(operation)[0]
        if len(weights) != source.shape[2]:
            layer.kind = Kind.CONVOLUTION
            self._weighted(layer, operation, self._graph.dense_weights(operation))
            return
        layer.kind = Kind.DEPTHWISE
        packed = packing.depthwise(weights, self._isa)
        layer.plain, layer.flipped = map(self._products, (packed.plain, packed.flipped))
        self._channels(layer, operation, weights, packed)

    def _bias(
        self, operation: Conv2D | DepthwiseConv2D | FullyConnected, weights: Array
    ) -> npt.NDArray[np.int32]:
        """The bias with the zero point's share taken off, wrapping."""
        sums = weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64)
        zero_point = self._graph.operands(operation)[0].zero_point + UNSIGNED
        bias: Array = self._graph.constant(operation, "bias") - zero_point * sums
        return bias.astype(np.int32)

    def _weighted(
        self,
        layer: Layer,
        operation: Conv2D | DepthwiseConv2D | FullyConnected,
        weights: Array,
    ) -> None:
        source = self._graph.operands(operation)[0]
        if isinstance(operation, FullyConnected):
            # A window as large as the map.
            weights = weights.reshape(-1, *spatial(source.shape))
            layer.kernel[:] = weights.shape[1:3]
        weights = weights.reshape(*weights.shape[:2], -1)
        packed = packing.convolution(weights, self._isa)
        row = self._memory[source.name].row
        layer.plain, layer.flipped = (
            self._products(products, packing.offset(products, weights, row))
            for products in (packed.plain, packed.flipped)
        )
        self._channels(layer, operation, weights, packed)

    def _products(self, products: packing.Products, offset: Array | None = None) -> Products:
        return Products(
            first=self._constant(products.first),
            offset=self._constant(products.place if offset is None else offset),
            weights=self._constant(products.weights),
        )

    def _channels(
        self,
        layer: Layer,
        operation: Conv2D | DepthwiseConv2D | FullyConnected,
        weights: Array,
        packed: packing.Packed,
    ) -> None:
        """What each channel has of its own, and what all have alike."""
        multiplier = self._graph.constant(operation, "multiplier")
        bias = self._bias(operation, weights)
        layer.zero_point = self._graph.tensors[operation.output].zero_point
        layer.lo, layer.hi = operation.lo, operation.hi
        relu = (layer.zero_point, layer.lo, layer.hi) == (-UNSIGNED, -UNSIGNED, UNSIGNED - 1)
        if relu and operation.name not in self._fused:
            found = packing.rectified(weights, bias, multiplier)
            layer.rectified = found is not None
            bias, multiplier = found or (bias, multiplier)
        layer.bias = self._constant(packed.per_channel(bias) + packed.bias)
        layer.multiplier = self._constant(packed.per_channel(multiplier))


FILLERS: dict[type[Operation], Callable[[Kernels, Layer, Any], None]] = {
    Conv2D: Kernels._convolution,
    DepthwiseConv2D: Kernels._depthwise,
    FullyConnected: Kernels._convolution,
    Add: Kernels._add,
    Multiply: Kernels._multiply,
    Extremum: Kernels._extremum,
    Lookup: Kernels._lookup,
    Concatenation: Kernels._several,
    Slice: Kernels._slice,
    ResizeNearest: Kernels._resize_nearest,
    Interleave: Kernels._several,
    MaxPool2D: Kernels._max_pool,
    AveragePool2D: Kernels._average_pool,
    Mean: Kernels._mean,
}
"""What describes each class of operations to the kernels."""
