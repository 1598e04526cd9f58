"""Packed weights: the same sums as the window's, and no pair that saturates 16 bits."""

import numpy as np
import pytest

from sim.functional import packing
from sim.functional.isa import ISAS

SATURATING = [isa for isa in ISAS if isa.pairs_saturate]


def sums(products, window, flips):
    """int64 [block, lane] of a window int64 [dot product, 4]; checks every pair on the way."""
    blocks = len(products.first) - 1
    lanes = products.weights.shape[-2]
    total = np.zeros((blocks, lanes), np.int64)
    for block in range(blocks):
        for i in range(products.first[block], products.first[block + 1]):
            x = np.broadcast_to(window[products.place[i]], (lanes, packing.STEP))
            weights = products.weights[i]
            if flips:
                weights, mask = weights
                assert set(np.unique(mask)) <= {-1, 0}
                x = np.where(mask, 255 - x, x)
            total[block] += (x * weights).sum(axis=-1)
            pairs = weights.reshape(lanes, 2, 2).astype(int)
            assert (255 * pairs.clip(min=0).sum(-1)).max() <= 2**15 - 1
            assert (255 * pairs.clip(max=0).sum(-1)).min() >= -(2**15)
    return total


@pytest.mark.parametrize("isa", SATURATING, ids=lambda isa: isa.name)
@pytest.mark.parametrize("values", [[-128], [127], [-128, -127, 127], [64, 65, -64, -65], None])
@pytest.mark.parametrize("form", [(5, 1, 9), (40, 3, 21)])
def test_no_pair_saturates_and_nothing_is_lost(isa, values, form):
    rng = np.random.default_rng(len(values or []))
    weights = rng.choice(np.arange(-128, 128) if values is None else values, form).astype(np.int8)
    packed = packing.convolution(weights, isa)
    channels, rows, run = form
    steps = -(-run // packing.STEP)
    for x in (rng.integers(0, 256, (rows, run)), np.full((rows, run), 255)):
        window = np.zeros((rows, steps * packing.STEP), np.int64)
        window[:, :run] = x
        window = window.reshape(rows * steps, packing.STEP)
        got = packed.bias + sums(packed.plain, window, flips=False)
        got += sums(packed.flipped, window, flips=True)
        expected = packed.per_channel((weights.astype(np.int64) * x).sum(axis=(1, 2)))
        assert (got == expected).all()
    assert channels == len(weights)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_small_weights_are_left_as_they_are(isa):
    weights = np.random.default_rng(1).integers(-64, 65, (70, 2, 12)).astype(np.int8)
    packed = packing.convolution(weights, isa)
    assert packed.plain.weights.shape[0] == (len(packed.plain.first) - 1) * 2 * 3
    assert packed.flipped.weights.size == 0
    share = 128 * weights.astype(int).sum(axis=(1, 2)) if isa.signed else np.zeros(70, int)
    assert (packed.bias == packed.per_channel(share)).all()


def test_the_bits_of_small_sums_are_whole_numbers():
    sums = np.array([0, 1, 2**22 + 1, 2**23 - 1, 2**23 + 1, -1, -(2**30)])
    got = (packing.WHOLE_BITS + sums).astype(np.int32).view(np.float32) - np.float32(2**23)
    assert (got == sums).tolist() == [True] * 4 + [False] * 3
    assert (got[-2:] < 0).all()


def test_which_sums_are_rectified():
    weights = np.array([[3, -2, 0], [-1, -7, 1]], np.int8)
    highest, lowest = 255 * np.array([3, 1]), 255 * np.array([-2, -8])
    scale = np.ones(2, np.float32)
    for most, small in ((2**23 - 1, True), (2**23, False)):
        bias = np.array([most - highest[0], 0], np.int32)
        for multiplier in (scale, scale * np.float32(255.9)):
            found = packing.rectified(weights, bias, multiplier)
            assert (found is not None) == small
            if found:
                assert (found[0] == bias + packing.WHOLE_BITS).all()
                assert (found[1] == multiplier).all()
    bias = np.array([0, -packing.WHOLE_BITS - lowest[1] + 1], np.int32)
    assert packing.rectified(weights, bias, scale)
    assert not packing.rectified(weights, bias - np.int32(1), scale)
    assert not packing.rectified(weights, bias, scale * np.float32(256))


def test_channels_without_weights_are_their_results():
    weights = np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int8)
    bias = np.array([2**31 - 1, 11169961, -(2**31), 5], np.int32)
    multiplier = np.array([1, 3.3333333e-07, 0.5, 0.5], np.float32)
    found = packing.rectified(weights, bias, multiplier)
    assert (found[0] - packing.WHOLE_BITS).tolist() == [255, 4, 0, 5]
    assert found[1].tolist() == [1, 1, 1, 0.5]
