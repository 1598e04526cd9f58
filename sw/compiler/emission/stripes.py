"""Where a stripe's part of each feature map is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from sw.compiler.choice import Stripe
from sw.compiler.layers import Convolution, Copy, MeanPool
from sw.compiler.placement import Place, Plan


@dataclasses.dataclass(frozen=True)
class PlacedStripe:
    """A stripe and its places in feature memory, each with the base at its own first row.

    Attributes:
        residual: of a convolution that has one.
        operands: the maps of which POOL copies parts.
    """

    stripe: Stripe
    source: Place
    target: Place
    residual: Place
    operands: tuple[Place, ...] = ()


def placed_stripe(plan: Plan, number: int) -> PlacedStripe:
    """The stripe ``number`` of a layer."""
    stripe = plan.choice.stripes[number]
    target = _target(plan, stripe, number)
    source = _source(plan, stripe, number)
    residual = target  # it is loaded to where the sum will be
    if plan.residual is not None:
        residual = _row(plan.residual, stripe.row)
    if plan.layer.repeated is not None:
        residual = _repeated(plan, stripe, number)
    return PlacedStripe(stripe, source, target, residual, tuple(_operands(plan, stripe, number)))


def _operands(plan: Plan, stripe: Stripe, number: int) -> Iterator[Place]:
    """Of what POOL copies: maps in DRAM pass through the slab, one behind the other."""
    layer, base = plan.layer, 0
    if plan.source_slabs:
        slab = plan.source_slabs[number % len(plan.source_slabs)]
        base = slab.base
        if isinstance(layer, Convolution):  # behind its source
            base += stripe.in_rows * slab.pitch
    for plane, place in zip(layer.gathered, plan.operands, strict=True):
        if place is not None:
            yield _row(place, stripe.in_row)
            continue
        yield Place(base, plane.row_words)
        base += (plane.height if layer.whole else stripe.in_rows) * plane.row_words


def _repeated(plan: Plan, stripe: Stripe, number: int) -> Place:
    """The pixel that is joined to all: from DRAM it comes behind the source of the stripe."""
    if plan.residual is not None:
        return Place(plan.residual.base, 0)
    slab = plan.source_slabs[number % len(plan.source_slabs)]
    rows = stripe.in_rows if plan.source is None else 0
    return Place(slab.base + rows * slab.pitch, 0)


def _source(plan: Plan, stripe: Stripe, number: int) -> Place:
    if isinstance(plan.layer, Copy):
        return Place(0, 0)  # it has operands
    if plan.source is None:
        return plan.source_slabs[number % len(plan.source_slabs)]
    place = _row(plan.source, stripe.in_row)
    return Place(place.base + stripe.first_word, place.pitch)


def _target(plan: Plan, stripe: Stripe, number: int) -> Place:
    if plan.target is not None:
        return _row(plan.target, stripe.row)
    if isinstance(plan.layer, MeanPool):  # collects all its stripes in one slab
        return plan.target_slabs[0]
    return plan.target_slabs[number % len(plan.target_slabs)]


def _row(place: Place, row: int) -> Place:
    return Place(place.base + row * place.pitch, place.pitch)
