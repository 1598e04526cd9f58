"""What it costs to run a layer as it was chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from typing import assert_never

from hw.config import DnaConfig
from hw.isa.accesses import parameter_rows, tap_blocks
from hw.microarchitecture import (
    FEATURE_READ_LATENCY,
    LINE_BUFFER_LATENCY,
    REQUANTIZER_LATENCY,
    TAP_SUM_LATENCY,
)
from sw.compiler.choice import Choice, Stripe
from sw.compiler.estimates.tiles import TilingEstimate, estimate_tiling
from sw.compiler.layers import (
    AveragePool,
    Convolution,
    Copy,
    Depthwise,
    Layer,
    MaxPool,
    MeanPool,
)
from sw.compiler.platform import Platform


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a layer costs.

    Attributes:
        cycles: without waits that only a run shows.
        bound: the engine that takes most of them: conv, weights, post, depthwise, pool, load or
            store.
    """

    cycles: int
    bound: str


def estimate(
    platform: Platform,
    layer: Layer,
    choice: Choice,
    in_dram: Set[str],
    before: Estimate | None = None,
) -> Estimate:
    """What ``choice`` costs.

    Args:
        in_dram: the tensors that live in DRAM.
        before: of the layer before, if stripes of this one run between its own.
    """
    if isinstance(layer, Convolution) and in_dram.isdisjoint(layer.tensors):
        tiles = _tiles(platform, layer, choice)
        return Estimate(_one_after_another(tiles), _longest(tiles).bound)
    work, bound = _work(platform, layer, choice)
    if before is not None:
        return Estimate(max(work[-1], sum(work) - before.cycles), bound)
    transfers = [_transfers(platform, layer, stripe, in_dram) for stripe in choice.stripes]
    loads, stores = [load for load, _ in transfers], [store for _, store in transfers]
    cycles = _passing_through(choice, work, loads, stores)
    if cycles > 2 * sum(work):
        bound = "load" if sum(loads) >= sum(stores) else "store"
    return Estimate(cycles, bound)


def _tiles(platform: Platform, layer: Convolution, choice: Choice) -> list[TilingEstimate]:
    """The tiles of every stripe; most stripes have the same."""
    different = {tiling: estimate_tiling(platform, layer, tiling) for tiling in set(choice.tilings)}
    return [different[tiling] for tiling in choice.tilings]


def _longest(tiles: list[TilingEstimate]) -> TilingEstimate:
    return max(tiles, key=lambda tiling: tiling.cycles)


def _one_after_another(tiles: list[TilingEstimate]) -> int:
    """Cycles of stripes whose maps are in feature memory: one enters while that before drains."""
    entered = drained = 0
    for stripe in tiles:
        drained = max(entered + stripe.cycles, drained + stripe.cycles - stripe.entered)
        entered += stripe.entered
    return drained


def _passing_through(choice: Choice, work: list[int], loads: list[int], stores: list[int]) -> int:
    """Cycles of stripes that are loaded before their work, or stored behind it, or both."""
    cycles = loads[0] + stores[-1]
    for busy, loading, storing in zip(work, [*loads[1:], 0], [0, *stores[:-1]], strict=True):
        cycles += max(busy, loading, storing) if choice.buffers > 1 else busy + loading + storing
    return cycles


def _work(platform: Platform, layer: Layer, choice: Choice) -> tuple[list[int], str]:
    """Cycles of every stripe once its data is there, and the engine that bounds them."""
    config = platform.config
    match layer:
        case Convolution():
            tiles = _tiles(platform, layer, choice)
            return [stripe.cycles for stripe in tiles], _longest(tiles).bound
        case Depthwise():
            return [
                depthwise_cycles(config, layer, stripe) for stripe in choice.stripes
            ], "depthwise"
        case Copy():
            parts = layer.parts[:1] if layer.turns else layer.parts
            words = sum(-(-part.words // config.post_words) for part in parts)
            if layer.whole:
                pixels = sum(
                    part.area.rows * part.area.columns * -(-part.words // config.post_words)
                    for part in layer.parts
                    if part.area is not None
                )
                return [pixels], "pool"
            return [stripe.rows * layer.target.width * words for stripe in choice.stripes], "pool"
        case MaxPool() | MeanPool():
            steps = _taps(layer)
        case AveragePool():  # the channels of a window leave one by one
            steps = _taps(layer) + config.lanes
        case _:
            assert_never(layer)
    width = layer.target.width
    return [
        stripe.rows * width * steps * -(-stripe.words // config.post_words)
        for stripe in choice.stripes
    ], "pool"


def depthwise_cycles(config: DnaConfig, layer: Depthwise, stripe: Stripe) -> int:
    """Cycles of a stripe: for each group of words, its reads or its blocks, whichever are more.

    Where a group takes half the banks, reads and writes are in each other's way, as the reader is
    a group ahead half of the time: both count.
    """
    kernel = layer.window.kernel_height, layer.window.kernel_width
    columns = layer.source.width >> layer.split
    # Pixels that share a cycle leave no word of it idle; of those at a stride some are no results.
    results = columns if layer.split else layer.target.width
    reads = stripe.in_rows * columns + parameter_rows(*kernel)
    computes = stripe.rows * results * tap_blocks(*kernel)
    apart = config.modules > 2 * config.depthwise_words
    cycles = max(reads, computes) if apart else reads + computes
    groups = -(-stripe.words // (config.depthwise_words >> layer.split))
    # The first rows come before the first result, and that goes through taps and requantizers.
    fills = layer.window.kernel_height * columns
    way = FEATURE_READ_LATENCY + LINE_BUFFER_LATENCY + TAP_SUM_LATENCY + REQUANTIZER_LATENCY
    return groups * cycles + fills + way


def _taps(layer: Layer) -> int:
    return layer.window.kernel_height * layer.window.kernel_width


def _transfers(
    platform: Platform, layer: Layer, stripe: Stripe, in_dram: Set[str]
) -> tuple[int, int]:
    """Cycles in which a stripe is loaded and stored."""

    def cycles(words: int) -> int:
        config = platform.config
        return -(-words // config.post_words) + platform.dram_cycles(words * config.rows)

    load = store = 0
    result = stripe.rows * layer.target.row_words
    for plane in layer.gathered:
        load += cycles(stripe.in_rows * plane.row_words) if plane.tensor in in_dram else 0
    if layer.source.tensor in in_dram and not layer.gathered:
        load += cycles(stripe.in_rows * layer.source.width * stripe.words)
    residual = layer.residual if isinstance(layer, Convolution) else None
    if residual is not None and residual.plane.tensor in in_dram:
        load += cycles(min(result, residual.plane.height * residual.plane.row_words))
    if layer.target.tensor in in_dram:
        store = cycles(result)
    return load, store
