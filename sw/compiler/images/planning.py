"""From the plans of one image to those of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set

from sw.compiler.candidates import Candidates
from sw.compiler.choice import Links
from sw.compiler.images.joint import joined, joint_from
from sw.compiler.images.places import UNDER_WAY, Stay, placed
from sw.compiler.images.schedule import Schedule, in_sequence, schedules
from sw.compiler.layers import Convolution
from sw.compiler.placement import Place, Plan, place
from sw.compiler.placement.attempt import Attempt
from sw.compiler.placement.blocks import Block
from sw.compiler.placement.maps import FeatureMaps
from sw.compiler.selection.chains import stripe_chains
from sw.compiler.selection.overlap import overlap

MOST_IMAGES = 64
"""A number of images that is more than what any query of MLPerf's streams has."""

_END = 1 << 40
"""A turn behind those of all images."""


@dataclasses.dataclass(frozen=True)
class PlannedImages:
    """What a program of several images does.

    Attributes:
        images: how many.
        single: the plans of all layers for one image, for what is the same for each.
        schedule: of the layers that run for each image.
        plans: of those, for even and odd images; and both for images that run alone, when the next
            layer waits for the one before it.
        joint: plans of the layers that run once.
    """

    images: int
    single: Sequence[Plan]
    schedule: Schedule
    plans: tuple[Sequence[Plan], ...]
    alone: tuple[Sequence[Plan], ...]
    joint: Sequence[Plan]

    def group(self, image: int, group: int) -> Sequence[Plan]:
        """How a group of layers, by its number, runs for an image."""
        last = self.images - 1 if self.schedule.behind(group) else 0
        lonely = not self.schedule.overlaps or image == last
        plans = (self.alone if lonely else self.plans)[image % UNDER_WAY]
        return [plans[plan.layer.number] for plan in self.schedule.groups[group]]


def plan_images(
    candidates: Candidates, links: Mapping[int, Links], outside: Set[str], images: int
) -> PlannedImages:
    """Plan ``images`` images in the first of these ways for which there is room.

    Two images in turn; one after the other; each with maps of all images, which the joint layers
    read, in feature memory or in DRAM; at last one after the other without joint layers.

    Args:
        candidates: the ways to run every layer.
        links: of the convolutions, by layer number.
        outside: as of :func:`sw.compiler.placement.place`.
        images: how many.
    """
    layers = candidates.layers
    first = joint_from(layers)
    between = {plane.tensor for layer in layers[first:] for plane in layer.operands} - outside
    variants = [stripe_chains(candidates, place(candidates, links, outside))]
    if between:
        tight = place(candidates, links, outside | between)
        variants.append(stripe_chains(candidates, tight))
    for balanced in (True, False):
        for plans in variants:
            for schedule in schedules(plans[:first]) if balanced else (in_sequence(plans[:first]),):
                found = _Images(candidates, links, plans, first, schedule, images).planned()
                if found is not None:
                    return found
    plans = variants[0]
    alone = overlap(candidates, plans)
    # Each where the one before it was.
    return PlannedImages(
        images, plans, in_sequence(plans), (plans,) * UNDER_WAY, (alone,) * UNDER_WAY, ()
    )


def _run(placed_plans: Sequence[Plan], ways: Sequence[Plan]) -> Sequence[Plan]:
    """Plans with the places of the first and the ways of the second."""
    return [
        dataclasses.replace(plan, way=other.way)
        for plan, other in zip(placed_plans, ways, strict=False)
    ]


def _followed(candidates: Candidates, plan: Plan) -> Plan:
    """``plan`` for a turn after which another image has one."""
    layer = plan.layer
    if not isinstance(layer, Convolution):
        return plan
    in_dram = {
        plane.tensor
        for plane, place in ((layer.source, plan.source), (layer.target, plan.target))
        if place is None
    }
    if layer.residual is not None and plan.residual is None:
        in_dram.add(layer.residual.plane.tensor)
    return dataclasses.replace(plan, way=candidates.followed(layer, plan.way, in_dram))


