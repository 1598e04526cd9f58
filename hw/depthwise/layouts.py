"""What the blocks of DEPTHWISE tell each other."""

from __future__ import annotations

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hw.config import DEPTHWISE_SIDE
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL, DEPTHWISE_ROWS

BANDS = -(-DEPTHWISE_KERNEL // DEPTHWISE_SIDE)
"""Blocks of taps one below the other, or beside each other, in the largest window."""
BLOCKS = BANDS**2
COUNT = unsigned(16)
"""Rows in sequence, modulo: twice as many as an input has at most, so that a difference has a
sign."""
COLUMN_BITS = ceil_log2(DEPTHWISE_COLUMNS // DEPTHWISE_SIDE)


def line_place_layout() -> data.StructLayout:
    """A pixel of the line buffer.

    Members:
        row: unsigned, number of its row in sequence, modulo ``DEPTHWISE_ROWS``.
        column, third: unsigned, its column is 3 x ``column`` + ``third``.
    """
    return data.StructLayout(
        {
            "row": range(DEPTHWISE_ROWS),
            "column": COLUMN_BITS,
            "third": range(DEPTHWISE_SIDE),
        }
    )
