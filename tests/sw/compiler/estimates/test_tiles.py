import dataclasses

import numpy as np
import pytest

import sw.compiler
from hw.config import PRESETS
from sim.cycles import layer_times, predict
from sw.compiler import compile_graph
from sw.compiler.estimates.tiles import drain_cycles
from tests.support.graphs import random_resnet50


@pytest.mark.parametrize(
    ("group_words", "pixel_words", "residual", "cycles"),
    [
        (8, 8, False, 2),
        (8, 8, True, 2),  # one half of the banks, then the other
        (4, 8, True, 2),  # the same half for each pixel
        (4, 8, False, 1),
        (4, 4, True, 1),  # pixels begin in one half and the other by turns
        (2, 2, True, 1),
        (2, 16, True, 2),
        (1, 1, True, 1),
    ],
)
def test_a_residual_takes_twice_as_long_where_its_banks_are_those_of_the_sum(
    group_words, pixel_words, residual, cycles
):
    assert drain_cycles(PRESETS["f200"], group_words, pixel_words, residual) == cycles


def test_a_machine_that_drains_whole_pixels_reads_and_writes_by_turns():
    config = dataclasses.replace(PRESETS["f200"], lanes=256)
    assert [drain_cycles(config, 8, 8, residual) for residual in (False, True)] == [1, 2]


@pytest.mark.parametrize("name", ["f100", "f200"])
def test_the_estimate_agrees_with_the_cycle_model(name, monkeypatch):
    """Of layers that begin when the one before is over."""
    monkeypatch.setattr(sw.compiler, "overlap", lambda config, plans: plans)
    program = compile_graph(random_resnet50(np.random.default_rng(0)), PRESETS[name])
    times = layer_times(program, predict(program))
    inner = [
        (table.estimated_cycles, time.cycles)
        for table, time in zip(program.layers, times, strict=True)
        if table.kind == "conv" and table.load_bytes == 0
    ]
    assert len(inner) > 40
    estimated, predicted = map(sum, zip(*inner, strict=True))
    assert estimated == pytest.approx(predicted, rel=0.01)
