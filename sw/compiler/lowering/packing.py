"""Packed windows: LOAD does the horizontal half of a convolution over an image.

A convolution that reads the network's input, when that has fewer channels than a feature word, gets
each row of its kernel as one packed window. A window that leaves its feature words room reaches on
to the next output columns, whose channels become further ones of the same pixel (their weights are
zero but for their part of the window). In feature memory the neighbours' pixels follow each other
without gaps, so the result is the same.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.config import DnaConfig
from sw.compiler.layers import Array, Packing, Plane, Window
from sw.compiler.lowering.context import LIMITS


@dataclasses.dataclass(frozen=True)
class Packed:
    """A convolution whose kernel rows LOAD packs: what it sees then."""

    source: Plane
    window: Window
    packing: Packing


def pack(
    config: DnaConfig, source: Plane, window: Window, target: Plane, *, several: bool = True
) -> Packed | None:
    """Pack the windows of a convolution; None if LOAD cannot, or it would gain nothing.

    Args:
        several: a window may serve several output columns.
    """
    packing = Packing(
        window_bytes=window.kernel_width * source.channels,
        window_step=window.column_stride * source.channels,
        window_lead=window.pad_left * source.channels,
    )
    if target.width == 1:  # there is no next window
        packing = dataclasses.replace(packing, window_step=packing.window_bytes)
    if (
        window.kernel_width == 1
        or packing.window_lead > LIMITS["window_lead"]
        or packing.window_bytes > packing.window_step + config.load_overlap_bytes
    ):
        return None
    words = -(-packing.window_bytes // config.rows)
    columns = _columns(config, packing, words * config.rows, target) if several else 1
    packing = Packing(
        window_bytes=packing.window_bytes + (columns - 1) * packing.window_step,
        window_step=columns * packing.window_step,
        window_lead=packing.window_lead,
        columns=columns,
    )
    packed = Plane(
        source.tensor, source.height, target.width // columns, packing.window_bytes, words
    )
    narrow = dataclasses.replace(window, kernel_width=1, column_stride=1, pad_left=0)
    return Packed(packed, narrow, packing)


def _columns(config: DnaConfig, packing: Packing, room: int, target: Plane) -> int:
    """How many output columns can share a window of at most ``room`` bytes.

    At least one tile stays full: shorter ones, for more channels, would not hide how long the
    weights of a pass take.
    """
    most = 1 + (room - packing.window_bytes) // packing.window_step
    most = min(
        most,
        target.height * target.width // config.accumulation_depth,
        LIMITS["out_words"] // target.words,
    )
    return max((n for n in range(2, most + 1) if target.width % n == 0), default=1)


def packed_weights(weights: Array, packing: Packing, channels: int) -> Array:
    """The weights [out, height, width, in] of a packed convolution.

    Args:
        channels: of each output column, those that fill its last feature word included.

    Returns:
        int8 [out of all columns, height, 1, bytes of a window]: once for each column that a window
        serves, where its part of the window is.
    """
    outputs, height = weights.shape[:2]
    rows = weights.reshape(outputs, height, 1, -1)
    if packing.columns == 1:
        return rows
    repeated = np.zeros((packing.columns, channels, height, 1, packing.window_bytes), np.int8)
    for column, its_weights in enumerate(repeated):
        start = column * (packing.window_step // packing.columns)
        its_weights[:outputs, ..., start : start + rows.shape[-1]] = rows
    return repeated.reshape(-1, height, 1, packing.window_bytes)


def packed_parameters(values: Array, packing: Packing, channels: int) -> Array:
    """What each channel has [out], once for each column, as :func:`packed_weights`."""
    if packing.columns == 1:
        return values
    return np.tile(np.pad(values, (0, channels - len(values))), packing.columns)
