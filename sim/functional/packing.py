"""Weights in the order in which the kernels' dot products read them.

A dot product adds four products of bytes, unsigned by signed, to each lane of a vector. Where it
adds two of them in 16 bits first (AVX2: ``vpmaddubsw``), 255 times the positive weights of a pair
must not exceed 32767, nor the negative ones -32768: neither may add up to more than 128. A pair
that does has two weights of one sign. For such a pair one activation ``x`` is replaced by
``255 - x`` (all its bits flipped) and its weight ``w`` by ``-w``; ``255 * w`` goes to the bias. The
products then have two signs and cannot saturate. -128 has no opposite, so a pair of two of it
is divided over two dot products.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.functional.isa import Isa

Array = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]

STEP = 4
"""Products that one lane of a dot product adds."""

QUADS = 4  # kQuads: vectors of sums of a block of a depthwise convolution
PAIR_LIMIT = 128
LOWEST = -128
HIGHEST = 255  # of an activation
WHOLE = 2**23  # from here on a float32 is a whole number
WHOLE_BITS = int(np.float32(WHOLE).view(np.int32))


@dataclasses.dataclass(frozen=True)
class Products:
    """Dot products of all blocks, one block after the other.

    Attributes:
        first: int32 [blocks + 1], where those of each block begin.
        place: int32 [products], which one of the window of its block each is.
        weights: int8 [products, lanes of a block, 4]; of flipped ones [products, 2, ...], the
            second half -1 where all bits of the activation are flipped, else 0.
    """

    first: npt.NDArray[np.int32]
    place: npt.NDArray[np.int32]
    weights: Int8


@dataclasses.dataclass(frozen=True)
class Packed:
    """Weights of one convolution.

    Attributes:
        plain: with the activations as they are.
        flipped: with some activations flipped.
        bias: int32 [block, lane], what the instruction set adds to the bias: what flipping leaves
            out, or 128 times the sum of the weights if it takes activations less 128.
        channel: int64 [block, lane], what each lane computes; behind the last one is nothing.
    """

    plain: Products
    flipped: Products
    bias: npt.NDArray[np.int32]
    channel: npt.NDArray[np.int64]

    def per_channel(self, values: Array) -> Array:
        """Values [channels] as [block, lane], with zeros for channels that there are not."""
        padded = np.zeros(self.bias.size, values.dtype)
        padded[: len(values)] = values
        return padded[self.channel]


def _order(vectors: int, together: int, isa: Isa) -> npt.NDArray[np.int64]:
    """The channel that each lane of so many vectors computes.

    ``joined`` puts two of them together by groups of four lanes, ``joined_bytes`` then two of its
    results if four are to be ``together``; this order undoes it.
    """
    size = together * isa.lanes
    lanes = np.arange(size).reshape(-1, together, 4).transpose(1, 0, 2).ravel()
    return np.concatenate([start + lanes for start in range(0, vectors * isa.lanes, size)])


def rectified(
    weights: Int8, bias: npt.NDArray[np.int32], multiplier: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]] | None:
    """Bias and multiplier with which sums are bits of a float32, if a ReLU behind them allows it.

    The bias has :data:`WHOLE_BITS` on it. A sum is then the float32 ``WHOLE + sum``, or if it is
    negative a positive one below ``WHOLE``, and no result is too large for int32.

    Args:
        weights: int8 [channels, ...].
        bias: [channels], what sums of unsigned activations begin with.
        multiplier: [channels].

    Returns:
        None if sums or multipliers may be too large.
    """
    products = HIGHEST * weights.reshape(len(weights), -1).astype(np.int64)
    # Training leaves channels without weights, and large biases there: such a sum is its result.
    dead = ~products.any(axis=1)
    result = np.rint(bias.astype(np.float32) * multiplier).clip(0, HIGHEST)
    bias = np.where(dead, result, bias).astype(np.int32)
    multiplier = np.where(dead, np.float32(1), multiplier)
    highest = bias + products.clip(min=0).sum(axis=1)
    lowest = bias + products.clip(max=0).sum(axis=1)
    if highest.max() >= WHOLE or lowest.min() <= -WHOLE_BITS or multiplier.max() * WHOLE >= 2**31:
        return None
    return bias + np.int32(WHOLE_BITS), multiplier


def offset(products: Products, weights: Int8, row: int) -> npt.NDArray[np.int32]:
    """Bytes from the first pixel of a window to what each dot product takes.

    Args:
        products: of a convolution.
        weights: int8 [channels, kernel rows, kernel width * input channels].
        row: bytes from one row of the map to the next.
    """
    y, step = np.divmod(products.place, -(-weights.shape[2] // STEP))
    return np.asarray(y * row + step * STEP, np.int32)


def convolution(weights: Int8, isa: Isa) -> Packed:
    """Weights int8 [channels, kernel rows, kernel width * input channels].

    Dot products follow along a kernel row, each row by itself. The last block is one vector if its
    channels are no more.
    """
    channels, rows, run = weights.shape
    steps, size = -(-run // STEP), isa.vectors * isa.lanes
    blocks = -(-channels // size)
    padded = np.zeros((blocks * size, rows, steps * STEP), np.int8)
    padded[:channels, :, :run] = weights
    channel = np.arange(blocks)[:, None] * size + _order(isa.vectors, 2, isa)
    if channels - (blocks - 1) * size <= isa.lanes:
        channel[-1] = (blocks - 1) * size + np.arange(size)
    packed = padded.reshape(-1, rows * steps, STEP)[channel]
    return _split(packed.transpose(0, 2, 1, 3), channel, isa)


def depthwise(weights: Int8, isa: Isa) -> Packed:
    """Weights int8 [channels, kernel rows, kernel columns].

    Dot products follow along the columns of the window, groups of four rows inside. The last block
    is half a one if its channels are no more.
    """
    channels, rows, columns = weights.shape
    groups, size = -(-rows // STEP), QUADS * isa.lanes
    blocks = -(-channels // size)
    padded = np.zeros((blocks * size, groups * STEP, columns), np.int8)
    padded[:channels, :rows] = weights
    channel = np.arange(blocks)[:, None] * size + _order(QUADS, QUADS, isa)
    if 2 * (blocks * size - channels) >= size:
        channel[-1] = (blocks - 1) * size + _order(QUADS, 2, isa)
    packed = padded.reshape(-1, groups, STEP, columns)[channel].transpose(0, 4, 2, 1, 3)
    return _split(packed.reshape(blocks, columns * groups, size, STEP), channel, isa)


def _split(packed: Int8, channel: npt.NDArray[np.int64], isa: Isa) -> Packed:
    """Weights [block, dot product, lane, 4] as they are, or so that no pair saturates."""
    blocks, steps, lanes, _ = packed.shape
    every = np.ones((blocks, steps), bool)
    if not isa.pairs_saturate:
        nothing = _products(~every, np.zeros((0, 2, lanes, STEP), np.int8))
        plain = _products(every, packed.reshape(-1, lanes, STEP))
        bias = np.zeros((blocks, lanes), np.int32)
        if isa.signed:
            bias += 128 * packed.sum(axis=(1, 3), dtype=np.int32)
        return Packed(plain, nothing, bias, channel)
    pairs = packed.reshape(blocks, steps, lanes, STEP // 2, 2).astype(np.int16)
    half = np.where((pairs == LOWEST).all(axis=-1, keepdims=True), pairs // 2, 0)
    pairs -= half
    large = np.abs(pairs.clip(min=0).sum(-1) - pairs.clip(max=0).sum(-1)) > PAIR_LIMIT
    large &= (pairs[..., 0] > 0) == (pairs[..., 1] > 0)
    flip = np.stack([large & (pairs[..., 0] > LOWEST), large & (pairs[..., 0] == LOWEST)], axis=-1)
    bias = 255 * np.where(flip, pairs, 0).sum(axis=(1, 3, 4), dtype=np.int32)
    shape = packed.shape
    weights = np.where(flip, -pairs, pairs).astype(np.int8).reshape(shape)
    flipped = np.asarray(flip.any(axis=(2, 3, 4)))
    masks = -flip.astype(np.int8).reshape(shape)
    halves = half.astype(np.int8).reshape(shape)
    # A dot product of halves is beside the one that has the others: twice as many, all in order.
    chosen = np.stack([~flipped, halves.any(axis=(2, 3))], axis=2)
    both = np.stack([weights, halves], axis=2)[chosen]
    return Packed(
        _products(chosen.reshape(blocks, 2 * steps), both, of_each=2),
        _products(flipped, np.stack([weights[flipped], masks[flipped]], axis=1)),
        bias,
        channel,
    )


def _products(chosen: npt.NDArray[np.bool_], weights: Int8, of_each: int = 1) -> Products:
    """Those of [block, dot product] that are chosen, so many for each place of the window."""
    block, number = np.nonzero(chosen)
    first = np.searchsorted(block, np.arange(len(chosen) + 1)).astype(np.int32)
    return Products(first, (number // of_each).astype(np.int32), weights)
