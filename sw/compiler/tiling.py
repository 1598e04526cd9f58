"""How a convolution is cut into tiles, and how many modules share a reduction.

The estimate here ranks choices. It follows the rules of docs/machine.md tile by tile: a pass costs
its pixels or the time in which the next weights arrive, whichever is longer; a tile drains when it
is full, while the next one accumulates; and the parameters of a tile, with its weights behind
them, come when the tile before the last one has drained.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.lowering import Convolution
from sw.compiler.machine import Machine
from sw.compiler.weight_stream import CHANNEL_PARAMETERS

_MAX_TILE = next(f.range[1] for f in FORMATS[Opcode.CONV].fields if f.name == "tile_pixels")


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The loop nest of one CONV and its POST.

    Attributes:
        split: log2 of k.
        passes: rounds of k K-slices.
        channel_tiles, pixel_tiles, tile_pixels, last_pixels: as in the instruction.
        entered: estimated, until the last pixel is in the modules and the next CONV can begin.
        cycles: estimated, all tiles with the last one drained.
        bound: what takes most of it: macs, weights or post.
    """

    split: int
    passes: int
    channel_tiles: int
    pixel_tiles: int
    tile_pixels: int
    last_pixels: int
    entered: int
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


def weight_cycles(machine: Machine) -> int:
    """Cycles in which the weights of one pass arrive."""
    config = machine.config
    return machine.dram_cycles(config.rows * config.modules * config.columns)


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


@functools.cache
def _tiled(machine: Machine, shape: _Shape, pixels: int, split: int, tile: int) -> Tiling:
    config = machine.config
    group = config.modules >> split
    passes = -(-shape.slices // (1 << split))
    channel_tiles = -(-shape.words // group)
    pixel_tiles = -(-pixels // tile)
    last_pixels = pixels - (pixel_tiles - 1) * tile
    last_words = shape.words - (channel_tiles - 1) * group

    wide_row = machine.dram_cycles(config.modules * config.columns)
    parameters = wide_row * max(1, CHANNEL_PARAMETERS.itemsize >> split)
    loading = weight_cycles(machine)
    # From the entrance of the modules to a bank of the accumulation memory.
    depth = config.rows + config.columns + split

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

    def row(clock: _Clock, words: int) -> _Clock:
        """All tiles of a channel tile."""
        drain = drain_cycles(config, words, shape.words, shape.residual)
        clock = _repeat(lambda c: one(c, tile, drain), pixel_tiles - 1, clock)
        return one(clock, last_pixels, drain)

    clock = _repeat(lambda c: row(c, group), channel_tiles - 1, _Clock(wide_row, 0, 0, 0))
    clock = row(clock, last_words)

    tiles = channel_tiles * pixel_tiles
    work = {
        "macs": channel_tiles * passes * pixels,
        "weights": tiles * (parameters + passes * loading),
        "post": pixels
        * (
            (channel_tiles - 1) * drain_cycles(config, group, shape.words, shape.residual)
            + drain_cycles(config, last_words, shape.words, shape.residual)
        ),
    }
    bound = max(work, key=lambda name: work[name])
    return Tiling(
        split=split,
        passes=passes,
        channel_tiles=channel_tiles,
        pixel_tiles=pixel_tiles,
        tile_pixels=tile,
        last_pixels=last_pixels,
        entered=clock.entered,
        cycles=clock.drained,
        bound=bound,
    )


def tile(machine: Machine, layer: Convolution, pixels: int, split: int) -> Tiling:
    """The best tiles for ``pixels`` output pixels with k = 2^split.

    As few as can be, for each tile takes the weights from DRAM again. Tiles of equal size give
    every pass the longest time to load its weights; full tiles and a short last one leave less to
    drain at the end, and a last one that is as long as its weights take does not wait for them.
    Whichever is estimated to be quickest.
    """
    depth = min(machine.config.accumulation_depth, _MAX_TILE, pixels)
    fewest = -(-pixels // depth)
    equal = -(-pixels // fewest)
    sizes = {equal, depth}
    if fewest > 1:
        loaded = (pixels - weight_cycles(machine)) // (fewest - 1)
        sizes.add(min(depth, max(equal, loaded)))
    shape = _Shape(layer.slices, layer.computed.words, layer.residual is not None)
    candidates = [_tiled(machine, shape, pixels, split, size) for size in sorted(sizes)]
    return min(candidates, key=lambda tiling: tiling.cycles)


def splits(config: DnaConfig) -> range:
    """All legal values of ``split``."""
    return range(config.modules.bit_length())


def needs_pitch(layer: Convolution, split: int) -> bool:
    """Whether the pitch of the source matters.

    By the pitch rule it does where K-slices of different rows may be read together; and a map that
    is read as one flat pixel has no gaps between its rows.
    """
    return layer.stored is not None or (split > 0 and layer.window.kernel_height > 1)


def pitch_residue(config: DnaConfig, layer: Convolution) -> int:
    """What the source's pitch must be modulo G where it matters."""
    if layer.stored is not None:
        return layer.stored.row_words % config.modules
    return layer.window.kernel_width * layer.source.words % config.modules


def choose_splits(machine: Machine, layers: list[Convolution]) -> dict[int, int]:
    """The split of every convolution, by layer number.

    Each gets the quickest by estimate, the smallest of equals. Where two layers would want
    different pitches of the tensor that both read, the demand is met that saves more.
    """
    config = machine.config
    costs = {
        layer.number: [
            tile(machine, layer, layer.computed.height * layer.computed.width, split).cycles
            for split in splits(config)
        ]
        for layer in layers
    }

    def best(layer: Convolution, residue: int | None) -> tuple[int, int]:
        """Cycles and split, if the source's pitch has this residue."""
        free = residue is None or pitch_residue(config, layer) == residue
        return min(
            (cycles, split)
            for split, cycles in enumerate(costs[layer.number])
            if free or not needs_pitch(layer, split)
        )

    readers: dict[str, list[Convolution]] = {}
    chosen = {}
    for layer in layers:
        if layer.packing is not None:  # has its source for itself
            chosen[layer.number] = best(layer, None)[1]
        else:
            readers.setdefault(layer.source.tensor, []).append(layer)
    for group in readers.values():
        flat = [layer for layer in group if layer.stored is not None]
        residues = sorted({pitch_residue(config, layer) for layer in flat or group})
        residue = min(residues, key=lambda r: sum(best(layer, r)[0] for layer in group))
        for layer in group:
            chosen[layer.number] = best(layer, residue)[1]
    return chosen
