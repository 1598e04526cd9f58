import dataclasses

import numpy as np
import pytest

from harness.hardware.timing.clock import Clock
from harness.report.figures import MEANINGS, Use
from hw.isa import Engine
from hw.status import Activity
from tests.support.report_runs import compiled, made, predicted


def with_activity(number, **cycles):
    """The run, in which the convolution of layer ``number`` does nothing but this."""
    counts = [cycles.get(activity.name, 0) for activity in Activity]
    spans = []
    for span in predicted().spans:
        if (span.engine, span.layer) == (Engine.CONV, number):
            span = dataclasses.replace(span, activity=tuple(counts))
            counts = [0] * len(Activity)
        spans.append(span)
    return dataclasses.replace(predicted(), spans=tuple(spans))


@pytest.fixture
def convolution():
    return next(table for table in compiled().layers if table.split)


def test_the_score():
    figures, config = made(), compiled().config
    assert figures.cycles == predicted().cycles
    assert figures.latency_ms == pytest.approx(figures.cycles / 200e3)
    assert figures.throughput_per_s == pytest.approx(1e3 / figures.latency_ms)
    assert figures.macs == sum(table.macs for table in compiled().layers)
    assert figures.utilization == pytest.approx(figures.macs / (config.macs * figures.cycles))
    assert made(clock=Clock(400.0)).latency_ms == pytest.approx(figures.latency_ms / 2)
    assert figures.modelled


def test_every_cycle_is_accounted_for():
    figures = made()
    assert sum(layer.cycles for layer in figures.layers) + figures.tail_cycles == figures.cycles
    assert sum(figures.uses.values()) == figures.cycles
    for activity in figures.engines.values():
        assert sum(activity.values()) == figures.cycles


def test_layers_and_the_whole_agree_on_stalls():
    figures = made()
    layers = figures.layers
    for use in set(figures.uses) - {Use.MACS, Use.SHAPE}:
        tail = figures.tail_cycles if use == Use.IDLE else 0
        assert sum(layer.uses.get(use, 0) for layer in layers) + tail == figures.uses[use], use
    worked = {use: figures.uses.get(use, 0) for use in (Use.MACS, Use.SHAPE)}
    by_layer = sum(layer.uses.get(use, 0) for layer in layers for use in worked)
    assert by_layer == sum(worked.values())


def test_every_lost_cycle_is_some_layers():
    figures = made()
    for layer in figures.layers:
        assert layer.lost == sum(n for use, n in layer.uses.items() if use != Use.MACS)
        if not layer.split:  # POOL's own waiting is beside CONV's
            assert set(layer.uses) <= {Use.IDLE} and set(layer.pool) > {Use.POOL}
        else:
            assert not layer.pool
    lost = sum(layer.lost for layer in figures.layers) + figures.tail_cycles
    macs = sum(layer.uses.get(Use.MACS, 0) for layer in figures.layers)
    assert lost + macs == figures.cycles
    assert sum(layer.uses.get(Use.IDLE, 0) for layer in figures.layers) > 0


def test_what_uses_more_than_all_macs_began_early():
    figures = made()
    for layer in figures.layers:
        assert 0 <= layer.early <= max(0, layer.end - layer.cycles)
        assert layer.utilization <= 1 or layer.early


def test_layers_end_one_after_the_other():
    before = 0
    for layer in made().layers:
        assert 0 <= layer.start < layer.end
        assert max(layer.end, before) - layer.cycles == before
        assert layer.utilization * layer.cycles * 32 == pytest.approx(layer.macs)
        before = max(layer.end, before)


@pytest.mark.parametrize(
    ("activity", "use"),
    [
        ("WAIT_TOKEN", Use.ORDER),
        ("WAIT_WEIGHTS", Use.WEIGHTS),
        ("WAIT_ACCUMULATION", Use.POST),
        ("WAIT_FEATURE", Use.FEATURE),
        ("WAIT_DRAM", Use.DRAM),
        ("WAIT_OUTPUT", Use.OUTPUT),
    ],
)
def test_what_a_layer_loses_is_what_its_convolution_waited_for(convolution, activity, use):
    run = with_activity(convolution.number, BUSY=10**7, **{activity: 77})
    layer = made(prediction=run).layers[convolution.number]
    assert layer.uses[use] == 77
    assert sum(layer.uses.values()) - layer.uses.get(Use.IDLE, 0) == 10**7 + 77


def test_what_binds_a_layer_is_the_engine_that_is_busy_longest(convolution):
    run = with_activity(convolution.number, BUSY=10**7)
    assert made(prediction=run).layers[convolution.number].bound == "conv"
    assert "pool" in {layer.bound for layer in made().layers if not layer.split}


def test_busy_arrays_that_a_layer_does_not_fill(convolution):
    ideal = convolution.macs / compiled().config.macs
    run = with_activity(convolution.number, BUSY=round(3 * ideal))
    layer = made(prediction=run).layers[convolution.number]
    worked = {use: n for use, n in layer.uses.items() if use != Use.IDLE}
    assert worked == {Use.MACS: round(ideal), Use.SHAPE: round(3 * ideal) - round(ideal)}


def test_spans_are_the_predicted_ones():
    figures = made()
    assert [(s.index, s.start, s.end) for s in figures.spans] == [
        (s.index, s.start, s.end + 1) for s in predicted().spans
    ]
    assert {span.engine for span in figures.spans} >= {"LOAD", "CONV", "POST", "POOL", "STORE"}


def test_dram_traffic_is_what_the_program_asks_for():
    figures = made()
    tables = compiled().layers
    asked = sum(t.weight_bytes + t.load_bytes for t in tables) + len(compiled().code)
    assert figures.dram_read_bytes >= asked
    stored = sum(t.store_bytes for t in tables)
    assert stored <= figures.dram_written_bytes < 1.01 * stored  # whole DRAM words


def test_every_use_has_a_meaning():
    assert set(MEANINGS) == set(Use)
    assert np.all([MEANINGS[use] for use in Use])
