"""Convolution, depthwise convolution, convolution: in stripes, so that three engines work at once.

The depthwise engine takes a stripe of what CONV and POST have written while they go on with the
next one, and the convolution behind it begins with what the depthwise engine has finished. Stripes
cost: rows at their borders are read twice, weights come again. So each chain gets the sizes that
are quickest together by estimate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from sw.compiler.candidates import Candidate, Candidates
from sw.compiler.candidates.stripes import stripe_sizes
from sw.compiler.choice import Choice
from sw.compiler.estimates import depthwise_cycles, estimate_tiling
from sw.compiler.layers import Convolution, Depthwise, Layer
from sw.compiler.placement.plan import Plan
from sw.compiler.platform import Platform
from sw.compiler.selection.overlap import can_be_cut, reads

_FEWEST = 3
MOST_STRIPES = 16
"""More would hardly be quicker, and each is a handful of instructions."""


def stripe_chains(candidates: Candidates, plans: Sequence[Plan]) -> list[Plan]:
    """Cut the convolutions around each depthwise layer where that is quicker by estimate."""
    pieces = list(plans)
    for number in range(1, len(pieces)):
        first, middle = pieces[number - 1], pieces[number]
        if not _runs_beside(first, middle):
            continue
        last = pieces[number + 1] if number + 1 < len(pieces) else None
        if last is not None and not (can_be_cut(last) and reads(last, middle)):
            last = None
        ways = _quickest(candidates, first, middle, last)
        follows = number + 2 < len(pieces) and isinstance(pieces[number + 2].layer, Depthwise)
        if last is not None and not follows:
            ways = (*ways[:2], _early(*ways))
        for place, way in zip((number - 1, number, number + 1), ways, strict=False):
            pieces[place] = dataclasses.replace(pieces[place], way=way)
    return pieces


def _runs_beside(first: Plan, middle: Plan) -> bool:
    return (
        isinstance(middle.layer, Depthwise)
        and isinstance(first.layer, Convolution)
        and reads(middle, first)
        and middle.target is not None
        and (can_be_cut(first) or len(first.choice.stripes) > 1)
    )


def _quickest(
    candidates: Candidates, first: Plan, middle: Plan, last: Plan | None
) -> tuple[Candidate, ...]:
    """The ways to run the two or three layers of a chain that take the least time together."""
    layer = middle.layer
    assert isinstance(layer, Depthwise)
    chains: list[tuple[Candidate, ...]] = []
    for first_way in _ways(candidates, first):
        middle_way = candidates.beside(layer, first_way) or middle.way
        if last is None:
            chains.append((first_way, middle_way))
        else:
            chains += [(first_way, middle_way, way) for way in _ways(candidates, last)]
    layers = [plan.layer for plan in (first, middle, last) if plan is not None]
    return min(chains, key=lambda chain: _cycles(candidates.platform, layers, chain))


def _early(first: Candidate, middle: Candidate, last: Candidate) -> Candidate:
    """The last layer of a chain, with those stripes early for which enough is there early.

    The depthwise engine is offered its last stripe when the one before is done; what stands
    behind that in the program waits too. So stripes that need neither come before it, but none
    before the first layer is over: what that one reads may be where this one writes.
    """
    stripes, after = middle.choice.stripes, middle.choice.after
    if len(after) < _FEWEST:
        return last
    *_, ready, _, _ = stripes
    over = len(first.choice.stripes)
    places = tuple(
        over - 1 if stripe.in_row + stripe.in_rows <= ready.row + ready.rows else over
        for stripe in last.choice.stripes
    )
    choice = dataclasses.replace(last.choice, after=places, back=2)
    return dataclasses.replace(last, choice=choice)


def _ways(candidates: Candidates, plan: Plan) -> list[Candidate]:
    """A convolution as it is planned, and if that is in one stripe, in several."""
    ways, layer = [plan.way], plan.layer
    if can_be_cut(plan):
        assert isinstance(layer, Convolution)
        links, height = plan.choice.tilings[0].links, layer.target.height
        # With a short stripe at either end the next engine begins, and ends, soon after this one.
        ways += [
            candidates.in_stripes(layer, links, rows, first)
            for rows in stripe_sizes(layer)
            if 1 < -(-height // rows) <= MOST_STRIPES
            for first in sorted({rows, -(-rows // 2), -(-rows // 4)})
        ]
    return ways


def _cycles(platform: Platform, layers: Sequence[Layer], chain: Sequence[Candidate]) -> int:
    """From the start of the first layer until the one behind the last can begin."""
    convolution = _Convolutions(platform)
    convolution.run(layers[0], chain[0].choice)
    drained = convolution.drained
    finished: list[tuple[int, int]] = []  # rows of the depthwise layer, and when they are there
    end = 0
    depthwise, choice = layers[1], chain[1].choice
    assert isinstance(depthwise, Depthwise)
    for number, stripe in enumerate(choice.stripes):
        ready = drained[choice.after[number] - 1] if choice.after else drained[-1]
        end = max(end, ready) + depthwise_cycles(platform.config, depthwise, stripe)
        finished.append((stripe.row + stripe.rows, end))
    if len(chain) == 2:
        return end
    choice = chain[2].choice
    starts = [
        next(at for rows, at in finished if rows >= stripe.in_row + stripe.in_rows)
        for stripe in choice.stripes
    ]
    convolution.run(layers[2], choice, starts)
    return convolution.entered if len(choice.stripes) > 1 else convolution.drained[-1]


class _Convolutions:
    """When CONV and POST are through with the stripes that they have been given.

    Attributes:
        entered: CONV can begin another one.
        drained: POST has written each stripe of the last layer.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.entered = 0
        self.drained: list[int] = []

    def run(self, layer: Layer, choice: Choice, starts: Sequence[int] = ()) -> None:
        """The stripes of a layer, one after another.

        Args:
            starts: when the input of each is there, if not from the beginning.
        """
        assert isinstance(layer, Convolution)
        written = self.drained[-1] if self.drained else 0
        self.drained = []
        for number, tiling in enumerate(choice.tilings):
            stripe = estimate_tiling(self._platform, layer, tiling)
            if starts:
                self.entered = max(self.entered, starts[number])
            written = max(self.entered + stripe.cycles, written + stripe.cycles - stripe.entered)
            self.entered += stripe.entered
            self.drained.append(written)
