"""The tiles that a convolution, or a stripe of it, can be cut into, and the legal splits."""

from __future__ import annotations

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.choice import Tiling
from sw.compiler.estimates import estimate_tiling
from sw.compiler.estimates.tiles import weight_cycles
from sw.compiler.layers import Convolution
from sw.compiler.platform import Platform

_MAX_TILE = next(f.range[1] for f in FORMATS[Opcode.CONV].fields if f.name == "tile_pixels")


def splits(config: DnaConfig) -> range:
    """All legal values of ``split``."""
    return range(config.modules.bit_length())


def tilings(platform: Platform, layer: Convolution, pixels: int, split: int) -> list[Tiling]:
    """Ways to cut ``pixels`` output pixels into tiles with k = 2^split.

    As few tiles as can be, for each takes the weights from DRAM again. Tiles of equal size give
    every pass the longest time to load its weights; full tiles and a short last one leave less to
    drain at the end, and a last one that is as long as its weights take does not wait for them.
    """
    config = platform.config
    depth = min(config.accumulation_depth, _MAX_TILE, pixels)
    fewest = -(-pixels // depth)
    equal = -(-pixels // fewest)
    sizes = {equal, depth}
    if fewest > 1:
        loaded = (pixels - weight_cycles(platform)) // (fewest - 1)
        sizes.add(min(depth, max(equal, loaded)))
    return [_tiling(config, layer, pixels, split, size) for size in sorted(sizes)]


def quickest_tiling(platform: Platform, layer: Convolution, pixels: int, split: int) -> Tiling:
    """The one of :func:`tilings` that is quickest by estimate."""
    candidates = tilings(platform, layer, pixels, split)
    return min(candidates, key=lambda tiling: estimate_tiling(platform, layer, tiling).cycles)


def _tiling(config: DnaConfig, layer: Convolution, pixels: int, split: int, size: int) -> Tiling:
    pixel_tiles = -(-pixels // size)
    return Tiling(
        split=split,
        passes=-(-layer.slices // (1 << split)),
        channel_tiles=-(-layer.computed.words // (config.modules >> split)),
        pixel_tiles=pixel_tiles,
        tile_pixels=size,
        last_pixels=pixels - (pixel_tiles - 1) * size,
    )
