"""Layers as they are planned: what was chosen, and where their feature maps are."""

from __future__ import annotations

import dataclasses

from sw.compiler.candidates import Candidate
from sw.compiler.choice import Choice
from sw.compiler.layers import Layer


@dataclasses.dataclass(frozen=True)
class Place:
    """Pixel (y, x) of a feature map is at word ``base + y * pitch + x * words``."""

    base: int
    pitch: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How one layer runs.

    Attributes:
        layer: which.
        way: what was chosen for it.
        source, target, residual: places of the whole maps; None if they live in DRAM.
        operands: places of the maps of which POOL copies parts, likewise.
        parameters: feature word where the weights of a depthwise layer begin.
        source_slabs, target_slabs: places of what passes through, in turn.
    """

    layer: Layer
    way: Candidate
    source: Place | None
    target: Place | None
    residual: Place | None = None
    operands: tuple[Place | None, ...] = ()
    parameters: int | None = None
    source_slabs: tuple[Place, ...] = ()
    target_slabs: tuple[Place, ...] = ()

    @property
    def choice(self) -> Choice:
        """How the layer runs."""
        return self.way.choice
