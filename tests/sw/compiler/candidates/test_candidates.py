import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.candidates.slabs import extent, pitch
from sw.compiler.choice import Links
from sw.compiler.layers import Convolution, Copy, MaxPool, MeanPool, Plane
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from tests.support.graphs import random_resnet50
from tests.support.programs import random_config, random_network


def candidates_of(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    return Candidates(Platform(config), lower(random_network(rng), config))


@pytest.mark.parametrize("seed", range(15))
def test_stripes_cover_the_output_and_see_their_windows(seed):
    candidates = candidates_of(seed)
    for layer in candidates.layers:
        for way in candidates.striped(layer, Links(), layer.tensors):
            stripes = way.choice.stripes
            if isinstance(layer, MeanPool):
                words = [w for s in stripes for w in range(s.first_word, s.first_word + s.words)]
                assert words == list(range(layer.source.words))
                continue
            rows = [row for s in stripes for row in range(s.row, s.row + s.rows)]
            assert rows == list(range(layer.target.height))
            if isinstance(layer, Copy) and layer.whole:  # rows go to any others
                assert len(stripes) == 1
                continue
            for s in stripes:
                assert s.in_row >= 0 and s.in_row + s.in_rows <= layer.source.height
                assert s.in_rows >= 1
                if isinstance(layer, Copy):  # a pixel of the source is there several times
                    first, last = (n // layer.repeat[0] for n in (s.row, s.row + s.rows - 1))
                    assert (s.in_row, s.in_rows) == (first, last - first + 1)
                    continue
                for row in range(s.row, s.row + s.rows):
                    top = row * layer.window.row_stride - layer.window.pad_top
                    seen = range(top, top + layer.window.kernel_height)
                    inside = [y for y in seen if 0 <= y < layer.source.height]
                    assert all(s.in_row <= y < s.in_row + s.in_rows for y in inside)
                    # The instruction counts rows from the stripe's own first ones.
                    local = (row - s.row) * layer.window.row_stride - s.pad_top
                    assert local + s.in_row == top


@pytest.mark.parametrize("seed", range(5))
def test_the_quickest_comes_first(seed):
    candidates = candidates_of(seed)
    for layer in candidates.layers:
        ways = candidates.striped(layer, Links(), layer.tensors)
        cycles = [way.estimate.cycles for way in ways]
        assert cycles == sorted(cycles)


def test_a_layer_in_feature_memory_is_one_stripe():
    candidates = candidates_of(0)
    for layer in candidates.layers:
        (only,) = candidates.striped(layer, Links(), frozenset())
        assert len(only.choice.stripes) == 1
        assert only.slabs.words == 0


def test_the_smallest_way_is_one_row_at_a_time():
    config = PRESETS["nano"]
    layers = lower(random_resnet50(np.random.default_rng(0), 64), config)
    conv = next(layer for layer in layers if layer.name == "stage1.block1.conv2")
    source = 3 * conv.source.row_words
    assert (
        Candidates(Platform(config), layers).smallest(conv, Links())
        == source + conv.target.row_words
    )


@pytest.mark.parametrize(("residue", "expected"), [(None, 10), (2, 10), (3, 11), (1, 13)])
def test_pitch_is_the_smallest_that_the_rule_allows(residue, expected):
    plane = Plane("x", 4, 5, 16, 2)
    assert pitch(PRESETS["micro"], plane, residue) == expected
    assert extent(3, 10, expected) == 2 * expected + 10


@pytest.mark.parametrize("seed", range(60))
def test_a_pool_follows_as_soon_as_its_rows_are_there(seed):
    candidates = candidates_of(seed)
    for before, layer in itertools.pairwise(candidates.layers):
        if not (isinstance(layer, MaxPool) and isinstance(before, Convolution)):
            continue
        if layer.source.tensor != before.target.tensor:
            continue
        for way in candidates.striped(before, Links(), {before.source.tensor}):
            beside = candidates.beside(layer, way)
            if beside is None:
                assert len(way.choice.stripes) == 1
                continue
            stripes, after = beside.choice.stripes, beside.choice.after
            assert list(after) == sorted(after)
            rows = [row for s in stripes for row in range(s.row, s.row + s.rows)]
            assert rows == list(range(layer.target.height))
            if isinstance(layer, Copy) and layer.whole:  # rows go to any others
                assert len(stripes) == 1
                continue
            for stripe, number in zip(stripes, after, strict=True):
                ready = way.choice.stripes[number]
                assert stripe.in_row + stripe.in_rows <= ready.row + ready.rows
