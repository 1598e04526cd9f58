import dataclasses
import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from sw.compiler.candidates import Candidates
from sw.compiler.candidates.slabs import extent, needs_pitch, pitch_residue
from sw.compiler.layers import Convolution, MaxPool
from sw.compiler.lowering import lower
from sw.compiler.placement import place
from sw.compiler.platform import Platform
from sw.compiler.selection.links import choose_links
from sw.errors import DnaError
from tests.support.graphs import random_resnet50
from tests.support.programs import least_feature_words, random_config, random_network


def plan_graph(graph, config):
    candidates = Candidates(Platform(config), lower(graph, config))
    return place(candidates, choose_links(candidates), (graph.input, graph.output))


def live_words(plans):
    """For each layer: what it or a later layer still needs, as (who, first word, last word + 1)."""
    last = {name: p.layer.number for p in plans for name in p.layer.tensors}
    whole = {}
    for p in plans:
        here = []
        if p.target is not None:
            plane, place = p.layer.target, p.target
            end = place.base + extent(plane.height, plane.row_words, place.pitch)
            whole[plane.tensor] = (plane.tensor, place.base, end)
        for kind, slabs, size in (
            ("source", p.source_slabs, p.way.slabs.source),
            ("target", p.target_slabs, p.way.slabs.target),
        ):
            here += [(f"{kind} slab {n}", s.base, s.base + size) for n, s in enumerate(slabs)]
        here += [whole[name] for name in whole if last[name] >= p.layer.number]
        yield p, here


def check(plans, config):
    for p, here in live_words(plans):
        replaced = p.layer.residual.plane.tensor if getattr(p.layer, "residual", None) else None
        for _, first, end in here:
            assert 0 <= first < end <= config.feature_words
        for a, b in itertools.combinations(here, 2):
            if {a[0], b[0]} == {replaced, p.layer.target.tensor}:
                continue  # the sum may take the place of an operand
            assert a[2] <= b[1] or b[2] <= a[1], (p.layer.name, a, b)
        if isinstance(p.layer, Convolution) and needs_pitch(p.layer, p.choice.tilings[0].links):
            sources = [p.source] if p.source is not None else p.source_slabs
            for source in sources:
                assert source.pitch % config.modules == pitch_residue(config, p.layer)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_is_needed_is_overwritten(seed):
    rng = np.random.default_rng(seed)
    config, graph = random_config(rng), random_network(rng)
    least = least_feature_words(graph, config)
    if least is not None:
        config = dataclasses.replace(config, feature_words=least)
    check(plan_graph(graph, config), config)


@pytest.mark.parametrize("name", ["nano", "micro", "f100"])
def test_resnet50(name):
    config = PRESETS[name]
    graph = random_resnet50(np.random.default_rng(0), 64 if name == "nano" else 224)
    plans = plan_graph(graph, config)
    check(plans, config)
    spilled = [p for p in plans[:-1] if p.target is None]
    assert bool(spilled) == (name == "nano")


def test_a_sum_takes_the_place_of_its_operand():
    plans = plan_graph(random_resnet50(np.random.default_rng(0)), PRESETS["micro"])
    block = next(p for p in plans if p.layer.name.startswith("stage2.block3.conv3"))
    assert block.target == block.residual


def test_the_refusal_names_the_smallest_memory_that_is_enough():
    rng = np.random.default_rng(11)
    graph = random_resnet50(rng, 224)
    config = PRESETS["nano"]
    with pytest.raises(DnaError, match="needs feature_words of at least 8192") as refusal:
        plan_graph(graph, config)
    assert "needs 7168 feature words for one output row; configuration nano has 4096" in str(
        refusal.value
    )
    enough = dataclasses.replace(config, feature_words=8192)
    check(plan_graph(graph, enough), enough)


def test_where_there_is_room_nothing_is_written_over_what_the_layer_before_reads():
    config = PRESETS["f100"]
    plans = plan_graph(random_resnet50(np.random.default_rng(0)), config)
    number = next(p.layer.number for p in plans if isinstance(p.layer, MaxPool))
    read, written = plans[number].source, plans[number + 1].target
    source, target = plans[number].layer.source, plans[number + 1].layer.target
    assert (
        read.base + extent(source.height, source.row_words, read.pitch) <= written.base
        or written.base + extent(target.height, target.row_words, written.pitch) <= read.base
    )
