"""When the tiles of a convolution are through: an estimate, tile by tile.

It follows the rules of docs/machine.md: a pass costs its pixels or the time in which the next
weights arrive, whichever is longer; a tile drains when it is full, while the next one accumulates;
and the parameters of a tile, with its weights behind them, come when the tile before the last one
has drained. (The machine has them by then, and its way from a drained tile to the next pixel is as
long in cycles; that rule instead of this one chose ResNet50's splits worse.)
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

from hw.config import DnaConfig
from sw.compiler.choice import Tiling
from sw.compiler.layers import CHANNEL_PARAMETERS, Convolution
from sw.compiler.platform import Platform


@dataclasses.dataclass(frozen=True)
class TilingEstimate:
    """What the tiles of a convolution cost.

    Attributes:
        entered: cycles until the last pixel is in the modules and the next CONV can begin.
        free: cycles until there is a tile in the accumulation memory for it, too.
        cycles: until the last tile is drained.
        bound: the engine that takes most of it: conv, weights or post.
    """

    entered: int
    free: int
    cycles: int
    bound: str


@dataclasses.dataclass(frozen=True)
class _Shape:
    """All that the tiles of a convolution depend on."""

    slices: int
    words: int
    residual: bool


@dataclasses.dataclass(frozen=True)
class _Clock:
    """When the latest tile was through: its weights loaded, its pixels in, it and another drained.

    The other one is the tile before.
    """

    loaded: int
    entered: int
    drained: int
    drained_before: int

    def later(self, cycles: int) -> _Clock:
        """The same, some cycles later."""
        return _Clock(
            self.loaded + cycles,
            self.entered + cycles,
            self.drained + cycles,
            self.drained_before + cycles,
        )


def weight_cycles(platform: Platform) -> int:
    """Cycles in which the weights of one pass arrive."""
    config = platform.config
    return platform.dram_cycles(config.rows * config.modules * config.columns)


def drain_cycles(config: DnaConfig, group_words: int, pixel_words: int, residual: bool) -> int:
    """Cycles in which POST writes ``group_words`` words of each pixel of ``pixel_words``.

    A bank serves the read of a residual or the write of a sum in a cycle. The two walk through the
    same banks; if they need others in each step than in the one before, one goes a step ahead of
    the other and both move in every cycle, otherwise in every other one.
    """
    starts = range(0, group_words, config.post_words)
    if not residual:
        return len(starts)
    steps = [
        {
            (pixel * pixel_words + word) % config.modules
            for word in range(first, min(first + config.post_words, group_words))
        }
        for pixel in range(config.modules + 1)
        for first in starts
    ]
    alternate = all(one.isdisjoint(other) for one, other in itertools.pairwise(steps))
    return len(starts) * (1 if alternate else 2)


def _repeat(body: Callable[[_Clock], _Clock], count: int, clock: _Clock) -> _Clock:
    """``body`` applied ``count`` times.

    What two times do, they do again once the clock is the same but for the time: two, because the
    accumulation memory has two tiles.
    """
    before = [clock]
    while count > 0:
        clock, count = body(clock), count - 1
        if len(before) > 1:
            cycles = clock.drained - before[-2].drained
            if before[-2].later(cycles) == clock:
                clock, count = clock.later(count // 2 * cycles), count % 2
                before = []
        before.append(clock)
    return clock


def estimate_tiling(platform: Platform, layer: Convolution, tiling: Tiling) -> TilingEstimate:
    """What the tiles of a convolution, or of a stripe of it, cost."""
    words = layer.joined(tiling.links.neighbours).words
    shape = _Shape(layer.slices, words, layer.residual is not None)
    return _estimate(platform, shape, tiling)


@functools.cache
def _estimate(platform: Platform, shape: _Shape, tiling: Tiling) -> TilingEstimate:
    config = platform.config
    passes, channel_tiles = tiling.passes, tiling.channel_tiles
    group = config.modules >> tiling.links.split
    last_words = shape.words - (channel_tiles - 1) * group

    wide_row = platform.dram_cycles(config.modules * config.columns)
    parameters = wide_row * max(1, CHANNEL_PARAMETERS.itemsize >> tiling.links.split)
    loading = weight_cycles(platform)
    # From the entrance of the modules to a bank of the accumulation memory.
    depth = config.rows + config.columns + tiling.links.split

    def one(clock: _Clock, size: int, drain: int) -> _Clock:
        """One tile after another."""
        loaded = max(clock.loaded, clock.drained_before) + parameters + loading
        start = max(clock.entered, loaded)
        step = max(size, loading)
        entered = start + (passes - 1) * step + size
        if passes > 1:
            loaded = max(loaded, start + (passes - 2) * step) + loading
        drained = max(entered + depth, clock.drained) + size * drain
        return _Clock(loaded, entered, drained, clock.drained)

    def row(clock: _Clock, drain: int) -> _Clock:
        """All tiles of a channel tile."""
        clock = _repeat(lambda c: one(c, tiling.tile_pixels, drain), tiling.pixel_tiles - 1, clock)
        return one(clock, tiling.last_pixels, drain)

    drain = drain_cycles(config, group, shape.words, shape.residual)
    last_drain = drain_cycles(config, last_words, shape.words, shape.residual)
    clock = _repeat(lambda c: row(c, drain), channel_tiles - 1, _Clock(wide_row, 0, 0, 0))
    clock = row(clock, last_drain)

    tiles = channel_tiles * tiling.pixel_tiles
    work = {
        "conv": channel_tiles * passes * tiling.pixels,
        "weights": tiles * (parameters + passes * loading),
        "post": tiling.pixels * ((channel_tiles - 1) * drain + last_drain),
    }
    return TilingEstimate(
        entered=clock.entered,
        free=max(clock.entered, clock.drained_before),
        cycles=clock.drained,
        bound=max(work, key=lambda name: work[name]),
    )
