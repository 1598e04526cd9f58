"""Slabs: feature words through which maps that live in DRAM pass, stripe by stripe."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import assert_never

from hw.config import DnaConfig
from sw.compiler.choice import Choice, Links
from sw.compiler.layers import (
    AveragePool,
    Convolution,
    Copy,
    Depthwise,
    Layer,
    MaxPool,
    MeanPool,
    Plane,
)


@dataclasses.dataclass(frozen=True)
class Slabs:
    """What slabs a layer needs.

    Attributes:
        buffers: slabs of each kind.
        source, target: words of each slab; 0 if that feature map needs none. Behind the source are
            the maps in DRAM of which it is made, one behind the other, or the pixel that is joined
            to all.
        source_pitch, target_pitch: of the rows in them.
    """

    buffers: int
    source: int
    target: int
    source_pitch: int
    target_pitch: int

    @property
    def words(self) -> int:
        """Feature words of all slabs."""
        return self.buffers * (self.source + self.target)


def slabs(config: DnaConfig, layer: Layer, choice: Choice, in_dram: Set[str]) -> Slabs:
    """The slabs of ``layer`` if it runs as in ``choice``.

    Args:
        in_dram: the tensors that live in DRAM.
    """
    source, target = layer.source, layer.target
    source_row = source_pitch = source.row_words
    match layer:
        case Convolution():
            if needs_pitch(layer, choice.tilings[0].links):
                source_pitch = pitch(config, source, pitch_residue(config, layer))
        case MeanPool():
            source_row = source_pitch = source.width * choice.stripes[0].words
        case Depthwise() | MaxPool() | AveragePool() | Copy():
            pass
        case _:
            assert_never(layer)
    in_rows = max(stripe.in_rows for stripe in choice.stripes)
    rows = max(stripe.rows for stripe in choice.stripes)
    of_source = extent(in_rows, source_row, source_pitch) if source.tensor in in_dram else 0
    gathered = sum(
        (plane.height if layer.whole else in_rows) * plane.row_words
        for plane in layer.gathered
        if plane.tensor in in_dram
    )
    if layer.repeated is not None and layer.repeated.tensor in in_dram:
        gathered += layer.repeated.row_words + in_rows * (source_pitch - source_row)
    if isinstance(layer, Copy):
        of_source = 0
    return Slabs(
        buffers=choice.buffers,
        source=of_source + gathered,
        target=rows * target.row_words if target.tensor in in_dram else 0,
        source_pitch=source_pitch,
        target_pitch=target.row_words,
    )


def extent(rows: int, row_words: int, row_pitch: int) -> int:
    """Words from the first to the last of some rows; the gap behind the last row is not needed."""
    return (rows - 1) * row_pitch + row_words


def needs_pitch(layer: Convolution, links: Links) -> bool:
    """Whether the pitch of the source matters.

    By the pitch rule it does where K-slices of different rows may be read together; and a map that
    is read as one flat pixel has no gaps between its rows.
    """
    return layer.stored is not None or (links.split > 0 and layer.window.kernel_height > 1)


def pitch_residue(config: DnaConfig, layer: Convolution) -> int:
    """What the source's pitch must be modulo G where it matters."""
    if layer.stored is not None:
        return layer.stored.row_words % config.modules
    return layer.window.kernel_width * layer.source.words % config.modules


def pitch(config: DnaConfig, plane: Plane, residue: int | None) -> int:
    """The smallest pitch of ``plane`` that is ``residue`` modulo G, if one is asked for."""
    if residue is None:
        return plane.row_words
    return plane.row_words + (residue - plane.row_words) % config.modules
