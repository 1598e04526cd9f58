"""How a convolution is cut into tiles, and how many modules share a reduction.

The estimate here ranks choices; it is the arithmetic of docs/machine.md without chance: a pass
costs its pixels or the time to load the next weights, whichever is longer, and a tile drains while
the next one accumulates.
"""

from __future__ import annotations

import dataclasses

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.lowering import Convolution

_MAX_TILE = next(f.range[1] for f in FORMATS[Opcode.CONV].fields if f.name == "tile_pixels")


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The loop nest of one CONV and its POST.

    Attributes:
        split: log2 of k.
        passes: rounds of k K-slices.
        channel_tiles, pixel_tiles, tile_pixels, last_pixels: as in the instruction.
        cycles: estimated, all tiles with the last one drained.
        bound: what takes most of it: macs, weights or post.
    """

    split: int
    passes: int
    channel_tiles: int
    pixel_tiles: int
    tile_pixels: int
    last_pixels: int
    cycles: int
    bound: str


def weight_cycles(config: DnaConfig) -> int:
    """Cycles in which the weights of one pass arrive, at the memory's full speed."""
    return config.rows * config.modules * config.columns // config.dram_bytes_per_cycle


def _tiled(config: DnaConfig, layer: Convolution, pixels: int, split: int, tile: int) -> Tiling:
    words = layer.target.words
    group = config.modules >> split
    passes = -(-layer.slices // (1 << split))
    channel_tiles = -(-words // group)
    pixel_tiles = -(-pixels // tile)
    last_pixels = pixels - (pixel_tiles - 1) * tile

    macs = weights = post = total = 0
    last_words = words - (channel_tiles - 1) * group
    last_drain = 0
    for tile_words, channel_count in ((group, channel_tiles - 1), (last_words, 1)):
        for tile_pixels, pixel_count in ((tile, pixel_tiles - 1), (last_pixels, 1)):
            count = channel_count * pixel_count
            last_drain = tile_pixels * -(-tile_words // config.post_words)
            loading = passes * weight_cycles(config)
            macs += count * passes * tile_pixels
            weights += count * loading
            post += count * last_drain
            total += count * max(passes * tile_pixels, loading, last_drain)
    # The pipeline fills once, and what the last tile holds drains when nothing is left to overlap.
    total += config.rows + config.columns + last_drain
    bound = max(("macs", macs), ("weights", weights), ("post", post), key=lambda pair: pair[1])[0]
    return Tiling(split, passes, channel_tiles, pixel_tiles, tile, last_pixels, total, bound)


def tile(config: DnaConfig, layer: Convolution, pixels: int, split: int) -> Tiling:
    """The best tiles for ``pixels`` output pixels with k = 2^split.

    Tiles of equal size give every pass the longest time to load its weights; full tiles and a short
    last one leave less to drain at the end. Whichever is estimated to be quicker.
    """
    depth = min(config.accumulation_depth, _MAX_TILE, pixels)
    equal = -(-pixels // -(-pixels // depth))
    candidates = [_tiled(config, layer, pixels, split, size) for size in (equal, depth)]
    return min(candidates, key=lambda tiling: tiling.cycles)


def splits(config: DnaConfig) -> range:
    """All legal values of ``split``."""
    return range(config.modules.bit_length())


def needs_pitch(layer: Convolution, split: int) -> bool:
    """Whether the pitch rule applies: K-slices of different rows may be read together."""
    return split > 0 and layer.window.kernel_height > 1


def pitch_residue(config: DnaConfig, layer: Convolution) -> int:
    """What the source's pitch must be modulo G where the pitch rule applies."""
    return layer.window.kernel_width * layer.source.words % config.modules


def choose_splits(config: DnaConfig, layers: list[Convolution]) -> dict[int, int]:
    """The split of every convolution, by layer number.

    Each gets the quickest by estimate, the smallest of equals. Where two layers would want
    different pitches of the tensor that both read, the demand is met that saves more.
    """
    costs = {
        layer.number: [
            tile(config, layer, layer.target.height * layer.target.width, split).cycles
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
        residues = sorted({pitch_residue(config, layer) for layer in group})
        residue = min(residues, key=lambda r: sum(best(layer, r)[0] for layer in group))
        for layer in group:
            chosen[layer.number] = best(layer, residue)[1]
    return chosen
