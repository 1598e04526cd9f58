"""What the modules have to do with each other, for every convolution."""

from __future__ import annotations

from sw.compiler.candidates import Candidates
from sw.compiler.candidates.slabs import needs_pitch, pitch_residue
from sw.compiler.choice import Links
from sw.compiler.estimates import estimate_tiling
from sw.compiler.layers import Convolution

_LEAST_GAIN = 0.02
"""Part of the cycles."""


def choose_links(candidates: Candidates) -> dict[int, Links]:
    """The links of every convolution, by layer number.

    Each gets the quickest by estimate, the smallest of equals; neighbours where they win something,
    since a layer that is cut into stripes has short tiles, and theirs are shorter. Where two layers
    would want different pitches of the tensor that both read, the demand is met that saves more.
    """
    platform, config = candidates.platform, candidates.platform.config
    layers = [layer for layer in candidates.layers if isinstance(layer, Convolution)]
    costs = {
        layer.number: [
            (
                estimate_tiling(platform, layer, tiling).cycles
                * (1 + _LEAST_GAIN * (tiling.links.neighbours > 1)),
                tiling.links,
            )
            for tiling in candidates.linked(layer)
        ]
        for layer in layers
    }

    def best(layer: Convolution, residue: int | None) -> tuple[float, Links]:
        """Cycles and links, if the source's pitch has this residue."""
        free = residue is None or pitch_residue(config, layer) == residue
        return min(
            (cycles, links)
            for cycles, links in costs[layer.number]
            if free or not needs_pitch(layer, links)
        )

    readers: dict[str, list[Convolution]] = {}
    chosen: dict[int, Links] = {}
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
