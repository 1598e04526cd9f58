"""The forms in which an operator can stand in a network, by its name in the table of operators.

What the sweeps draw must have all of them: ``tests/sweeps/test_forms.py`` looks at what the
compiler makes of their cases. Another operator needs a line here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from hw.config import DnaConfig
from hw.isa import Join, TablePlace
from sw.compiler.layers import AveragePool, Convolution, Copy, Layer, MeanPool
from sw.compiler.lowering import lower
from sw.graph import Graph
from sw.operations import Padding
from sw.operators import row_of


@dataclasses.dataclass(frozen=True)
class Place:
    """An operation where it stands, and the layer that computes it."""

    graph: Graph
    operation: Any
    layer: Any

    @property
    def kind(self) -> str:
        """Name of its row in the table."""
        return row_of(type(self.operation)).name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what it reads first."""
        return self.graph.operands(self.operation)[0].shape

    @property
    def computed_with(self) -> str | None:
        """The operator of the other operation of its layer, if there is one."""
        others = [name for name in self.layer.operations if name != self.operation.name]
        return row_of(type(self.graph.find(others[0]))).name if others else None


Form = Callable[[Place], bool]

WINDOWS: dict[str, Form] = {
    "one stride": lambda it: it.operation.stride[0] == it.operation.stride[1] > 1,
    "uneven strides": lambda it: it.operation.stride[0] != it.operation.stride[1],
    "a stride beyond the kernel": lambda it: bool(
        np.any(np.greater(it.operation.stride, it.operation.kernel))
    ),
    "an uneven kernel": lambda it: it.operation.kernel[0] != it.operation.kernel[1],
    "no padding": lambda it: it.operation.padding == Padding(),
    "padding": lambda it: it.operation.padding != Padding(),
}

ACTIVATIONS: dict[str, Form] = {
    "no activation": lambda it: it.operation.activation == "none",
    "relu": lambda it: it.operation.activation == "relu",
    "relu6": lambda it: it.operation.activation == "relu6",
}


def _multiplier(place: Place) -> int:
    return place.graph.result(place.operation).shape[2] // place.shape[2]


def _operand_shapes(place: Place) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in place.graph.operands(place.operation)]


def _twice(place: Place) -> bool:
    return len(set(place.operation.inputs)) == 1


JOINTS: dict[str, Form] = {
    "of two maps": lambda it: _operand_shapes(it)[0] == _operand_shapes(it)[1] and not _twice(it),
    "of a map and a pixel": lambda it: _operand_shapes(it)[0] != _operand_shapes(it)[1],
}

CONVOLUTIONS = ("convolution", "depthwise convolution", "fully connected")


def _twice_among(place: Place) -> bool:
    return len(set(place.operation.inputs)) < len(place.operation.inputs)


def _kinds(place: Place) -> list[str]:
    """Operators of all operations of the layer, in order."""
    return [row_of(type(place.graph.find(name))).name for name in place.layer.operations]


def _first(place: Place) -> str:
    return _kinds(place)[0]


