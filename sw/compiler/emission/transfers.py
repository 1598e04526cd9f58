"""Steps that move data: weights to the FIFO, feature maps from DRAM and to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import assert_never

import numpy as np
import numpy.typing as npt

from hw.isa import FORMATS, Opcode
from sw.compiler.choice import Tiling
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.stripes import PlacedStripe
from sw.compiler.emission.weight_stream import WeightStream
from sw.compiler.layers import (
    AveragePool,
    Convolution,
    Copy,
    Depthwise,
    Layer,
    MaxPool,
    MeanPool,
    Packing,
    Plane,
)
from sw.compiler.placement import Place, Plan
from sw.program import DramTensor

_LOAD = {field.name: field.range[1] for field in FORMATS[Opcode.LOAD].fields}


@dataclasses.dataclass(frozen=True)
class PlacedStream:
    """The weight stream of a layer and where in DRAM it is."""

    stream: WeightStream
    offset: int


def send_weights(step: StepMaker, weights: PlacedStream, tiling: Tiling) -> list[Step]:
    """Send the weights of a stripe, in one instruction for what is in DRAM as it is needed."""
    word = step.config.dram_bytes_per_cycle
    return [
        step(Opcode.WEIGHTS, {"dram": weights.offset + start, "length": length // word})
        for start, length in weights.stream.ranges(tiling.pixel_tiles)
    ]


@dataclasses.dataclass(frozen=True)
class PlacedParameters:
    """The weights of a depthwise layer, int8 [group, row, channel], and where in DRAM they are."""

    content: npt.NDArray[np.int8]
    offset: int


def load_parameters(step: StepMaker, parameters: PlacedParameters, base: int) -> Step:
    """Load the weights of a depthwise layer to the feature words from ``base`` on."""
    groups, rows, channels = parameters.content.shape
    return step(
        Opcode.LOAD,
        {
            "dram": parameters.offset,
            "row_bytes": parameters.content.size,
            "rows": 1,
            "windows": groups,
            "window_bytes": rows * channels,
            "window_step": rows * channels,
            "window_words": rows * channels // step.config.rows,
            "out_base": base,
        },
    )


def load(
    step: StepMaker, plan: Plan, placed: PlacedStripe, dram: Mapping[str, DramTensor]
) -> list[Step]:
    """Load what a stripe needs from DRAM."""
    layer, stripe = plan.layer, placed.stripe
    steps = []
    rows = range(stripe.in_row, stripe.in_row + stripe.in_rows)
    for plane, at, place in zip(layer.gathered, plan.operands, placed.operands, strict=True):
        if at is None:
            tensor = dram[plane.tensor]
            cut = _plain_cut(step, tensor, plane, plane.words)
            seen = range(plane.height) if layer.whole else rows
            steps.append(_load_rows(step, tensor, seen, place, cut))
    if layer.gathered:
        return steps
    if plan.source is None:
        tensor = dram[layer.source.tensor]
        steps.append(_load_source(step, layer, placed, tensor))
    if isinstance(layer, Convolution) and layer.residual is not None and plan.residual is None:
        plane = layer.residual.plane
        tensor = dram[plane.tensor]
        rows = range(stripe.row, stripe.row + stripe.rows)
        if layer.repeated is not None:
            rows = range(1)
        cut = _plain_cut(step, tensor, plane, plane.words)
        steps.append(_load_rows(step, tensor, rows, placed.residual, cut))
    return steps


def store(step: StepMaker, plane: Plane, placed: PlacedStripe, tensor: DramTensor) -> Step:
    """Store what a stripe has computed of ``plane``."""
    stripe, place = placed.stripe, placed.target
    return step(
        Opcode.STORE,
        {
            "in_base": place.base,
            "in_pitch": place.pitch,
            "rows": stripe.rows,
            "row_words": plane.row_words,
            "dram": tensor.offset + stripe.row * tensor.pitch,
            "dram_pitch": tensor.pitch,
        },
    )


def _load_source(step: StepMaker, layer: Layer, placed: PlacedStripe, tensor: DramTensor) -> Step:
    stripe, place = placed.stripe, placed.source
    rows = range(stripe.in_row, stripe.in_row + stripe.in_rows)
    match layer:
        case Convolution(packing=Packing() as packing):
            cut = {
                "window_bytes": packing.window_bytes,
                "window_step": packing.window_step,
                "window_lead": packing.window_lead,
                "windows": layer.source.width,
                "window_words": layer.source.words,
            }
            return _load_rows(step, tensor, rows, place, cut)
        case Convolution(stored=Plane() as stored):
            cut = _plain_cut(step, tensor, stored, stored.words)
            flat = Place(place.base, stored.row_words)
            return _load_rows(step, tensor, range(stored.height), flat, cut)
        case Convolution() | Depthwise() | MaxPool() | AveragePool() | Copy():
            cut = _plain_cut(step, tensor, layer.source, layer.source.words)
            return _load_rows(step, tensor, rows, place, cut)
        case MeanPool():  # some words of every pixel
            cut = _plain_cut(step, tensor, layer.source, stripe.words)
            skip = stripe.first_word * step.config.rows
            return _load_rows(step, tensor, rows, place, cut, skip)
        case _:
            assert_never(layer)


def _plain_cut(step: StepMaker, tensor: DramTensor, plane: Plane, words: int) -> dict[str, int]:
    """Windows that copy ``words`` of every pixel; whole pixels are joined where they can be."""
    pixel_bytes = words * step.config.rows
    joined = 1
    if tensor.pixel_bytes == pixel_bytes:
        joined = max(
            count
            for count in range(1, plane.width + 1)
            if plane.width % count == 0
            and (
                count == 1
                or (
                    count * words <= _LOAD["window_words"]
                    and count * pixel_bytes <= _LOAD["window_bytes"]
                )
            )
        )
    return {
        "windows": plane.width // joined,
        "window_bytes": min(pixel_bytes, tensor.pixel_bytes) * joined,
        "window_step": tensor.pixel_bytes * joined,
        "window_words": words * joined,
    }


def _load_rows(
    step: StepMaker,
    tensor: DramTensor,
    rows: range,
    place: Place,
    cut: Mapping[str, int],
    skip: int = 0,
) -> Step:
    """Load rows of ``tensor`` to ``place``, leaving out the first ``skip`` bytes of each."""
    return step(
        Opcode.LOAD,
        {
            "dram": tensor.offset + rows.start * tensor.pitch + skip,
            "dram_pitch": tensor.pitch,
            "row_bytes": tensor.width * tensor.pixel_bytes - skip,
            "rows": len(rows),
            "out_base": place.base,
            "out_pitch": place.pitch,
            "fill": step.layer.zero_point,
            **cut,
        },
    )