class _Images:
    """One attempt to place everything.

    Args:
        first: number of the first layer that runs once for all images.
        schedule: of the others.
    """

    def __init__(
        self,
        candidates: Candidates,
        links: Mapping[int, Links],
        plans: list[Plan],
        first: int,
        schedule: Schedule,
        images: int,
    ) -> None:
        self._candidates = candidates
        self._limit = candidates.platform.config.feature_words
        self._plans = plans
        self._first = first
        self._schedule = schedule
        self._images = images
        self._turns = {
            plan.layer.number: schedule.span(number)
            for number, group in enumerate(schedule.groups)
            for plan in group
        }
        self._in_dram = {p.layer.target.tensor for p in plans if p.target is None}
        inputs = {plane.tensor for p in plans for plane in p.layer.operands}
        self._in_dram |= inputs - {p.layer.target.tensor for p in plans}
        layers = [plan.layer for plan in plans]
        self._maps = FeatureMaps(candidates.platform.config, layers, links)
        # A map of which all images have their pixels: one is computed, or read, by a joint layer.
        self._shared = {
            plane.tensor for layer in layers[first:] for plane in (*layer.operands, layer.target)
        }
        self._attempt = Attempt(candidates, links, self._maps, self._in_dram, self._shared)
        self._joint = self._join(candidates, links)

    def _join(self, candidates: Candidates, links: Mapping[int, Links]) -> list[Plan]:
        """The joint layers, each the quickest way; they have no places yet."""
        layers = [
            *candidates.layers[: self._first],
            *(joined(layer, self._images) for layer in candidates.layers[self._first :]),
        ]
        several = Candidates(candidates.platform, layers)
        return [
            dataclasses.replace(
                plan,
                layer=layer,
                way=several.striped(layer, links[layer.number], self._in_dram)[0],
            )
            for plan, layer in zip(self._plans[self._first :], layers[self._first :], strict=True)
        ]

    def planned(self) -> PlannedImages | None:
        """All plans; None if there is no room."""
        found = self._places()
        if found is None:
            return None
        (even, odd), joint = found
        beside = [_followed(self._candidates, plan) for plan in self._plans[: self._first]]
        alone = overlap(self._candidates, self._plans)
        return PlannedImages(
            self._images,
            self._plans,
            self._schedule,
            (_run(even, beside), _run(odd, beside)),
            (_run(even, alone), _run(odd, alone)),
            joint,
        )

    def _places(self) -> tuple[tuple[Sequence[Plan], Sequence[Plan]], Sequence[Plan]] | None:
        """Plans of even and of odd images and of the joint layers; None if there is no room."""
        stays: list[Stay] = []
        where: list[dict[str | int, Block]] = []
        for parity in range(UNDER_WAY):
            blocks: dict[str | int, Block] = {}  # of tensors, and of layers that have weights there
            for block in self._attempt.blocks():
                shared = not self._shared.isdisjoint(block.names)
                if shared and parity:
                    blocks |= {name: where[0][name] for name in block.names}
                    continue
                if shared:
                    block.size *= self._images
                blocks |= dict.fromkeys(block.names, block)
                if block.layer is not None:
                    blocks[block.layer] = block
                stays.append(self._stay(block, None if shared else parity))
            where.append(blocks)
        slabs: dict[tuple[int, int], list[list[Block]]] = {}
        for plan in (*self._plans[: self._first], *self._joint):
            turns = self._span(plan.layer.number)
            joint = plan.layer.number >= self._first
            for parity in range(1 if joint else UNDER_WAY):
                slabs[plan.layer.number, parity] = [
                    [Block([], size, 0, 0) for _ in range(plan.way.slabs.buffers if size else 0)]
                    for size in (plan.way.slabs.source, plan.way.slabs.target)
                ]
                for kind in slabs[plan.layer.number, parity]:
                    stays += [Stay(b, *turns, None if joint else parity) for b in kind]
        if not placed(stays, self._schedule.period, self._limit):
            return None
        even, odd = (
            [
                self._placed(plan, where[parity], slabs[plan.layer.number, parity])
                for plan in self._plans[: self._first]
            ]
            for parity in range(UNDER_WAY)
        )
        joint_plans = [
            self._placed(plan, where[0], slabs[plan.layer.number, 0]) for plan in self._joint
        ]
        return (even, odd), joint_plans

    def _span(self, layer: int) -> tuple[int, int]:
        """The first and the last turn of a layer."""
        return self._turns.get(layer, (_END + layer, _END + layer))

    def _stay(self, block: Block, parity: int | None) -> Stay:
        start, stop = self._span(max(block.born, 0))[0], self._span(block.dies)[1]
        if parity is None and block.born < self._first:
            start = -_END
        return Stay(block, start, stop, parity)

    def _placed(
        self, plan: Plan, where: Mapping[str | int, Block], slabs: list[list[Block]]
    ) -> Plan:
        def at(name: str) -> Place | None:
            if name in self._in_dram:
                return None
            return Place(where[name].base, self._maps.pitches[name])

        layer = plan.layer.number
        residual = getattr(plan.layer, "residual", None)
        return dataclasses.replace(
            plan,
            source=at(plan.layer.source.tensor),
            target=at(plan.layer.target.tensor),
            parameters=where[layer].base if layer in where else None,
            residual=None if residual is None else at(residual.plane.tensor),
            operands=tuple(at(plane.tensor) for plane in plan.layer.gathered),
            source_slabs=tuple(Place(b.base, plan.way.slabs.source_pitch) for b in slabs[0]),
            target_slabs=tuple(Place(b.base, plan.way.slabs.target_pitch) for b in slabs[1]),
        )
