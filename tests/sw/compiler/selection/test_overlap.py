import itertools

import numpy as np
import pytest

import sw.compiler
from hw.config import PRESETS
from sim.cycles import predict
from sw.compiler import compile_graph
from sw.compiler.candidates import Candidates
from sw.compiler.lowering import lower
from sw.compiler.placement import place
from sw.compiler.platform import Platform
from sw.compiler.selection.links import choose_links
from sw.compiler.selection.overlap import overlap
from tests.support.graphs import random_resnet50
from tests.support.programs import random_config, random_network


def plans_of(graph, config):
    candidates = Candidates(Platform(config), lower(graph, config))
    whole = place(candidates, choose_links(candidates), (*graph.sources, graph.output))
    return whole, overlap(candidates, whole)


def random_plans(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng, feature_words=8192)
    return plans_of(random_network(rng), config)


def check(whole, pieces):
    """Return how many layers are cut."""
    cut = {new.layer.number for old, new in zip(whole, pieces, strict=True) if new != old}
    helped = set()
    for before, after in itertools.pairwise(pieces):
        if (
            after.layer.source.tensor == before.layer.target.tensor
            and before.target is not None
            and after.layer.number in cut
            and len(before.choice.stripes) > 1
        ):
            first, last = after.choice.stripes[0], before.choice.stripes[-1]
            assert first.in_row + first.in_rows <= last.row
            helped |= {before.layer.number, after.layer.number}
    assert cut <= helped  # no layer is cut for nothing
    for old, new in zip(whole, pieces, strict=True):
        if new == old:
            continue
        first, second = new.choice.stripes
        assert (first.row, second.row) == (0, first.rows)
        assert second.rows > 0
        assert first.rows + second.rows == new.layer.target.height
        assert None not in (new.source, new.target)
        assert (new.source, new.target, new.residual) == (old.source, old.target, old.residual)
    return len(cut)


def test_readers_begin_with_rows_that_are_there():
    assert sum(check(*random_plans(seed)) for seed in range(100)) > 20


@pytest.mark.parametrize(("name", "smallest"), [("micro", 7), ("f200", 14)])
def test_resnet50_is_cut_where_a_stripe_is_longer_than_its_weights_take(name, smallest):
    whole, pieces = plans_of(random_resnet50(np.random.default_rng(0)), PRESETS[name])
    assert check(whole, pieces) > 30
    heights = {p.layer.target.height for p in pieces if len(p.choice.stripes) == 2}
    assert min(heights) == smallest


def test_resnet50_is_quicker_by_the_cycle_model(monkeypatch):
    graph, config = random_resnet50(np.random.default_rng(0)), PRESETS["f200"]
    overlapped = predict(compile_graph(graph, config)).cycles
    monkeypatch.setattr(sw.compiler, "overlap", lambda config, plans: plans)
    assert predict(compile_graph(graph, config)).cycles - overlapped > 5000
