"""A planned layer to steps.

The order of a stripe is: the first weights, loads of the next stripe (with two slabs), CONV, POST,
the other weights, stores. Weights that are sent more than once need one instruction each time, and
those must follow the CONV that takes them, or the queue of WEIGHTS would hold up the program.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Mapping, Sequence
from typing import assert_never

from hw.config import DnaConfig
from hw.isa import Opcode
from hw.isa.accesses import Memory
from sw.compiler.emission import transfers, work
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.stripes import PlacedStripe, placed_stripe
from sw.compiler.emission.transfers import PlacedParameters, PlacedStream
from sw.compiler.layers import AveragePool, Convolution, Copy, Depthwise, MaxPool, MeanPool
from sw.compiler.placement import Plan
from sw.program import DramTensor, StripePlace


@dataclasses.dataclass(frozen=True)
class LayerSteps:
    """What a layer became.

    Attributes:
        plan: of the layer.
        ahead: steps that may come before the layer before it.
        stripes: of each stripe the steps up to its work, and those behind it.
        places: where each stripe of the output is in feature memory.
    """

    plan: Plan
    ahead: list[Step]
    stripes: list[tuple[list[Step], list[Step]]]
    places: list[StripePlace]

    def dram_bytes(self, opcode: Opcode) -> int:
        """Bytes that the steps with ``opcode`` move from DRAM or to it."""
        return sum(
            rows.size
            for steps in (self.ahead, *itertools.chain(*self.stripes))
            for step in steps
            if step.opcode is opcode
            for rows in (*step.accesses.reads, *step.accesses.writes)
            if rows.memory is Memory.DRAM
        )


def emit_layer(
    config: DnaConfig,
    plan: Plan,
    dram: Mapping[str, DramTensor],
    weights: PlacedStream | PlacedParameters | None,
) -> LayerSteps:
    """The steps of a layer.

    Args:
        config: of the machine.
        plan: of the layer.
        dram: every tensor that lives in DRAM, by name.
        weights: of a convolution or a depthwise one.

    Raises:
        DnaError: something is too large for the instruction set.
    """
    layer, choice = plan.layer, plan.choice
    step = StepMaker(config, layer)
    placed = [placed_stripe(plan, number) for number in range(len(choice.stripes))]
    emitted = LayerSteps(plan, [], [], [])
    if isinstance(weights, PlacedParameters):
        assert plan.parameters is not None
        emitted.ahead.append(transfers.load_parameters(step, weights, plan.parameters))
    last, ahead = len(placed) - 1, choice.buffers - 1
    for number, stripe in enumerate(placed):
        sends = []
        if isinstance(weights, PlacedStream):
            sends = transfers.send_weights(step, weights, choice.tilings[number])
        steps = sends[:1]
        # The first loads come before the first stripe, the others as early as slabs allow.
        first = 0 if number == 0 else number + ahead
        for other in placed[first : number + ahead + 1]:
            steps += transfers.load(step, plan, other, dram)
        steps += _work(step, plan, number, stripe)
        behind = sends[1:]
        if not isinstance(layer, MeanPool) or number == last:
            place, rows = stripe.target, stripe.stripe
            emitted.places.append(StripePlace(rows.row, rows.rows, place.base, place.pitch))
            if plan.target is None:
                tensor = dram[layer.target.tensor]
                behind.append(transfers.store(step, layer.target, stripe, tensor))
        emitted.stripes.append((steps, behind))
    return emitted


def _work(step: StepMaker, plan: Plan, number: int, placed: PlacedStripe) -> list[Step]:
    layer = plan.layer
    match layer:
        case Convolution():
            return work.convolution(step, layer, placed, plan.choice.tilings[number])
        case Depthwise():
            assert plan.parameters is not None
            return work.depthwise(step, layer, placed, plan.parameters)
        case MaxPool():
            return work.max_pool(step, layer, placed)
        case AveragePool():
            return work.average_pool(step, layer, placed)
        case MeanPool():
            return work.mean(step, layer, placed)
        case Copy():
            return work.copy(step, layer, placed)
        case _:
            assert_never(layer)


def program_order(layers: Sequence[LayerSteps]) -> list[Step]:
    """The steps of all layers, those that run beside an earlier layer merged with it.

    What follows a stripe of that layer comes behind all of its steps; only DEPTHWISE comes before
    the weights that are sent while the stripe runs, which would hold it up.
    """
    return [step for _, steps in stripes_in_order(layers) for step in steps]


def stripes_in_order(layers: Sequence[LayerSteps]) -> list[tuple[int, list[Step]]]:
    """The same, stripe by stripe: the number in the layer that it belongs to or runs beside.

    What comes ahead of a layer counts for the stripe before the first one, -1.
    """
    ordered: list[tuple[int, int, _Turn, list[Step]]] = []
    for emitted in layers:
        number, choice = emitted.plan.layer.number, emitted.plan.choice
        ordered.append((number - 1, -1, _Turn.WORK, emitted.ahead))
        for stripe, (work_steps, behind) in enumerate(emitted.stripes):
            if choice.after:
                is_depthwise = isinstance(emitted.plan.layer, Depthwise)
                turn = _Turn.DEPTHWISE if is_depthwise else _Turn.FOLLOWER
                place = (number - choice.back, choice.after[stripe], turn)
                ordered.append((*place, [*work_steps, *behind]))
            else:
                ordered.append((number, stripe, _Turn.WORK, work_steps))
                ordered.append((number, stripe, _Turn.BEHIND, behind))
    ordered.sort(key=lambda entry: entry[:3])  # stable: the layer before comes first
    return [(stripe, steps) for _, stripe, _, steps in ordered]


class _Turn(enum.IntEnum):
    """Whose steps follow each other at a stripe."""

    WORK = 0
    DEPTHWISE = 1
    BEHIND = 2
    FOLLOWER = 3
