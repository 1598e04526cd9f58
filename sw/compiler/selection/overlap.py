"""Convolutions that begin while the layer before them still drains.

A layer that reads what the one before it computes waits until POST has written all of it. If both
run in two stripes it need not: the first stripe of the reader takes only rows that are there before
the last stripe of the writer, and computes while that one drains. When the reader comes to its own
second stripe, all is there. Instructions keep their order; their tokens say what waits for what.
"""

from __future__ import annotations

import dataclasses

from sw.compiler.candidates import Candidates
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.placement.plan import Plan


def overlap(candidates: Candidates, plans: list[Plan]) -> list[Plan]:
    """Cut convolutions in two where by estimate the layers together are quicker.

    Only those are cut whose feature maps are in feature memory as a whole and which are one stripe.
    """
    pieces: list[Plan] = []
    for number, plan in enumerate(plans):
        before = pieces[-1] if pieces and reads(plan, pieces[-1]) else None
        after = plans[number + 1] if number + 1 < len(plans) else None
        ready = _ready(before)
        leads = after is not None and can_be_cut(after) and reads(after, plan)
        if can_be_cut(plan) and (ready is not None or leads):
            plan = _cut(candidates, plan, ready)
        pieces.append(plan)
    # What is cut for a reader that turned out to gain nothing is made whole again.
    for number in reversed(range(len(plans))):
        before = pieces[number - 1] if number > 0 else None
        after = pieces[number + 1] if number + 1 < len(plans) else None
        follows = before is not None and reads(plans[number], before) and _ready(before)
        leads = after is not None and reads(after, plans[number]) and _in_two(after)
        if not follows and not leads:
            pieces[number] = plans[number]
    return pieces


def can_be_cut(plan: Plan) -> bool:
    """Whether a plan is a convolution in one stripe, all that it touches in feature memory."""
    layer = plan.layer
    return (
        isinstance(layer, Convolution)
        and layer.stored is None
        and len(plan.choice.stripes) == 1
        and plan.source is not None
        and plan.target is not None
        and (layer.residual is None or plan.residual is not None)
    )


def _in_two(plan: Plan) -> bool:
    return isinstance(plan.layer, Convolution) and len(plan.choice.stripes) == 2


def reads(plan: Plan, other: Plan) -> bool:
    """Whether a layer's source is what another one leaves in feature memory."""
    return other.target is not None and plan.layer.source.tensor == other.layer.target.tensor


def _ready(plan: Plan | None) -> int | None:
    """The output row with which the last stripe begins, if there are several."""
    if plan is None or len(plan.choice.stripes) == 1:
        return None
    return plan.choice.stripes[-1].row


def _cut(candidates: Candidates, plan: Plan, ready: int | None) -> Plan:
    """The best cut of a convolution, or the plan as it is if it is quicker in one.

    Args:
        ready: rows of the source that the first stripe may see; None if it may see all.
    """
    layer = plan.layer
    assert isinstance(layer, Convolution)
    platform = candidates.platform
    height, window = layer.target.height, layer.window
    most = height - 1
    if ready is not None:
        most = min(most, (ready + window.pad_top - window.kernel_height) // window.row_stride + 1)
    (whole,) = plan.choice.tilings
    best, least = plan.way, estimate_tiling(platform, layer, whole).cycles
    # Two tiles in the second stripe are enough: there is no more to drain at a time.
    fewest = min(most, height - 2 * platform.config.accumulation_depth // layer.target.width)
    for row in range(most, max(fewest, 1) - 1, -1):
        way = candidates.in_two(layer, whole.links, row)
        first, second = (estimate_tiling(platform, layer, tiling) for tiling in way.choice.tilings)
        # The next layer begins when the last pixel is in and the first stripe has drained.
        cycles = max(first.entered + second.entered, first.cycles)
        if cycles < least:
            best, least = way, cycles
    return dataclasses.replace(plan, way=best)
