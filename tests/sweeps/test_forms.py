"""The sweeps draw every operator of the table in every form, on every machine."""

import dataclasses
import itertools

import numpy as np
import pytest

from hw.config import PRESETS, DnaConfig
from sw.errors import DnaError
from sw.operators import table
from tests.support.programs import random_layer, random_network
from tests.sweeps.forms import FORMS, forms_of, places
from tests.sweeps.fuzz_cases import draw
from tests.sweeps.machines import MACHINES, MOST_MACS, NAMES, RANDOM, machines

NANO = PRESETS["nano"]
PLAIN = dataclasses.replace(NANO, depthwise_words=0)
CASES = 500
"""A quarter of a run of the fuzzer."""

OPERATORS = {row.name for row in table.TABLE if row.operation is not None}


def drawn(graphs):
    """What is in ``graphs``, with a depthwise engine and without: a row's name and a form's."""
    found = set()
    for graph, config in itertools.product(graphs, (NANO, PLAIN)):
        try:
            found.update(*map(forms_of, places(graph, config)))
        except DnaError:  # the machine has no such window: the fuzzer counts it as refused
            continue
    return found


def test_every_operator_has_forms():
    assert set(FORMS) == OPERATORS
    assert all(FORMS.values())


def test_every_form_of_every_operator_is_drawn():
    found = drawn(draw(0, number).graph for number in range(CASES))
    assert found == {(name, form) for name, forms in FORMS.items() for form in forms}


@pytest.mark.parametrize("kind", [random_network, random_layer])
def test_both_kinds_of_cases_draw_every_operator(kind):
    graphs = (kind(np.random.default_rng([1, number])) for number in range(CASES // 5))
    assert {name for name, _ in drawn(graphs)} == OPERATORS


def test_machines():
    assert {"nano", "micro"} < set(MACHINES)
    assert {config.modules for config in MACHINES.values()} == {1, 2, 4, 8}
    assert len({config.digest for config in MACHINES.values()}) == len(MACHINES)


def test_a_seed_draws_machines_of_its_own():
    seeds = [machines(seed) for seed in range(40)]
    assert all(tuple(found) == NAMES for found in seeds)
    assert machines(3) == seeds[3]
    random = [found[name] for found in seeds for name in RANDOM]
    assert len({config.digest for config in random}) > len(random) * 3 // 4
    assert max(config.macs for config in random) <= MOST_MACS
    for parameter in {field.name for field in dataclasses.fields(DnaConfig)} - {"name"}:
        assert len({getattr(config, parameter) for config in random}) >= 3, parameter
