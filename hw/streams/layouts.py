"""Payloads of the streams between blocks."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data


def pixel_layout(channels: int, width: int) -> data.StructLayout:
    """One pixel of a pass, as it enters the systolic array and as it leaves it.

    A pass is a run of pixels that meet the same weights; the passes of one reduction (kernel taps
    x input channels) make up a tile.

    Members:
        data: signed(``width``) [``channels``].
        first: the pixel belongs to the first pass of its tile; set on every pixel of that pass.
        last: the pixel is the last one of its pass.
        final: the pixel belongs to the final pass of its tile; set on every pixel of that pass.
    """
    return data.StructLayout(
        {
            "data": data.ArrayLayout(signed(width), channels),
            "first": 1,
            "last": 1,
            "final": 1,
        }
    )


PARAMETER_LAYOUT = data.StructLayout({"bias": signed(32), "scale": unsigned(32)})
"""What requantization needs of one output channel: int32 bias and the bits of a float32 scale."""
