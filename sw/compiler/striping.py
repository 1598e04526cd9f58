"""Layers in stripes: what is worked on at a time when a feature map is not in feature memory.

A stripe is some output rows and the input rows under their windows (a mean, which needs all rows,
takes some channels instead). What lives in DRAM passes through slabs of feature memory; with two
of each, the next stripe loads while this one is computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Set

from hw.config import DnaConfig
from sw.compiler.lowering import AveragePool, Convolution, Layer, MaxPool, MeanPool, Plane
from sw.compiler.machine import Machine
from sw.compiler.tiling import Tiling, needs_pitch, pitch_residue, tile


@dataclasses.dataclass(frozen=True)
class Stripe:
    """Part of a layer.

    Attributes:
        row, rows: of the output.
        in_row, in_rows: of the source.
        pad_top: minus the source row, counted from ``in_row``, under the first output row's window.
        first_word, words: of a source pixel.
    """

    row: int
    rows: int
    in_row: int
    in_rows: int
    pad_top: int
    first_word: int
    words: int


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One way to run a layer.

    Attributes:
        stripes: in order.
        tilings: of a convolution, one for each stripe.
        buffers: slabs of each kind.
        source_slab, target_slab: words of each slab; 0 if that feature map needs none.
        source_pitch, target_pitch: of the slabs.
        cycles: estimated.
        bound: what takes most of them.
    """

    stripes: list[Stripe]
    tilings: list[Tiling]
    buffers: int
    source_slab: int
    target_slab: int
    source_pitch: int
    target_pitch: int
    cycles: int
    bound: str

    @property
    def slab_words(self) -> int:
        """Feature words of all slabs."""
        return self.buffers * (self.source_slab + self.target_slab)


def pitch(config: DnaConfig, plane: Plane, residue: int | None) -> int:
    """The smallest pitch of ``plane`` that is ``residue`` modulo G, if one is asked for."""
    if residue is None:
        return plane.row_words
    return plane.row_words + (residue - plane.row_words) % config.modules


def extent(rows: int, row_words: int, row_pitch: int) -> int:
    """Words from the first to the last of some rows; the gap behind the last row is not needed."""
    return (rows - 1) * row_pitch + row_words


