import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.choice import Links
from sw.compiler.estimates import estimate, estimate_tiling
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.platform import Platform
from tests.support.graphs import random_resnet50

GRAPH = random_resnet50(np.random.default_rng(0))
MICRO = PRESETS["micro"]


def candidates_of(bandwidth=1.0):
    return Candidates(Platform(MICRO, bandwidth), lower(GRAPH, MICRO))


@pytest.fixture
def candidates():
    return candidates_of()


def convolution(candidates, name="stage2.block2.conv2"):
    return next(layer for layer in candidates.layers if layer.name == name)


def test_one_stripe_in_feature_memory_costs_its_tiles(candidates):
    for layer in candidates.layers:
        if isinstance(layer, Convolution):
            (way,) = candidates.striped(layer, Links(), frozenset())
            tiles = estimate_tiling(candidates.platform, layer, way.choice.tilings[0])
            assert (way.estimate.cycles, way.estimate.bound) == (tiles.cycles, tiles.bound)


def test_a_second_stripe_enters_while_the_first_one_drains(candidates):
    layer = convolution(candidates)
    way = candidates.in_two(layer, Links(), layer.target.height // 2)
    first, second = (
        estimate_tiling(candidates.platform, layer, tiling) for tiling in way.choice.tilings
    )
    assert first.entered + second.cycles <= way.estimate.cycles < first.cycles + second.cycles


def test_two_slabs_hide_what_one_waits_for(candidates):
    layer = convolution(candidates)
    ways = candidates.striped(layer, Links(), layer.tensors)
    apart = {way.choice.stripes: way for way in ways if way.choice.buffers == 1}
    pairs = [(apart[way.choice.stripes], way) for way in ways if way.choice.buffers == 2]
    assert pairs
    for one, two in pairs:
        assert two.estimate.cycles < one.estimate.cycles
        assert two.slabs.words == 2 * one.slabs.words


def test_a_slow_memory_is_the_bound_of_what_passes_through():
    bounds = {}
    for bandwidth in (1.0, 0.01):
        candidates = candidates_of(bandwidth)
        mean = next(layer for layer in candidates.layers if layer.kind == "mean")
        quickest = candidates.striped(mean, Links(), mean.tensors)[0]
        bounds[bandwidth] = quickest.estimate.bound
    assert bounds == {1.0: "pool", 0.01: "load"}


def test_a_pool_beside_its_convolution_costs_what_is_left_of_it(candidates):
    conv, pool = candidates.layers[:2]
    before = candidates.striped(conv, Links(2), {conv.source.tensor})[0]
    beside = candidates.beside(pool, before)
    alone = candidates.striped(pool, Links(), frozenset())[0].estimate.cycles
    assert len(beside.choice.stripes) > 1
    assert 0 < beside.estimate.cycles < alone


def test_an_estimate_is_that_of_the_choice_alone(candidates):
    """The same choice costs the same, whoever asks, and the choice has no figures."""
    layer = convolution(candidates)
    for way in candidates.striped(layer, Links(), layer.tensors):
        assert estimate(candidates.platform, layer, way.choice, layer.tensors) == way.estimate
        assert not {"cycles", "bound"} & set(vars(way.choice))
