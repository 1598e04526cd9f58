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
        lanes: the channel of a block that each lane computes.
    """

    plain: Products
    flipped: Products
    bias: npt.NDArray[np.int32]
    lanes: npt.NDArray[np.int64]

    def per_channel(self, values: Array) -> Array:
        """Values [channels] as [block, lane], with zeros for channels that there are not."""
        padded = np.zeros(self.bias.size, values.dtype)
        padded[: len(values)] = values
        return padded.reshape(self.bias.shape)[:, self.lanes]


def _order(isa: Isa) -> npt.NDArray[np.int64]:
    """The channel of a block that each lane computes.

    ``joined`` puts two vectors together by groups of four lanes; this order undoes it.
    """
    pair = 2 * isa.lanes
    lanes = np.arange(pair).reshape(-1, 2, 4).transpose(1, 0, 2).ravel()
    return np.concatenate([start + lanes for start in range(0, isa.lanes * isa.vectors, pair)])


def _depthwise_order(isa: Isa) -> npt.NDArray[np.int64]:
    """The channel of a block of a depthwise convolution that each lane computes."""
    return np.arange(QUADS * isa.lanes).reshape(-1, QUADS, 4).transpose(1, 0, 2).ravel()


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

    Dot products follow along a kernel row, each row by itself.
    """
    channels, rows, run = weights.shape
    steps, lanes = -(-run // STEP), _order(isa)
    blocks = -(-channels // len(lanes))
    padded = np.zeros((blocks * len(lanes), rows, steps * STEP), np.int8)
    padded[:channels, :, :run] = weights
    packed = padded.reshape(blocks, len(lanes), rows * steps, STEP)
    return _split(packed[:, lanes].transpose(0, 2, 1, 3), lanes, isa)


def depthwise(weights: Int8, isa: Isa) -> Packed:
    """Weights int8 [channels, kernel rows, kernel columns].

    Dot products follow along the columns of the window, groups of four rows inside.
    """
    channels, rows, columns = weights.shape
    groups, lanes = -(-rows // STEP), _depthwise_order(isa)
    blocks = -(-channels // len(lanes))
    padded = np.zeros((blocks * len(lanes), groups * STEP, columns), np.int8)
    padded[:channels, :rows] = weights
    packed = padded.reshape(blocks, len(lanes), groups, STEP, columns)
    packed = packed[:, lanes].transpose(0, 4, 2, 1, 3)
    return _split(packed.reshape(blocks, columns * groups, len(lanes), STEP), lanes, isa)


def _split(packed: Int8, order: npt.NDArray[np.int64], isa: Isa) -> Packed:
    """Weights [block, dot product, lane, 4] as they are, or so that no pair saturates."""
    blocks, steps, lanes, _ = packed.shape
    every = np.ones((blocks, steps), bool)
    if not isa.pairs_saturate:
        nothing = _products(~every, np.zeros((0, 2, lanes, STEP), np.int8))
        plain = _products(every, packed.reshape(-1, lanes, STEP))
        bias = np.zeros((blocks, lanes), np.int32)
        if isa.signed:
            bias += 128 * packed.sum(axis=(1, 3), dtype=np.int32)
        return Packed(plain, nothing, bias, order)
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
        order,
    )


def _products(chosen: npt.NDArray[np.bool_], weights: Int8, of_each: int = 1) -> Products:
    """Those of [block, dot product] that are chosen, so many for each place of the window."""
    block, number = np.nonzero(chosen)
    first = np.searchsorted(block, np.arange(len(chosen) + 1)).astype(np.int32)
    return Products(first, (number // of_each).astype(np.int32), weights)
