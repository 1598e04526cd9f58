"""Planned layers to instructions.

The order of a stripe is: the first weights, loads of the next stripe (with two slabs), CONV, POST,
the other weights, stores. Weights that are sent more than once need one instruction each time, and
those must follow the CONV that takes them, or the queue of WEIGHTS would hold up the program.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.allocation import Place, Plan
from sw.compiler.lowering import AveragePool, Convolution, MeanPool, Plane
from sw.compiler.striping import Stripe
from sw.compiler.tiling import Tiling
from sw.compiler.tokens import Span, Step
from sw.compiler.weight_stream import WeightStream, tag
from sw.numerics import average_multiplier
from sw.program import DramTensor, StripePlace

_LOAD = {field.name: field.range[1] for field in FORMATS[Opcode.LOAD].fields}


@dataclasses.dataclass(frozen=True)
class PlacedStream:
    """The weight stream of a layer and where in DRAM it is."""

    stream: WeightStream
    offset: int


@dataclasses.dataclass
class Traffic:
    """DRAM bytes that a layer moves."""

    weights: int = 0
    loads: int = 0
    stores: int = 0


def _float_bits(value: float) -> int:
    return int.from_bytes(struct.pack("<f", value), "little")


def program_order(assemblers: list[LayerAssembler]) -> list[Step]:
    """The steps of assembled layers, those that run beside the layer before them merged with it."""
    ordered: list[tuple[int, int, list[Step]]] = []
    for assembler in assemblers:
        number, after = assembler.layer.number, assembler.plan.after
        for stripe, steps in enumerate(assembler.steps):
            layer, position = (number - 1, after[stripe]) if after else (number, stripe)
            ordered.append((layer, position, steps))
    ordered.sort(key=lambda entry: entry[:2])  # stable: the layer before comes first
    return [step for _, _, steps in ordered for step in steps]


class LayerAssembler:
    """Emits the steps of one layer.

    Args:
        config: the machine.
        plan: of the layer.
        dram: every tensor that lives in DRAM, by name.
        weights: of a convolution.

    Attributes:
        steps: of each stripe: the result of :meth:`assemble`.
        places: where each stripe of the output is in feature memory.
        traffic: DRAM bytes moved.
    """

    def __init__(
        self,
        config: DnaConfig,
        plan: Plan,
        dram: Mapping[str, DramTensor],
        weights: PlacedStream | None,
    ) -> None:
        self.config = config
        self.plan = plan
        self.layer = plan.layer
        self.dram = dram
        self.weights = weights
        self.steps: list[list[Step]] = []
        self.places: list[StripePlace] = []
        self.traffic = Traffic()

    def assemble(self) -> None:
        """Emit the whole layer."""
        schedule = self.plan.schedule
        stripes = schedule.stripes
        ahead = schedule.buffers - 1
        for number, stripe in enumerate(stripes):
            sends = self._weight_steps(number)
            self.steps.append(sends[:1])
            # The first loads come before the first stripe, the others as early as slabs allow.
            first = 0 if number == 0 else number + ahead
            for other in range(first, min(number + ahead + 1, len(stripes))):
                self._load(other, stripes[other])
            self._compute(number, stripe)
            self.steps[-1] += sends[1:]
            if not self._is_mean or number == len(stripes) - 1:
                self._finish(number, stripe)

    @property
    def _is_mean(self) -> bool:
        return isinstance(self.layer, MeanPool)

    def _emit(
        self,
        opcode: Opcode,
        fields: Mapping[str, int],
        reads: tuple[Span, ...] = (),
        writes: tuple[Span, ...] = (),
    ) -> None:
        self.steps[-1].append(Step(opcode, self.layer.number, fields, reads, writes))

    # Places of a stripe, with the base at its own first row.

    def _source(self, number: int, stripe: Stripe) -> Place:
        whole = self.plan.source
        if whole is None:
            return self.plan.source_slabs[number % len(self.plan.source_slabs)]
        return Place(whole.base + stripe.in_row * whole.pitch + stripe.first_word, whole.pitch)

    def _target(self, number: int, stripe: Stripe) -> Place:
        whole = self.plan.target
        if whole is None:
            # A mean collects all its stripes in one slab.
            slab = 0 if self._is_mean else number % len(self.plan.target_slabs)
            return self.plan.target_slabs[slab]
        return Place(whole.base + stripe.row * whole.pitch, whole.pitch)

    def _residual(self, number: int, stripe: Stripe) -> Place:
        whole = self.plan.residual
        if whole is None:  # it is loaded to where the sum will be
            return self._target(number, stripe)
        return Place(whole.base + stripe.row * whole.pitch, whole.pitch)

    def _span(self, place: Place, rows: int, row_words: int) -> Span:
        return Span("feature", place.base, place.base + (rows - 1) * place.pitch + row_words)

    def _dram_span(self, tensor: DramTensor, row: int, rows: int) -> Span:
        start = tensor.offset + row * tensor.pitch
        return Span("dram", start, start + rows * tensor.pitch)

    # DRAM to feature memory.

    def _load(self, number: int, stripe: Stripe) -> None:
        layer = self.layer
        if self.plan.source is None:
            place = self._source(number, stripe)
            tensor = self.dram[layer.source.tensor]
            row, rows = stripe.in_row, stripe.in_rows
            if isinstance(layer, Convolution) and layer.packing is not None:
                cut = {
                    "window_bytes": layer.packing.window_bytes,
                    "window_step": layer.packing.window_step,
                    "window_lead": layer.packing.window_lead,
                    "windows": layer.source.width,
                    "window_words": layer.source.words,
                }
            elif isinstance(layer, MeanPool):
                cut = self._plain_cut(tensor, layer.source, stripe.words)
            elif isinstance(layer, Convolution) and layer.stored is not None:
                stored = layer.stored
                cut = self._plain_cut(tensor, stored, stored.words)
                place = Place(place.base, stored.row_words)
                row, rows = 0, stored.height
            else:
                cut = self._plain_cut(tensor, layer.source, layer.source.words)
            skip = stripe.first_word * self.config.rows
            self._load_rows(tensor, row, rows, place, cut, skip)
        residual = layer.residual if isinstance(layer, Convolution) else None
        if residual is not None and self.plan.residual is None:
            tensor = self.dram[residual.plane.tensor]
            cut = self._plain_cut(tensor, residual.plane, residual.plane.words)
            self._load_rows(tensor, stripe.row, stripe.rows, self._residual(number, stripe), cut, 0)

    def _plain_cut(self, tensor: DramTensor, plane: Plane, words: int) -> dict[str, int]:
        """Windows that copy ``words`` of every pixel; whole pixels are joined where they can be."""
        word_bytes = self.config.rows
        joined = 1
        if tensor.pixel_bytes == words * word_bytes:
            joined = max(
                count
                for count in range(1, plane.width + 1)
                if plane.width % count == 0
                and (
                    count == 1
                    or (
                        count * words <= _LOAD["window_words"]
                        and count * words * word_bytes <= _LOAD["window_bytes"]
                    )
                )
            )
        return {
            "windows": plane.width // joined,
            "window_bytes": min(words * word_bytes, tensor.pixel_bytes) * joined,
            "window_step": tensor.pixel_bytes * joined,
            "window_words": words * joined,
        }

    def _load_rows(
        self,
        tensor: DramTensor,
        row: int,
        rows: int,
        place: Place,
        cut: Mapping[str, int],
        skip: int,
    ) -> None:
        """Load rows of ``tensor``, leaving out the first ``skip`` bytes of each."""
        row_bytes = tensor.width * tensor.pixel_bytes - skip
        self._emit(
            Opcode.LOAD,
            {
                "dram": tensor.offset + row * tensor.pitch + skip,
                "dram_pitch": tensor.pitch,
                "row_bytes": row_bytes,
                "rows": rows,
                "out_base": place.base,
                "out_pitch": place.pitch,
                "fill": self.layer.zero_point,
                **cut,
            },
            reads=(self._dram_span(tensor, row, rows),),
            writes=(self._span(place, rows, cut["windows"] * cut["window_words"]),),
        )
        self.traffic.loads += rows * row_bytes

    # Feature memory to DRAM.

    def _finish(self, number: int, stripe: Stripe) -> None:
        """Note where the stripe's output is; store it if it lives in DRAM."""
        place = self._target(number, stripe)
        target = self.layer.target
        self.places.append(StripePlace(stripe.row, stripe.rows, place.base, place.pitch))
        if self.plan.target is not None:
            return
        tensor = self.dram[target.tensor]
        self._emit(
            Opcode.STORE,
            {
                "in_base": place.base,
                "in_pitch": place.pitch,
                "rows": stripe.rows,
                "row_words": target.row_words,
                "dram": tensor.offset + stripe.row * tensor.pitch,
                "dram_pitch": tensor.pitch,
            },
            reads=(self._span(place, stripe.rows, target.row_words),),
            writes=(self._dram_span(tensor, stripe.row, stripe.rows),),
        )
        self.traffic.stores += stripe.rows * target.row_words * self.config.rows

    # The work itself.

    def _weight_steps(self, number: int) -> list[Step]:
        if self.weights is None:
            return []
        word = self.config.dram_bytes_per_cycle
        tiling = self.plan.schedule.tilings[number]
        ranges = self.weights.stream.ranges(tiling.pixel_tiles)
        self.traffic.weights += sum(length for _, length in ranges)
        return [
            Step(
                Opcode.WEIGHTS,
                self.layer.number,
                {"dram": self.weights.offset + start, "length": length // word},
            )
            for start, length in ranges
        ]

    def _compute(self, number: int, stripe: Stripe) -> None:
        layer = self.layer
        if isinstance(layer, Convolution):
            self._convolution(layer, number, stripe, self.plan.schedule.tilings[number])
        elif isinstance(layer, MeanPool):
            self._mean(layer, number, stripe)
        elif isinstance(layer, AveragePool):
            self._average_pool(number, stripe)
        else:
            self._max_pool(number, stripe)

    def _window_fields(self, number: int, stripe: Stripe) -> tuple[dict[str, int], Span]:
        source, window = self.layer.source, self.layer.window
        place = self._source(number, stripe)
        fields = {
            "in_base": place.base,
            "in_pitch": place.pitch,
            "in_words": source.words,
            "in_height": stripe.in_rows,
            "in_width": source.width,
            "kernel_height": window.kernel_height,
            "kernel_width": window.kernel_width,
            "stride": window.row_stride,
            "pad_top": stripe.pad_top,
            "pad_left": window.pad_left,
        }
        return fields, self._span(place, stripe.in_rows, source.row_words)

    def _convolution(self, layer: Convolution, number: int, stripe: Stripe, tiling: Tiling) -> None:
        target = layer.computed
        tiles = {
            "out_width": target.width,
            "channel_tiles": tiling.channel_tiles,
            "pixel_tiles": tiling.pixel_tiles,
            "tile_pixels": tiling.tile_pixels,
            "last_pixels": tiling.last_pixels,
            "split": tiling.split,
        }
        window, source_span = self._window_fields(number, stripe)
        square = layer.window.column_stride == layer.window.row_stride
        self._emit(
            Opcode.CONV,
            {
                **window,
                **tiles,
                "slices": layer.slices,
                "passes": tiling.passes,
                "column_stride": 0 if square else layer.window.column_stride,
                "in_zero_point": layer.zero_point,
                "tag": tag(layer.number),
            },
            reads=(source_span,),
        )
        place = self._target(number, stripe)
        fields = {
            **tiles,
            **layer.fields,
            "out_base": place.base,
            "out_pitch": place.pitch,
            "out_words": target.words,
        }
        reads: tuple[Span, ...] = ()
        if layer.residual is not None:
            other = self._residual(number, stripe)
            fields |= {
                **layer.residual.fields,
                "residual": 1,
                "res_base": other.base,
                "res_pitch": other.pitch,
            }
            reads = (self._span(other, stripe.rows, target.row_words),)
        span = self._span(place, stripe.rows, target.row_words)
        self._emit(Opcode.POST, fields, reads, (span,))

    def _max_pool(self, number: int, stripe: Stripe) -> None:
        target = self.layer.target
        window, source_span = self._window_fields(number, stripe)
        place = self._target(number, stripe)
        self._emit(
            Opcode.MAX_POOL,
            {
                **window,
                "stride": self.layer.window.column_stride,  # of the rows too, if there are several
                "out_height": stripe.rows,
                "out_width": target.width,
                "out_base": place.base,
                "out_pitch": place.pitch,
            },
            reads=(source_span,),
            writes=(self._span(place, stripe.rows, target.row_words),),
        )

    def _average_pool(self, number: int, stripe: Stripe) -> None:
        """A MEAN for each window, clipped to the map. The first and the last stand for all."""
        source, target, window = self.layer.source, self.layer.target, self.layer.window
        place, result = self._source(number, stripe), self._target(number, stripe)
        spans = (
            (self._span(place, stripe.in_rows, source.row_words),),
            (self._span(result, stripe.rows, target.row_words),),
        )
        pixels = [(y, x) for y in range(stripe.rows) for x in range(target.width)]
        for y, x in pixels:
            top, left = y * window.row_stride - stripe.pad_top, x * window.column_stride
            left -= window.pad_left
            rows = range(max(top, 0), min(top + window.kernel_height, stripe.in_rows))
            columns = range(max(left, 0), min(left + window.kernel_width, source.width))
            multiplier = average_multiplier(len(rows) * len(columns), self.layer.name)
            self._emit(
                Opcode.MEAN,
                {
                    "in_base": place.base + rows.start * place.pitch + columns.start * source.words,
                    "in_pitch": place.pitch,
                    "in_words": source.words,
                    "in_height": len(rows),
                    "in_width": len(columns),
                    "out_base": result.base + y * result.pitch + x * target.words,
                    "multiplier": _float_bits(float(multiplier)),
                    "offset": _float_bits(0.0),
                },
                *(spans if (y, x) in (pixels[0], pixels[-1]) else ()),
            )

    def _mean(self, layer: MeanPool, number: int, stripe: Stripe) -> None:
        place = self._source(number, stripe)
        first = self._target(number, stripe).base + stripe.first_word
        row_words = layer.source.width * stripe.words
        self._emit(
            Opcode.MEAN,
            {
                "in_base": place.base,
                "in_pitch": place.pitch,
                "in_words": stripe.words,
                "in_height": layer.source.height,
                "in_width": layer.source.width,
                "out_base": first,
                "multiplier": _float_bits(layer.multiplier),
                "offset": _float_bits(layer.offset),
            },
            reads=(self._span(place, layer.source.height, row_words),),
            writes=(Span("feature", first, first + stripe.words),),
        )
