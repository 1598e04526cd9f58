"""Maps in DRAM share places: only when neither is needed while the other is."""

import dataclasses
import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import compile_graph
from sw.compiler.emission.lifetimes import Places
from tests.support.graphs import random_image, random_resnet50, random_small_graph

NANO = PRESETS["nano"]


@pytest.mark.parametrize("seed", range(20))
def test_places_of_maps_that_live_at_once_do_not_overlap(seed):
    rng = np.random.default_rng(seed)
    places, taken = Places(16), []
    for _ in range(int(rng.integers(1, 30))):
        start = int(rng.integers(100))
        life = range(start, start + int(rng.integers(1, 40)))
        length = int(rng.integers(1, 100))
        taken.append((places.take(length, life), length, life))
    for (a, size, life), (b, other_size, other) in itertools.combinations(taken, 2):
        if set(life) & set(other):
            assert a + size <= b or b + other_size <= a
    assert places.length == max(offset + length for offset, length, _ in taken)
    assert all(offset % 16 == 0 for offset, *_ in taken)


def test_one_after_the_other_they_share_a_place():
    places = Places(8)
    assert [places.take(20, range(n, n + 1)) for n in range(5)] == [0] * 5
    assert [places.take(20, range(9)) for _ in range(3)] == [24, 48, 72]
    assert places.length == 92


@pytest.mark.parametrize("seed", range(6))
def test_whatever_order_the_engines_take_the_bits_are_right(seed):
    """Tokens know that a place is another map's now; the interpreter tries orders at random."""
    rng = np.random.default_rng(seed)
    graph = random_small_graph(rng, (48, 48, 3))
    program = compile_graph(graph, dataclasses.replace(NANO, feature_words=1024))
    maps = [table.dram for table in program.layers if table.dram is not None]
    spill = program.memory.spill
    inside = [one for one in maps if spill.offset <= one.offset < spill.end]
    assert inside and all(one.region.end <= spill.end for one in inside)
    image = random_image(rng, graph)
    expected = ReferenceModel(graph).run_all(image)
    for order in (None, *range(4)):
        found = interpret_program(program, image, expected, seed=order)
        assert found.logits == sum(layer.mismatches for layer in found.layers) == 0


def test_a_deep_network_needs_a_fraction_of_its_maps():
    graph = random_resnet50(np.random.default_rng(3), size=64, stride_in_3x3=True)
    program = compile_graph(graph, NANO)
    spill = program.memory.spill
    maps = [table.dram for table in program.layers if table.dram is not None]
    inside = [one for one in maps if spill.offset <= one.offset < spill.end]
    together = sum(one.region.length for one in inside)
    assert spill.length < 0.4 * together
