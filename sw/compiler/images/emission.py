"""Plans of several images to one program."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import msgspec

from hw.config import DnaConfig
from hw.isa import Opcode
from sw.compiler.emission import layer_table, layer_weights, machine_code
from sw.compiler.emission.layer import LayerSteps, emit_layer, program_order, stripes_in_order
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.window import MemoryWindow
from sw.compiler.images.places import UNDER_WAY
from sw.compiler.images.planning import PlannedImages
from sw.compiler.images.schedule import Schedule, Unit
from sw.compiler.placement import Plan
from sw.graph import Graph
from sw.program import LayerTable, Program


def emit_images(graph: Graph, config: DnaConfig, planned: PlannedImages) -> Program:
    """The program of planned images.

    Raises:
        DnaError: something is too large for the instruction set or for the memory window.
    """
    images = planned.images
    placed, weights = layer_weights(config, planned.single)
    window = MemoryWindow(config, len(weights), images)
    shared = {
        plane.tensor
        for plan in planned.joint
        for plane in (*plan.layer.operands, plan.layer.target)
    }
    copies = {
        plan.layer.target.tensor: images if plan.layer.target.tensor in shared else UNDER_WAY
        for plan in planned.single
    }
    window.place_maps(graph, planned.single, copies)
    dram = [window.of_image(image) for image in range(images)]
    emitted = [
        [
            [
                emit_layer(
                    config,
                    _of_image(plan, image, shared),
                    dram[image],
                    placed.get(plan.layer.number),
                )
                for plan in planned.group(image, group)
            ]
            for group in range(len(planned.schedule.groups))
        ]
        for image in range(images)
    ]
    joint = [
        emit_layer(config, plan, window.dram, placed[plan.layer.number]) for plan in planned.joint
    ]
    steps: list[Step] = []
    for image, unit in planned.schedule.order(images):
        steps += _turn(planned.schedule, unit, emitted[image][unit.group])
    steps += program_order(joint)
    steps.append(StepMaker(config, planned.single[-1].layer)(Opcode.END, {}))
    code = machine_code(config, steps)
    tables = [
        _stacked([layer_table(dram[image], layer) for image, layer in enumerate(layers)])
        for group in zip(*emitted, strict=True)
        for layers in zip(*group, strict=True)
    ]
    return Program(
        config=config,
        code=code,
        weights=weights,
        memory=window.memory_map(graph, len(code)),
        layers=[*tables, *(layer_table(window.dram, each) for each in joint)],
        images=images,
    )


def _turn(schedule: Schedule, unit: Unit, group: Sequence[LayerSteps]) -> list[Step]:
    """The steps of a group that have their turn; stripes that the schedule lacks have the last."""
    last = unit == Unit(unit.group, schedule.stripes(unit.group) - 1)
    return [
        step
        for position, steps in stripes_in_order(group)
        if max(position, 0) == unit.stripe or (last and position > unit.stripe)
        for step in steps
    ]


def _of_image(plan: Plan, image: int, shared: set[str]) -> Plan:
    """``plan`` with its target at the image's row of a map that all images share."""
    if plan.target is None or plan.layer.target.tensor not in shared:
        return plan
    row = image * plan.layer.target.height * plan.target.pitch
    target = dataclasses.replace(plan.target, base=plan.target.base + row)
    return dataclasses.replace(plan, target=target)


def _stacked(tables: Sequence[LayerTable]) -> LayerTable:
    """One table of what a layer does for several images, whose outputs are one below the other."""
    height, width, channels = tables[0].shape
    return msgspec.structs.replace(
        tables[0],
        shape=(len(tables) * height, width, channels),
        stripes=[
            msgspec.structs.replace(place, row=image * height + place.row)
            for image, table in enumerate(tables)
            for place in table.stripes
        ],
        macs=sum(table.macs for table in tables),
        weight_bytes=sum(table.weight_bytes for table in tables),
        load_bytes=sum(table.load_bytes for table in tables),
        store_bytes=sum(table.store_bytes for table in tables),
        estimated_cycles=sum(table.estimated_cycles for table in tables),
    )
