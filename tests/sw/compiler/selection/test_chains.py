import dataclasses
import itertools

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Engine, Opcode, read_program
from hw.status import Activity
from sim.cycles import predict
from sw.compiler import compile_graph
from sw.compiler.candidates import Candidates
from sw.compiler.layers import Depthwise
from sw.compiler.lowering import lower
from sw.compiler.placement import place
from sw.compiler.platform import Platform
from sw.compiler.selection.chains import stripe_chains
from sw.compiler.selection.links import choose_links
from tests.support.graphs import random_image, random_mobilenet_v1
from tests.support.programs import check_program

ROOMY = dataclasses.replace(PRESETS["nano"], feature_words=65536)


@pytest.fixture(scope="module")
def graph():
    return random_mobilenet_v1(np.random.default_rng(2), size=64, width=0.25, classes=10)


def plans_of(graph, config):
    """Before and behind the pass."""
    candidates = Candidates(Platform(config), lower(graph, config))
    plans = place(candidates, choose_links(candidates), outside=(graph.input, graph.output))
    return plans, stripe_chains(candidates, plans)


def test_a_depthwise_layer_runs_beside_the_convolution_before_it(graph):
    before, behind = plans_of(graph, ROOMY)
    striped = [
        number
        for number, plan in enumerate(behind)
        if isinstance(plan.layer, Depthwise) and len(plan.choice.stripes) > 1
    ]
    assert len(striped) > 3
    for number in striped:
        plan, first = behind[number], behind[number - 1]
        rows = [(stripe.row, stripe.row + stripe.rows) for stripe in plan.choice.stripes]
        assert rows[0][0] == 0 and rows[-1][1] == plan.layer.target.height
        assert all(one[1] == other[0] for one, other in itertools.pairwise(rows))
        for stripe, position in zip(plan.choice.stripes, plan.choice.after, strict=True):
            # What it reads is written by stripes that come before it in the program.
            last = first.choice.stripes[position - 1]
            assert stripe.in_row + stripe.in_rows <= last.row + last.rows
    assert [plan.layer for plan in before] == [plan.layer for plan in behind]


def test_the_engines_overlap_and_that_is_quicker(graph, monkeypatch):
    program = compile_graph(graph, ROOMY)
    together = predict(program)
    monkeypatch.setattr("sw.compiler.stripe_chains", lambda candidates, plans: plans)
    apart = predict(compile_graph(graph, ROOMY))
    assert together.cycles < 0.95 * apart.cycles
    at_work = {
        engine: [s for s in together.spans if s.engine is engine]
        for engine in (Engine.CONV, Engine.DEPTHWISE)
    }
    beside = sum(
        max(0, min(one.end, other.end) - max(one.start, other.start))
        for one in at_work[Engine.CONV]
        for other in at_work[Engine.DEPTHWISE]
    )
    assert beside > 0.5 * sum(span.end - span.start for span in at_work[Engine.DEPTHWISE])
    busy = [together.counters[engine][Activity.BUSY] for engine in at_work]
    assert apart.both_busy < together.both_busy < min(busy)


@pytest.mark.parametrize("config", [PRESETS["nano"], ROOMY], ids=["tight", "roomy"])
def test_values_are_right_whatever_engine_goes_first(graph, config):
    image = random_image(np.random.default_rng(3), graph)
    program = check_program(graph, config, image, seeds=(None, *range(6)))
    opcodes = {op.opcode for op in read_program(program.code)}
    assert Opcode.DEPTHWISE in opcodes


def test_layers_without_a_neighbour_to_overlap_with_stay_as_they_are():
    graph = random_mobilenet_v1(np.random.default_rng(2), size=32, width=0.25, classes=10)
    plans, behind = plans_of(graph, dataclasses.replace(ROOMY, depthwise_words=0))
    assert plans == behind
