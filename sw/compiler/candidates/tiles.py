"""How the modules can be linked for a convolution, and the tiles that it can be cut into."""

from __future__ import annotations

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sw.compiler.choice import Links, Tiling
from sw.compiler.estimates import estimate_tiling
from sw.compiler.estimates.tiles import weight_cycles
from sw.compiler.layers import Convolution
from sw.compiler.platform import Platform

_LIMITS = {
    field.name: field.range[1]
    for opcode in (Opcode.CONV, Opcode.POST)
    for field in FORMATS[opcode].fields
}
_MAX_TILE, _MOST_WORDS = _LIMITS["tile_pixels"], _LIMITS["out_words"]
_LONGEST_STRIDE = _LIMITS["column_stride"]


def all_links(config: DnaConfig, layer: Convolution) -> list[Links]:
    """All that the modules can have to do with each other in ``layer``.

    No more neighbours than modules: with as many a tile has a whole number of modules for each
    word, and more would only make it shorter. Their columns must divide the output's.
    """
    width = layer.computed.width
    return [
        links
        for split in range(config.modules.bit_length())
        for neighbours in range(1, min(config.modules, width) + 1)
        if width % neighbours == 0
        and (layer.repeated is None or layer.repeated_columns % neighbours == 0)
        and neighbours * layer.computed.words <= _MOST_WORDS
        and neighbours * layer.window.column_stride <= _LONGEST_STRIDE
        and (links := Links(split, neighbours))
        and not _conflict(config, layer, links)
    ]


def _conflict(config: DnaConfig, layer: Convolution, links: Links) -> bool:
    """Whether two modules may want different words of one bank.

    The lanes of a pixel see consecutive words, those of its neighbour as many words later as the
    windows of the two are apart.
    """
    lanes, group = 1 << links.split, config.modules >> links.split
    words = layer.computed.words
    step = layer.window.column_stride * layer.seen.words
    for first in range(0, links.neighbours * words, group):
        last = min(first + group, links.neighbours * words) - 1
        seen = {
            (neighbour * step + lane) % config.modules
            for neighbour in range(first // words, last // words + 1)
            for lane in range(lanes)
        }
        if len(seen) < (last // words - first // words + 1) * lanes:
            return True
    return False


def tilings(platform: Platform, layer: Convolution, rows: int, links: Links) -> list[Tiling]:
    """Ways to cut ``rows`` output rows into tiles.

    As few tiles as can be, for each takes the weights from DRAM again. Tiles of equal size give
    every pass the longest time to load its weights; full tiles and a short last one leave less to
    drain at the end, and a last one that is as long as its weights take does not wait for them.
    """
    config = platform.config
    pixels = rows * layer.joined(links.neighbours).width
    depth = min(config.accumulation_depth, _MAX_TILE, pixels)
    fewest = -(-pixels // depth)
    equal = -(-pixels // fewest)
    sizes = {equal, depth}
    if fewest > 1:
        loaded = (pixels - weight_cycles(platform)) // (fewest - 1)
        sizes.add(min(depth, max(equal, loaded)))
    return [_tiling(config, layer, pixels, links, size) for size in sorted(sizes)]


def quickest_tiling(platform: Platform, layer: Convolution, rows: int, links: Links) -> Tiling:
    """The one of :func:`tilings` that is quickest by estimate."""
    candidates = tilings(platform, layer, rows, links)
    return min(candidates, key=lambda tiling: estimate_tiling(platform, layer, tiling).cycles)


def _tiling(config: DnaConfig, layer: Convolution, pixels: int, links: Links, size: int) -> Tiling:
    pixel_tiles = -(-pixels // size)
    words = layer.joined(links.neighbours).words
    return Tiling(
        links=links,
        passes=-(-layer.slices // (1 << links.split)),
        channel_tiles=-(-words // (config.modules >> links.split)),
        pixel_tiles=pixel_tiles,
        tile_pixels=size,
        last_pixels=pixels - (pixel_tiles - 1) * size,
    )
