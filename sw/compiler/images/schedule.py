"""When the layers of each image run: those of two images in turn.

The network is cut in two. While the layers behind the cut work on image n, those before it work on
image n + 1, and both go on at the same pace: so the convolutions of one image compute while those of
the other drain, and loads, pools and means of one run beside the convolutions of the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sw.compiler.layers import Convolution
from sw.compiler.placement import Plan

Group = tuple[Plan, ...]
"""A layer and those that run beside it."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Turns of the layers of one image; those of the next image come a period later.

    Attributes:
        groups: layers that have a turn together, in the network's order.
        turns: of each group.
        period: turns from one image to the next.
        cut: groups before the cut.
    """

    groups: tuple[Group, ...]
    turns: tuple[int, ...]
    period: int
    cut: int

    def turn(self, layer: int) -> int:
        """The turn of a layer, by its number."""
        return next(
            turn
            for group, turn in zip(self.groups, self.turns, strict=True)
            if any(plan.layer.number == layer for plan in group)
        )

    def order(self, images: int) -> list[tuple[int, int]]:
        """Image and number of the group of every turn, in the order of the program."""
        return [
            (image, group)
            for _, image, group in sorted(
                (image * self.period + turn, image, group)
                for image in range(images)
                for group, turn in enumerate(self.turns)
            )
        ]


def schedules(plans: Sequence[Plan]) -> Iterator[Schedule]:
    """Schedules of the layers of an image: the one with equal halves first, then others.

    The last one has nothing behind the cut: one image after the other.
    """
    groups = _groups(plans)
    cycles = [_cycles(group) for group in groups]
    half = sum(cycles) / 2
    cuts = sorted(range(1, len(groups)), key=lambda cut: (abs(sum(cycles[:cut]) - half), cut))
    for cut in (*cuts, len(groups)):
        yield Schedule(groups, _turns(cycles, cut), len(groups), cut)


def _groups(plans: Sequence[Plan]) -> tuple[Group, ...]:
    groups: list[Group] = []
    for plan in plans:
        if plan.choice.after:
            groups[-1] = (*groups[-1], plan)
        else:
            groups.append((plan,))
    return tuple(groups)


def _cycles(group: Group) -> int:
    """Of CONV: all other engines work beside it."""
    return sum(plan.way.estimate.cycles for plan in group if isinstance(plan.layer, Convolution))


def _turns(cycles: Sequence[int], cut: int) -> tuple[int, ...]:
    """The two halves merged so that each has done the same part of its work at any time."""
    halves = (range(cut), range(cut, len(cycles)))
    done = []
    for number, half in enumerate(halves):
        total, before = max(1, sum(cycles[group] for group in half)), 0
        for group in half:
            done.append(((before + cycles[group] / 2) / total, number, group))
            before += cycles[group]
    position = {group: turn for turn, (_, _, group) in enumerate(sorted(done))}
    period = len(cycles)
    return tuple(position[group] + (0 if group < cut else period) for group in range(period))
