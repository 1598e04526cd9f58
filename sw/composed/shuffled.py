"""Channels as pixels between pixels: depth to space, pixel shuffle."""

from __future__ import annotations

import itertools

from sw.errors import DnaError
from sw.graph_builder import GraphBuilder


def depth_to_space(
    builder: GraphBuilder, name: str, x: str, factor: int, *, channels_first: bool
) -> str:
    """Add a map with ``factor`` times the rows and columns.

    Args:
        builder: to add it to.
        name, x: of the result and of a map.
        factor: in both directions; its square divides the channels.
        channels_first: whether the channels of a result's pixel are ``factor**2`` apart in ``x``,
            as pixel shuffle has it; else they are neighbours.

    Raises:
        DnaError: the channels do not fit.
    """
    channels = builder.tensor(x).shape[-1]
    if factor < 1 or channels % factor**2:
        raise DnaError(f"{name}: {channels} channels for {factor} x {factor} pixels")
    places, each = factor * factor, channels // factor**2
    if channels_first and 1 < each < channels:
        order = [c * places + place for place, c in itertools.product(range(places), range(each))]
        x = builder.selected(f"{name}.order", x, order)
    parts = [
        builder.slice_channels(f"{name}.{place}", x, place * each, each) for place in range(places)
    ]
    return builder.interleave(name, parts, (factor, factor))
