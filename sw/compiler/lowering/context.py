"""What the lowering of every operation needs to know of its surroundings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypedDict

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.layers import Convolution, Layer, Plane, Window
from sw.compiler.lowering.fusion import Follow
from sw.compiler.lowering.pointwise import Pointwise
from sw.errors import DnaError
from sw.graph import Graph
from sw.operations import Operation, Tensor, Windowed

LIMITS = {
    field.name: field.range[1]
    for opcode in (Opcode.LOAD, Opcode.CONV, Opcode.POST)
    for field in FORMATS[opcode].fields
}
"""The largest value of every field."""


class Common(TypedDict):
    """The attributes that all layers have, but for the window."""

    number: int
    operations: tuple[str, ...]
    source: Plane
    target: Plane
    zero_point: int
    macs: int


@dataclasses.dataclass(frozen=True)
class Context:
    """A graph on its way to layers.

    Attributes:
        graph: the whole of it.
        config: of the machine.
        follows: by the name of a tensor, what is computed with it.
        functions: by the name of a tensor, what it is a function of, where it is a layer by itself.
    """

    graph: Graph
    config: DnaConfig
    follows: Mapping[str, Follow]
    functions: Mapping[str, Pointwise]

    def plane(self, tensor: Tensor) -> Plane:
        """``tensor`` as the machine holds it; a flat one is one pixel."""
        height, width, channels = tensor.shape if len(tensor.shape) == 3 else (1, 1, *tensor.shape)
        return Plane(tensor.name, height, width, channels, -(-channels // self.config.rows))

    def common(self, operation: Operation, number: int) -> Common:
        """Attributes of the layer ``number`` that computes ``operation``."""
        source = self.graph.operands(operation)[0]
        return {
            "number": number,
            "operations": (operation.name,),
            "source": self.plane(source),
            "target": self.plane(self.graph.result(operation)),
            "zero_point": source.zero_point,
            "macs": self.graph.macs(operation),
        }


def window_of(operation: Windowed) -> Window:
    """The sliding window of an operation."""
    padding = operation.padding
    return Window(*operation.kernel, *operation.stride, padding.top, padding.left)


def check_window(operation: Operation, window: Window) -> None:
    """Check that the instructions can hold ``window``.

    Raises:
        DnaError: they cannot.
    """
    fields = {
        "kernel_height": window.kernel_height,
        "kernel_width": window.kernel_width,
        "stride": max(window.row_stride, window.column_stride),
        "pad_top": window.pad_top,
        "pad_left": window.pad_left,
    }
    for name, value in fields.items():
        if value > LIMITS[name]:
            raise DnaError(
                f"{operation.name}: {name.replace('_', ' ')} {value} is too large for the "
                f"machine; at most {LIMITS[name]}"
            )


def check_extents(layer: Layer, config: DnaConfig) -> None:
    """Check that the instructions can count what ``layer`` reads and writes.

    Raises:
        DnaError: they cannot.
    """
    found = []
    for plane in (layer.source, layer.target):
        found += [
            (f"{plane.tensor} has {plane.height} rows", plane.height, LIMITS["in_height"]),
            (f"{plane.tensor} has {plane.width} columns", plane.width, LIMITS["in_width"]),
            (f"a pixel of {plane.tensor} has {plane.words} words", plane.words, LIMITS["in_words"]),
        ]
    if isinstance(layer, Convolution):
        found.append((f"the window has {layer.slices} words", layer.slices, LIMITS["slices"]))
    for what, value, most in found:
        if value > most:
            raise DnaError(
                f"{layer.operations[0]}: {what}, and that is too large for the machine; at most "
                f"{most}; configuration {config.name} has words of {config.rows} channels"
            )
