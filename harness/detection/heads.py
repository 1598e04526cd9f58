"""Which of a network's maps say what of boxes, by their shapes.

A YOLO without anchors (v8 and later) ends in grids: at each place a distribution of the distance to
each side of a box, ``4 * bins`` channels, and a logit for each class; in one map, the distributions
in front, or in two of one height and width.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sw.artifact import Artifact, Quantization
from sw.errors import DnaError

SIDES = 4
LEAST_BINS = 2


@dataclasses.dataclass(frozen=True)
class Part:
    """Channels of a map.

    Attributes:
        name: of the map.
        first, last: its channels ``first`` to ``last - 1``.
        quantization: of it.
    """

    name: str
    first: int
    last: int
    quantization: Quantization


@dataclasses.dataclass(frozen=True)
class Grid:
    """Boxes of one scale.

    Attributes:
        stride: pixels of the input from one place to the next, down and to the right.
        sides: the distributions.
        classes: the logits.
    """

    stride: tuple[int, int]
    sides: Part
    classes: Part

    @property
    def bins(self) -> int:
        """Of a distribution; its values are distances of 0 to ``bins - 1`` places."""
        return (self.sides.last - self.sides.first) // SIDES


def grids(network: Artifact, classes: int) -> list[Grid]:
    """The grids of a detector, from the finest to the coarsest.

    Args:
        network: the artifact.
        classes: that it tells apart.

    Raises:
        DnaError: its outputs are no such maps.
    """
    manifest, graph = network.manifest, network.graph
    if manifest.host.tail is not None:
        raise DnaError(f"{_no(manifest.model)}: the host makes its answer; {_NEEDED}")
    found: dict[tuple[int, int], list[tuple[str, Quantization]]] = {}
    for name, quantization in zip(graph.answers, manifest.outputs, strict=True):
        shape = tuple(quantization.shape)
        if len(shape) != 3:
            raise DnaError(f"{_no(manifest.model)}: {name} has shape {shape}; {_NEEDED}")
        found.setdefault((shape[0], shape[1]), []).append((name, quantization))
    height, width = graph.tensors[graph.input].shape[:2]
    made = []
    for (rows, columns), maps in found.items():
        if height % rows or width % columns:
            raise DnaError(
                f"{_no(manifest.model)}: {rows} x {columns} places do not divide an input of "
                f"{height} x {width}; {_NEEDED}"
            )
        parts = _parts(maps, classes)
        if parts is None:
            shapes = " and ".join(str(tuple(each.shape)) for _, each in maps)
            raise DnaError(f"{_no(manifest.model)} of {classes} classes: {shapes}; {_NEEDED}")
        made.append(Grid((height // rows, width // columns), *parts))
    return sorted(made, key=lambda grid: grid.stride)


_NEEDED = (
    "it needs maps of rows x columns x (4 distributions and a logit for each class), in one or in "
    "two for each scale"
)


def _no(model: str) -> str:
    return f"{model} is no detector that is known here"


def _parts(maps: Sequence[tuple[str, Quantization]], classes: int) -> tuple[Part, Part] | None:
    """The distributions and the logits in the maps of one scale; None if they are not that."""
    channels = [quantization.shape[2] for _, quantization in maps]
    sides = sum(channels) - classes
    if sides % SIDES or sides < SIDES * LEAST_BINS or len(maps) > 2:
        return None
    if len(maps) == 1:
        (name, quantization), total = maps[0], channels[0]
        return Part(name, 0, sides, quantization), Part(name, sides, total, quantization)
    if channels not in ([sides, classes], [classes, sides]):
        return None
    first, second = maps if channels[0] == sides else reversed(maps)
    return Part(first[0], 0, sides, first[1]), Part(second[0], 0, classes, second[1])