def schedules(machine: Machine, layer: Layer, split: int, in_dram: Set[str]) -> list[Schedule]:
    """The ways to run ``layer``, the quickest by estimate first.

    Args:
        split: of a convolution.
        in_dram: the tensors that live in DRAM.
    """
    is_mean = isinstance(layer, MeanPool)
    row_by_row = isinstance(layer, MaxPool) and layer.row_by_row
    units = layer.source.words if is_mean else layer.target.height
    if in_dram.isdisjoint({layer.source.tensor} if is_mean else tensors(layer)):
        return [_schedule(machine, layer, split, in_dram, 1 if row_by_row else units, 1)]
    sizes = sorted({-(-units // parts) for parts in range(1, units + 1)}, reverse=True)
    if row_by_row:
        sizes = [1]
    choices = [
        _schedule(machine, layer, split, in_dram, size, buffers)
        for size in sizes
        for buffers in ((1, 2) if size < units else (1,))
    ]
    return sorted(choices, key=lambda choice: (choice.cycles, choice.slab_words))


def smallest(machine: Machine, layer: Layer, split: int) -> int:
    """Feature words that ``layer`` needs if all that it reads and writes is in DRAM."""
    return min(s.slab_words for s in schedules(machine, layer, split, tensors(layer)))


def tensors(layer: Layer) -> set[str]:
    """What a layer reads and writes."""
    return {plane.tensor for plane in (*layer.operands, layer.target)}


def _stripes(layer: Layer, size: int) -> list[Stripe]:
    """``layer`` in pieces of ``size`` output rows, or words of a mean."""
    source = layer.source
    if isinstance(layer, MeanPool):
        return [
            Stripe(0, 1, 0, source.height, 0, first, min(size, source.words - first))
            for first in range(0, source.words, size)
        ]
    height = layer.target.height
    return [_rows(layer, row, min(row + size, height)) for row in range(0, height, size)]


def _rows(layer: Layer, start: int, stop: int) -> Stripe:
    """Output rows ``start`` up to ``stop`` of a layer with a sliding window."""
    source, window = layer.source, layer.window
    above = start * window.row_stride - window.pad_top
    below = above + (stop - start - 1) * window.row_stride + window.kernel_height
    # A stripe that sees nothing but padding still has a source row, so that all have one.
    first = min(max(above, 0), source.height - 1)
    last = max(min(below, source.height), first + 1)
    return Stripe(start, stop - start, first, last - first, first - above, 0, source.words)


def follow(
    config: DnaConfig, layer: MaxPool, before: Schedule
) -> tuple[Schedule, list[int]] | None:
    """Run a max-pool beside the stripes of the layer that computes its source.

    Both feature maps are in feature memory.

    Returns:
        The schedule, and for each of its stripes the stripe of ``before`` after which it can run;
        None if ``before`` has only one.
    """
    if len(before.stripes) == 1:
        return None
    window, height = layer.window, layer.target.height
    stripes, after = [], []
    start = 0
    for number, ready in enumerate(before.stripes):
        below = ready.row + ready.rows + window.pad_top - window.kernel_height
        stop = min(height, max(start, below // window.row_stride + 1))
        if ready is before.stripes[-1]:
            stop = height
        if stop > start:
            stripes.append(_rows(layer, start, stop))
            after.append(number)
        start = stop
    work, bound = _work(config, layer, stripes, [])
    schedule = Schedule(
        stripes=stripes,
        tilings=[],
        buffers=1,
        source_slab=0,
        target_slab=0,
        source_pitch=layer.source.row_words,
        target_pitch=layer.target.row_words,
        cycles=max(work[-1], sum(work) - before.cycles),
        bound=bound,
    )
    return schedule, after


def cut(machine: Machine, layer: Convolution, split: int, row: int) -> Schedule:
    """Run a convolution in two stripes, the second one from output row ``row`` on.

    Both feature maps are in feature memory.
    """
    stripes = [_rows(layer, 0, row), _rows(layer, row, layer.target.height)]
    tilings = _tilings(machine, layer, split, stripes)
    first, second = tilings
    # The second one's tiles drain behind those of the first.
    cycles = max(first.entered + second.cycles, first.cycles + second.cycles - second.entered)
    return Schedule(
        stripes=stripes,
        tilings=tilings,
        buffers=1,
        source_slab=0,
        target_slab=0,
        source_pitch=layer.source.row_words,
        target_pitch=layer.target.row_words,
        cycles=cycles,
        bound=max(tilings, key=lambda tiling: tiling.cycles).bound,
    )


def _schedule(
    machine: Machine, layer: Layer, split: int, in_dram: Set[str], size: int, buffers: int
) -> Schedule:
    stripes = _stripes(layer, size)
    source, target = layer.source, layer.target
    residue = None
    if isinstance(layer, Convolution) and needs_pitch(layer, split):
        residue = pitch_residue(machine.config, layer)
    first = stripes[0]
    if isinstance(layer, MeanPool):
        row_words = source.width * first.words
        source_pitch = row_words
    else:
        row_words = source.row_words
        source_pitch = pitch(machine.config, source, residue)
    in_rows = max(stripe.in_rows for stripe in stripes)
    rows = max(stripe.rows for stripe in stripes)
    streamed_source = source.tensor in in_dram
    streamed_target = target.tensor in in_dram
    tilings = _tilings(machine, layer, split, stripes)
    work, bound = _work(machine.config, layer, stripes, tilings)
    loads, stores = _transfers(machine, layer, stripes, in_dram)
    cycles = loads[0] + stores[-1]
    for index, busy in enumerate(work):
        loading = loads[index + 1] if index + 1 < len(stripes) else 0
        storing = stores[index - 1] if index > 0 else 0
        cycles += max(busy, loading, storing) if buffers > 1 else busy + loading + storing
    return Schedule(
        stripes=stripes,
        tilings=tilings,
        buffers=buffers,
        source_slab=extent(in_rows, row_words, source_pitch) if streamed_source else 0,
        target_slab=extent(rows, target.row_words, target.row_words) if streamed_target else 0,
        source_pitch=source_pitch,
        target_pitch=target.row_words,
        cycles=cycles,
        bound="memory" if cycles > 2 * sum(work) else bound,
    )


def _tilings(machine: Machine, layer: Layer, split: int, stripes: list[Stripe]) -> list[Tiling]:
    if not isinstance(layer, Convolution):
        return []
    by_rows = {
        rows: tile(machine, layer, rows * layer.computed.width, split)
        for rows in {stripe.rows for stripe in stripes}
    }
    return [by_rows[stripe.rows] for stripe in stripes]


def _work(
    config: DnaConfig, layer: Layer, stripes: list[Stripe], tilings: list[Tiling]
) -> tuple[list[int], str]:
    """Estimated cycles of every stripe once its data is there, and what bounds them."""
    if tilings:
        longest = max(tilings, key=lambda tiling: tiling.cycles)
        return [tiling.cycles for tiling in tilings], longest.bound
    window, target = layer.window, layer.target
    per_word = window.kernel_height * window.kernel_width
    if isinstance(layer, AveragePool):  # the channels of a window leave one by one
        per_word += config.lanes
    return [
        stripe.rows * target.width * per_word * -(-stripe.words // config.post_words)
        for stripe in stripes
    ], "pool"


def _transfers(
    machine: Machine, layer: Layer, stripes: list[Stripe], in_dram: Set[str]
) -> tuple[list[int], list[int]]:
    """Estimated cycles of every stripe's loads and stores."""
    config = machine.config

    def cycles(words: int) -> int:
        return -(-words // config.post_words) + machine.dram_cycles(words * config.rows)

    loads, stores = [], []
    for stripe in stripes:
        load = store = 0
        if layer.source.tensor in in_dram:
            load += cycles(stripe.in_rows * layer.source.width * stripe.words)
        residual = layer.residual if isinstance(layer, Convolution) else None
        if residual is not None and residual.plane.tensor in in_dram:
            load += cycles(stripe.rows * layer.target.row_words)
        if layer.target.tensor in in_dram:
            store = cycles(stripe.rows * layer.target.row_words)
        loads.append(load)
        stores.append(store)
    return loads, stores
