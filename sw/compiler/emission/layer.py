"""A planned layer to steps.

The order of a stripe is: the first weights, loads of the next stripe (with two slabs), CONV, POST,
the other weights, stores. Weights that are sent more than once need one instruction each time, and
those must follow the CONV that takes them, or the queue of WEIGHTS would hold up the program.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import assert_never

from hw.config import DnaConfig
from hw.isa import Opcode
from hw.isa.accesses import Memory
from sw.compiler.emission import transfers, work
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.stripes import PlacedStripe, placed_stripe
from sw.compiler.emission.transfers import PlacedStream
from sw.compiler.layers import AveragePool, Convolution, MaxPool, MeanPool
from sw.compiler.placement import Plan
from sw.program import DramTensor, StripePlace


@dataclasses.dataclass(frozen=True)
class LayerSteps:
    """What a layer became.

    Attributes:
        plan: of the layer.
        stripes: the steps of each stripe.
        places: where each stripe of the output is in feature memory.
    """

    plan: Plan
    stripes: list[list[Step]]
    places: list[StripePlace]

    def dram_bytes(self, opcode: Opcode) -> int:
        """Bytes that the steps with ``opcode`` move from DRAM or to it."""
        return sum(
            rows.size
            for steps in self.stripes
            for step in steps
            if step.opcode is opcode
            for rows in (*step.accesses.reads, *step.accesses.writes)
            if rows.memory is Memory.DRAM
        )


def emit_layer(
    config: DnaConfig,
    plan: Plan,
    dram: Mapping[str, DramTensor],
    weights: PlacedStream | None,
) -> LayerSteps:
    """The steps of a layer.

    Args:
        config: of the machine.
        plan: of the layer.
        dram: every tensor that lives in DRAM, by name.
        weights: of a convolution.

    Raises:
        DnaError: something is too large for the instruction set.
    """
    layer, choice = plan.layer, plan.choice
    step = StepMaker(config, layer)
    placed = [placed_stripe(plan, number) for number in range(len(choice.stripes))]
    emitted = LayerSteps(plan, [], [])
    last, ahead = len(placed) - 1, choice.buffers - 1
    for number, stripe in enumerate(placed):
        sends = []
        if weights is not None:
            sends = transfers.send_weights(step, weights, choice.tilings[number])
        steps = sends[:1]
        # The first loads come before the first stripe, the others as early as slabs allow.
        first = 0 if number == 0 else number + ahead
        for other in placed[first : number + ahead + 1]:
            steps += transfers.load(step, plan, other, dram)
        steps += _work(step, plan, number, stripe)
        steps += sends[1:]
        if not isinstance(layer, MeanPool) or number == last:
            place, rows = stripe.target, stripe.stripe
            emitted.places.append(StripePlace(rows.row, rows.rows, place.base, place.pitch))
            if plan.target is None:
                tensor = dram[layer.target.tensor]
                steps.append(transfers.store(step, layer.target, stripe, tensor))
        emitted.stripes.append(steps)
    return emitted


def _work(step: StepMaker, plan: Plan, number: int, placed: PlacedStripe) -> list[Step]:
    layer = plan.layer
    match layer:
        case Convolution():
            return work.convolution(step, layer, placed, plan.choice.tilings[number])
        case MaxPool():
            return work.max_pool(step, layer, placed)
        case AveragePool():
            return work.average_pool(step, layer, placed)
        case MeanPool():
            return work.mean(step, layer, placed)
        case _:
            assert_never(layer)


def program_order(layers: Sequence[LayerSteps]) -> list[Step]:
    """The steps of all layers, those that run beside the layer before them merged with it."""
    return [step for _, steps in stripes_in_order(layers) for step in steps]


def stripes_in_order(layers: Sequence[LayerSteps]) -> list[tuple[int, list[Step]]]:
    """The steps of each stripe and its number in the layer that it belongs to or runs beside."""
    ordered: list[tuple[int, int, list[Step]]] = []
    for emitted in layers:
        number, after = emitted.plan.layer.number, emitted.plan.choice.after
        for stripe, steps in enumerate(emitted.stripes):
            layer, position = (number - 1, after[stripe]) if after else (number, stripe)
            ordered.append((layer, position, steps))
    ordered.sort(key=lambda entry: entry[:2])  # stable: the layer before comes first
    return [(position, steps) for _, position, steps in ordered]
