"""Where the labels of a picture's points go, so that none hides another or a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_NEAR = 15.0
_DISTANCES = (_NEAR, 26.0, 38.0, 52.0, 68.0, 90.0)
_DIRECTIONS = (135, 180, 90, 315, 0, 270, 45, 225, 160, 110, 290, 340)
"""Degrees, clockwise from the right; what is below and left of a Pareto front comes first, where
no other point can be."""


class Place(NamedTuple):
    """A point, in the picture's own units; y grows downwards."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two have an area in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether the other one is inside."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )


class Label(NamedTuple):
    """Where the middle of a label is, and whether a line must say whose it is."""

    x: float
    y: float
    far: bool


def placed(
    points: Sequence[Place],
    widths: Sequence[float],
    *,
    dots: Sequence[Place],
    radius: float,
    height: float,
    inside: Box,
) -> list[Label]:
    """A label for each point: as near as it can be without touching a dot or another label.

    Args:
        points: that get labels.
        widths: of the labels.
        dots: of the picture, the points' own too.
        radius: of a dot.
        height: of a label.
        inside: no label leaves it; one that finds no free place lies where its last try was.
    """
    taken = [Box(x - radius, y - radius, x + radius, y + radius) for x, y in dots]
    labels = []
    for point, width in zip(points, widths, strict=True):
        tries = [
            (
                Place(
                    point.x + distance * math.cos(math.radians(degrees)),
                    point.y + distance * math.sin(math.radians(degrees)),
                ),
                distance > _NEAR,
            )
            for distance in _DISTANCES
            for degrees in _DIRECTIONS
        ]
        boxes = [_around(place, width, height) for place, _ in tries]
        within = [n for n, box in enumerate(boxes) if inside.holds(box)]
        free = (n for n in within if not any(boxes[n].meets(other) for other in taken))
        chosen = next(free, within[-1] if within else 0)
        place, far = tries[chosen]
        labels.append(Label(place.x, place.y, far))
        taken.append(boxes[chosen])
    return labels


def _around(place: Place, width: float, height: float) -> Box:
    x, y = place
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
