"""Where a stripe's part of each feature map is."""

from __future__ import annotations

import dataclasses

from sw.compiler.choice import Stripe
from sw.compiler.layers import MeanPool
from sw.compiler.placement import Place, Plan


@dataclasses.dataclass(frozen=True)
class PlacedStripe:
    """A stripe and its places in feature memory, each with the base at its own first row.

    Attributes:
        residual: of a convolution that has one.
    """

    stripe: Stripe
    source: Place
    target: Place
    residual: Place


def placed_stripe(plan: Plan, number: int) -> PlacedStripe:
    """The stripe ``number`` of a layer."""
    stripe = plan.choice.stripes[number]
    target = _target(plan, stripe, number)
    residual = target  # it is loaded to where the sum will be
    if plan.residual is not None:
        residual = _row(plan.residual, stripe.row)
    return PlacedStripe(stripe, _source(plan, stripe, number), target, residual)


def _source(plan: Plan, stripe: Stripe, number: int) -> Place:
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
