"""Places of the feature maps of all images.

Two images are under way at a time, so the places repeat every second image: a map has one in even
images and one in odd ones. As for one image, maps are placed by decreasing size, each at the lowest
address where nothing is that lives at the same time, and keep away from those of the turn before or
after where there is room.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sw.compiler.placement.blocks import Block, first_fit

UNDER_WAY = 2
"""Images that have places of their own."""


@dataclasses.dataclass
class Stay:
    """A block and when it is there: turns, from ``start`` to ``stop`` inclusive.

    Attributes:
        block: what; its base is set here. Its ``born`` and ``dies`` are layers and not looked at.
        parity: which images it is of, even or odd ones; None if it is there once.
    """

    block: Block
    start: int
    stop: int
    parity: int | None

    def meets(self, other: Stay, period: int, apart: int) -> bool:
        """Whether both are there in one turn, or in two that are ``apart`` or less."""
        if self.parity is None or other.parity is None:
            shifts: tuple[int, ...] = (0,)
        elif self.parity == other.parity:
            shifts = (-UNDER_WAY, 0, UNDER_WAY)
        else:
            shifts = (-1, 1)
        return any(
            self.start <= other.stop + shift * period + apart
            and other.start + shift * period <= self.stop + apart
            for shift in shifts
        )


def _by_size(stay: Stay) -> tuple[int, int, int]:
    return -stay.block.size, stay.start, stay.parity or 0


def _slabs_last(stay: Stay) -> tuple[bool, int, int, int]:
    """Slabs, which are of no tensor and no layer, fit between maps and weights."""
    slab = not stay.block.names and stay.block.layer is None
    return slab, *_by_size(stay)


def placed(stays: Sequence[Stay], period: int, limit: int) -> bool:
    """Set the bases of all blocks.

    Args:
        period: turns from one image to the next.
        limit: feature words.

    Returns:
        Whether there is room.
    """
    return any(
        _fits(sorted(stays, key=order), period, limit, distances)
        for order, distances in ((_by_size, (1, 0)), (_slabs_last, (1, 0)), (_slabs_last, (0,)))
    )


def _fits(stays: Sequence[Stay], period: int, limit: int, distances: Sequence[int]) -> bool:
    there: list[Stay] = []
    for stay in stays:
        for apart in distances:
            others = [other.block for other in there if other.meets(stay, period, apart)]
            base = first_fit(others, stay.block.size, limit)
            if base is not None:
                break
        else:
            return False
        stay.block.base = base
        there.append(stay)
    return True
