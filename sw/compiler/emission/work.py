"""Steps that compute: CONV and POST, DEPTHWISE, and what POOL does."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

from hw.isa import Opcode, TablePlace
from hw.isa.accesses import Accesses, Memory, Rows
from sw.compiler.choice import Tiling
from sw.compiler.emission.steps import Step, StepMaker
from sw.compiler.emission.stripes import PlacedStripe
from sw.compiler.emission.weight_stream import tag
from sw.compiler.layers import (
    Area,
    AveragePool,
    Convolution,
    Copy,
    Depthwise,
    MaxPool,
    MeanPool,
    Part,
    Plane,
)
from sw.compiler.placement import Place
from sw.numerics import average_multiplier


def convolution(
    step: StepMaker, layer: Convolution, placed: PlacedStripe, tiling: Tiling
) -> list[Step]:
    """A stripe of a convolution, with what follows it in POST."""
    neighbours = tiling.links.neighbours
    target = layer.joined(neighbours)
    tiles = {
        "out_width": target.width,
        "channel_tiles": tiling.channel_tiles,
        "pixel_tiles": tiling.pixel_tiles,
        "tile_pixels": tiling.tile_pixels,
        "last_pixels": tiling.last_pixels,
        "split": tiling.links.split,
    }
    stride = neighbours * layer.window.column_stride
    conv = {
        **_window_fields(layer, placed),
        **tiles,
        "slices": layer.slices,
        "passes": tiling.passes,
        "column_stride": 0 if stride == layer.window.row_stride else stride,
        "in_zero_point": layer.zero_point,
        "tag": tag(layer.number),
        "table": int(layer.table is not None),
    }
    if neighbours > 1:
        conv |= {
            "neighbours": neighbours,
            "pixel_words": layer.computed.words,
            "neighbour_columns": layer.window.column_stride,
            "neighbour_words": layer.window.column_stride * layer.seen.words,
        }
    post = {
        **tiles,
        **layer.fields,
        "out_base": placed.target.base,
        "out_pitch": placed.target.pitch,
        "out_words": target.words,
        "table": TablePlace.NONE if layer.table is None else layer.table.place,
    }
    if layer.residual is not None:
        post |= {
            **layer.residual.fields,
            "residual": 1,
            "res_base": placed.residual.base,
            "res_pitch": placed.residual.pitch,
            "res_width": target.width
            if layer.repeated is None
            else layer.repeated_columns // neighbours,
        }
    return [*gather(step, layer, placed), step(Opcode.CONV, conv), step(Opcode.POST, post)]


def depthwise(
    step: StepMaker, layer: Depthwise, placed: PlacedStripe, parameters: int
) -> list[Step]:
    """A stripe of a depthwise convolution, whose weights begin at the word ``parameters``."""
    fields = {
        **_window_fields(layer, placed),
        **layer.fields,
        "out_height": placed.stripe.rows,
        "out_width": layer.target.width,
        "out_base": placed.target.base,
        "out_pitch": placed.target.pitch,
        "parameters": parameters,
        "split": layer.split,
        "in_zero_point": layer.zero_point,
    }
    return [step(Opcode.DEPTHWISE, fields)]


def max_pool(step: StepMaker, layer: MaxPool, placed: PlacedStripe) -> list[Step]:
    """A stripe of a max-pool."""
    fields = {
        **_window_fields(layer, placed),
        "stride": layer.window.column_stride,  # of the rows too, if there are several
        "in_step": layer.source.words,
        "out_step": layer.target.words,
        "out_height": placed.stripe.rows,
        "out_width": layer.target.width,
        "out_base": placed.target.base,
        "out_pitch": placed.target.pitch,
    }
    return [step(Opcode.MAX_POOL, fields)]


def copy(step: StepMaker, layer: Copy, placed: PlacedStripe) -> list[Step]:
    """A stripe of copies."""
    target = (layer.target, placed, placed.target)
    return _copies(step, layer, layer.parts, *target, layer.repeat, turns=layer.turns)


def gather(step: StepMaker, layer: Convolution, placed: PlacedStripe) -> list[Step]:
    """Copies that make up the source of a stripe."""
    return _copies(step, layer, layer.gather, layer.source, placed, placed.source)


def _copies(
    step: StepMaker,
    layer: Copy | Convolution,
    parts: Sequence[Part],
    plane: Plane,
    placed: PlacedStripe,
    target: Place,
    repeat: tuple[int, int] = (1, 1),
    *,
    turns: bool = False,
) -> list[Step]:
    """A MAX_POOL over single pixels for each part, and each place of a pixel in ``plane``."""
    (down, across), rows = repeat, placed.stripe.in_rows
    places = dict(zip(layer.gathered, placed.operands, strict=True))
    steps = []
    for number, part in enumerate(parts):
        source = places[part.plane]
        if part.area is not None:
            steps.append(step(Opcode.MAX_POOL, _area_fields(part, part.area, source, target)))
            continue
        every = list(itertools.product(range(down), range(across)))
        for row, column in every[number : number + 1] if turns else every:
            fields = {
                "in_base": source.base + part.first,
                "in_pitch": source.pitch,
                "in_words": part.words,
                "in_step": part.plane.words,
                "in_height": rows,
                "in_width": part.plane.width,
                "kernel_height": 1,
                "kernel_width": 1,
                "stride": 1,
                "out_height": rows,
                "out_width": part.plane.width,
                "out_base": target.base + row * target.pitch + column * plane.words + part.at,
                "out_pitch": down * target.pitch,
                "out_step": across * plane.words,
            }
            steps.append(step(Opcode.MAX_POOL, fields))
    return steps


def _area_fields(part: Part, area: Area, source: Place, target: Place) -> dict[str, int]:
    """Of a copy of some pixels, to some pixels of as many words."""
    words = part.plane.words
    return {
        "in_base": source.base + area.row * source.pitch + area.column * words,
        "in_pitch": source.pitch,
        "in_words": words,
        "in_step": words,
        "in_height": area.rows,
        "in_width": area.columns,
        "kernel_height": 1,
        "kernel_width": 1,
        "stride": 1,
        "out_height": area.rows,
        "out_width": area.columns,
        "out_base": target.base + area.to_row * target.pitch + area.to_column * words,
        "out_pitch": target.pitch,
        "out_step": words,
    }


def average_pool(step: StepMaker, layer: AveragePool, placed: PlacedStripe) -> list[Step]:
    """A MEAN for each window of a stripe, clipped to the map.

    The first and the last stand for all in the order of instructions: the first waits for all that
    the stripe needs, who needs the stripe waits for the last.
    """
    source, target, window = layer.source, layer.target, layer.window
    stripe, seen, result = placed.stripe, placed.source, placed.target
    everything = Accesses(
        (Rows(Memory.FEATURE, seen.base, source.row_words, stripe.in_rows, seen.pitch),),
        (Rows(Memory.FEATURE, result.base, target.row_words, stripe.rows, result.pitch),),
    )
    pixels = [(y, x) for y in range(stripe.rows) for x in range(target.width)]
    steps = []
    for y, x in pixels:
        top = y * window.row_stride - stripe.pad_top
        left = x * window.column_stride - window.pad_left
        rows = range(max(top, 0), min(top + window.kernel_height, stripe.in_rows))
        columns = range(max(left, 0), min(left + window.kernel_width, source.width))
        fields = {
            "in_base": seen.base + rows.start * seen.pitch + columns.start * source.words,
            "in_pitch": seen.pitch,
            "in_words": source.words,
            "in_height": len(rows),
            "in_width": len(columns),
            "out_base": result.base + y * result.pitch + x * target.words,
            "multiplier": _float_bits(
                float(average_multiplier(len(rows) * len(columns), layer.name))
                if layer.multiplier is None
                else layer.multiplier
            ),
            "offset": _float_bits(layer.offset),
        }
        at_an_end = (y, x) in (pixels[0], pixels[-1])
        steps.append(step(Opcode.MEAN, fields, everything if at_an_end else Accesses()))
    return steps


def mean(step: StepMaker, layer: MeanPool, placed: PlacedStripe) -> list[Step]:
    """A mean over some words of every pixel."""
    stripe = placed.stripe
    fields = {
        "in_base": placed.source.base,
        "in_pitch": placed.source.pitch,
        "in_words": stripe.words,
        "in_height": layer.source.height,
        "in_width": layer.source.width,
        "out_base": placed.target.base + stripe.first_word,
        "multiplier": _float_bits(layer.multiplier),
        "offset": _float_bits(layer.offset),
    }
    return [step(Opcode.MEAN, fields)]


def _window_fields(
    layer: Convolution | Depthwise | MaxPool, placed: PlacedStripe
) -> dict[str, int]:
    source = layer.seen if isinstance(layer, Convolution) else layer.source
    window, stripe = layer.window, placed.stripe
    return {
        "in_base": placed.source.base,
        "in_pitch": placed.source.pitch,
        "in_words": source.words,
        "in_height": stripe.in_rows,
        "in_width": source.width,
        "kernel_height": window.kernel_height,
        "kernel_width": window.kernel_width,
        "stride": window.row_stride,
        "pad_top": stripe.pad_top,
        "pad_left": window.pad_left,
    }


def _float_bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")
