"""Payloads of the streams between blocks."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from hw.config import DnaConfig
from hw.microarchitecture import BIAS_BITS, SCALE_BITS


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


PARAMETER_LAYOUT = data.StructLayout({"bias": signed(BIAS_BITS), "scale": unsigned(SCALE_BITS)})
"""What requantization needs of one output channel: int32 bias and the bits of a float32 scale."""


def parameter_row_layout(config: DnaConfig) -> data.StructLayout:
    """A wide row of the parameters of a tile, or of the table of an instruction.

    Members:
        row: unsigned(8 x G x C), ``PARAMETER_LAYOUT`` of G x C / ``PARAMETER_BYTES`` channels,
            lowest channel first; or bytes of the table, lowest first.
        last: the row is the last of its tile, or of the table.
        table: it is of a table.
    """
    return data.StructLayout(
        {"row": unsigned(8 * config.modules * config.columns), "last": 1, "table": 1}
    )