FORMS: Mapping[str, Mapping[str, Form]] = {
    "convolution": {
        **WINDOWS,
        **ACTIVATIONS,
        "packed windows": lambda it: it.layer.packing is not None,
        "packed windows of several columns": lambda it: (
            it.layer.packing is not None and it.layer.packing.columns > 1
        ),
    },
    "depthwise convolution": {
        **WINDOWS,
        **ACTIVATIONS,
        "a channel to a channel": lambda it: _multiplier(it) == 1 < it.shape[2],
        "several to a channel": lambda it: _multiplier(it) > 1 and it.shape[2] > 1,
    },
    "fully connected": {
        **ACTIVATIONS,
        "of a map": lambda it: len(it.shape) == 3 and it.shape[:2] != (1, 1),
        "of a map as one flat pixel": lambda it: it.layer.stored is not None,
        "of a flat tensor": lambda it: len(it.shape) == 1,
    },
    "addition": {
        **ACTIVATIONS,
        **JOINTS,
        "a difference": lambda it: it.operation.multipliers[1] < 0,
        "a convolution taken from something": lambda it: (
            it.layer.residual.fields["join"] is Join.REVERSED
        ),
        "by itself": lambda it: it.computed_with in (None, "function") and not _twice(it),
        "to itself": _twice,
        "behind a convolution": lambda it: it.computed_with == "convolution",
        "behind a depthwise convolution": lambda it: it.computed_with == "depthwise convolution",
        "behind a classifier": lambda it: it.computed_with == "fully connected",
        "of packed windows": lambda it: it.layer.packing is not None,
        "of flat tensors": lambda it: len(it.shape) == 1,
    },
    "multiplication": {
        **ACTIVATIONS,
        **JOINTS,
        "within a table": lambda it: it.layer.residual is None,
        "with a function behind it": lambda it: (
            it.layer.residual is not None and it.layer.table is not None
        ),
    },
    "extremum": {
        **JOINTS,
        "the larger one": lambda it: it.operation.largest,
        "the smaller one": lambda it: not it.operation.largest,
        "by itself": lambda it: it.layer.residual is not None and len(it.layer.operations) == 1,
        "behind a convolution": lambda it: it.computed_with == "convolution",
        "within a table": lambda it: it.layer.residual is None,
    },
    "function": {
        "by itself": lambda it: _first(it) not in CONVOLUTIONS,
        "behind a convolution": lambda it: _first(it) in CONVOLUTIONS,
        "in front of an addition": lambda it: (
            it.layer.table.place is TablePlace.FRONT and it.layer.residual is not None
        ),
        "behind an addition": lambda it: it.layer.table.place is TablePlace.BEHIND,
        "of a function": lambda it: _kinds(it).count("function") > 1,
        "of a flat tensor": lambda it: len(it.shape) == 1,
    },
    "concatenation": {
        "of two": lambda it: len(it.operation.inputs) == 2,
        "of several": lambda it: len(it.operation.inputs) > 2,
        "of one twice": _twice_among,
        "of words": lambda it: isinstance(it.layer, Copy),
        "of parts of words": lambda it: isinstance(it.layer, Convolution),
        "of rows": lambda it: it.operation.axis == 0,
        "of columns": lambda it: it.operation.axis == 1,
    },
    "slice": {
        "from the start": lambda it: it.operation.begin == 0,
        "from a word on": lambda it: it.operation.begin > 0 and isinstance(it.layer, Copy),
        "from within a word": lambda it: isinstance(it.layer, Convolution),
        "of rows": lambda it: it.operation.axis == 0,
        "of columns": lambda it: it.operation.axis == 1,
    },
    "nearest resize": {
        "of rows": lambda it: it.operation.factor[0] > 1,
        "of columns": lambda it: it.operation.factor[1] > 1,
    },
    "interleaving": {
        "of rows": lambda it: it.operation.factor[0] > 1,
        "of columns": lambda it: it.operation.factor[1] > 1,
        "of one twice": _twice_among,
    },
    "max-pool": WINDOWS,
    "average-pool": {
        **WINDOWS,
        "of windows": lambda it: isinstance(it.layer, AveragePool),
        "of the whole map": lambda it: isinstance(it.layer, MeanPool),
    },
    "mean": {
        "to a map of one pixel": lambda it: len(it.graph.result(it.operation).shape) == 3,
        "to a flat tensor": lambda it: len(it.graph.result(it.operation).shape) == 1,
        "of rows": lambda it: it.operation.axes == (1,),
        "of columns": lambda it: it.operation.axes == (0,),
    },
}
"""Forms of each row of the table that is an operation of the graph."""


def places(graph: Graph, config: DnaConfig) -> Iterator[Place]:
    """Each operation of ``graph`` with the layer that computes it on ``config``.

    Raises:
        DnaError: the instruction set has no counterpart for one of them.
    """
    layers: dict[str, Layer] = {
        name: layer for layer in lower(graph, config) for name in layer.operations
    }
    for operation in graph.operations:
        yield Place(graph, operation, layers[operation.name])


def forms_of(place: Place) -> set[tuple[str, str]]:
    """Name of the row and name of the form, of all that it has."""
    return {(place.kind, name) for name, form in FORMS[place.kind].items() if form(place)}
