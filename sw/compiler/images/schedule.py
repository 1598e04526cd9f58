"""When the layers of each image run: those of two images in turn.

The network is cut in two. The layers before the cut work on image n + 1 and in turn with them those
behind it on image n: so the convolutions of one image compute while those of the other drain, and
loads, pools and means of one run beside the convolutions of the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from sw.compiler.placement import Plan

Group = tuple[Plan, ...]
"""A layer and those that run beside it."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """What has a turn of its own: a stripe of a group's first layer and what runs beside it.

    Attributes:
        group: number of the group.
        stripe: number of the stripe.
    """

    group: int
    stripe: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Turns of the units of one image; those of the next image come a period later.

    Attributes:
        groups: of an image, in the network's order.
        units: of the groups, in the order in which an image takes them.
        turns: of each unit.
        cut: units before the cut.
    """

    groups: tuple[Group, ...]
    units: tuple[Unit, ...]
    turns: tuple[int, ...]
    cut: int

    @property
    def period(self) -> int:
        """Turns from one image to the next."""
        return len(self.units)

    @property
    def overlaps(self) -> bool:
        """Whether two images are under way at a time."""
        return self.cut < len(self.units)

    def behind(self, group: int) -> bool:
        """Whether a group is behind the cut."""
        return self.cut > 0 and group > self.units[self.cut - 1].group

    def stripes(self, group: int) -> int:
        """Units of a group."""
        return sum(unit.group == group for unit in self.units)

    def span(self, group: int) -> tuple[int, int]:
        """The first and the last turn of a group."""
        turns = [t for unit, t in zip(self.units, self.turns, strict=True) if unit.group == group]
        return turns[0], turns[-1]

    def order(self, images: int) -> list[tuple[int, Unit]]:
        """Image and unit of every turn, in the order of the program."""
        every = [
            (image * self.period + turn, image, number)
            for image in range(images)
            for number, turn in enumerate(self.turns)
        ]
        return [(image, self.units[number]) for _, image, number in sorted(every)]


def schedules(plans: Sequence[Plan]) -> Iterator[Schedule]:
    """Schedules of the layers of an image in which two images take turns: equal halves first.

    One half is at most twice the other: of a longer one most turns would be followed by the next
    of the same image, and have to wait for them.
    """
    whole = in_sequence(plans)
    units = whole.units
    cuts = [number for number, unit in enumerate(units) if number and not unit.stripe]
    cuts = [cut for cut in cuts if len(units) <= 3 * min(cut, len(units) - cut)]
    cuts.sort(key=lambda cut: (abs(2 * cut - len(units)), cut))
    for cut in cuts:
        yield dataclasses.replace(whole, turns=_turns(len(units), cut), cut=cut)


def in_sequence(plans: Sequence[Plan]) -> Schedule:
    """One image after the other."""
    groups = _groups(plans)
    units = tuple(
        Unit(number, stripe)
        for number, group in enumerate(groups)
        for stripe in range(len(group[0].choice.stripes))
    )
    return Schedule(groups, units, tuple(range(len(units))), len(units))


def _groups(plans: Sequence[Plan]) -> tuple[Group, ...]:
    groups: list[Group] = []
    for plan in plans:
        if plan.choice.after:
            groups[-1] = (*groups[-1], plan)
        else:
            groups.append((plan,))
    return tuple(groups)


def _turns(units: int, cut: int) -> tuple[int, ...]:
    """The two halves merged so that each has done the same part of its units at any time."""
    done = sorted(
        ((number + 0.5) / cut if number < cut else (number - cut + 0.5) / (units - cut), number)
        for number in range(units)
    )
    position = {number: turn for turn, (_, number) in enumerate(done)}
    return tuple(position[number] + (0 if number < cut else units) for number in range(units))
