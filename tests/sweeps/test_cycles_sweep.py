"""The sweep itself: it compares, it counts, and it fails when the model is off."""

import dataclasses
import json

import numpy as np
from click.testing import CliRunner

from hw.isa import Engine
from hw.status import Activity
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw.operations import AveragePool2D, MaxPool2D, Mean
from tests.sweeps import findings
from tests.sweeps.cycles_sweep import MOST_FAILURES, Comparison, Sweep, Tally, main
from tests.sweeps.options import FAILED

CASES = 4


def test_figures_as_table_and_json(tmp_path):
    target = tmp_path / "cycles.json"
    options = ["--cases", str(CASES), "--seed", "5", "--config", "nano", "--json", str(target)]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert "nano" in result.output and "worst layer" in result.output
    figures = json.loads(target.read_text())
    assert figures["asked"] == CASES
    assert figures["exact"] == figures["compared"] > 0
    assert figures["cycles"] > 100 and figures["worst_layer"] == 0
    assert figures["configs"]["nano"]["cases"] == CASES


def test_a_model_that_is_off_by_a_cycle_fails(monkeypatch, tmp_path):
    """Once a layer is pooled, the model has a cycle too many, wherever."""

    def late(program, memory):
        found = predict(program, memory)
        pools = any(span.engine is Engine.POOL for span in found.spans)
        activity = found.activity.copy()
        activity[Engine.POOL, 0, Activity.BUSY] += pools
        return dataclasses.replace(found, activity=activity)

    monkeypatch.setattr("tests.sweeps.cycles_sweep.predict", late)
    options = ["--cases", "20", "--seed", "5", "--config", "nano", "--keep", str(tmp_path)]
    result = CliRunner().invoke(main, options, catch_exceptions=False)
    assert result.exit_code == FAILED
    assert "POOL layer 0 BUSY +1" in result.output
    for path in sorted(tmp_path.iterdir()):
        found = findings.load(path)
        assert found.sweep == "cycles_sweep" and found.failure.kind == "cycles"
        assert found.command in result.output
        (operation,) = found.case.graph.operations
        assert isinstance(operation, MaxPool2D | AveragePool2D | Mean)
        assert found.case.image.size <= 4
        assert found.case.memory == MemoryModel()
    assert len([*tmp_path.iterdir()]) == MOST_FAILURES


def test_one_cycle_elsewhere_is_no_success():
    right = Comparison(100, 100, np.zeros((2, 1, 3)), np.zeros((2, 1, 3)), None)
    sweep = Sweep(0, tallies={"nano": Tally()})
    sweep.tallies["nano"].add(right)
    assert sweep.good and right.failure is None
    sweep.tallies["nano"].add(dataclasses.replace(right, model=101))
    assert not sweep.good and (sweep.exact, sweep.compared) == (1, 2)


def test_nothing_compared_is_no_success():
    sweep = Sweep(0)
    assert not sweep.good
    sweep.tallies["nano"] = Tally()
    sweep.tallies["nano"].add(None)
    assert not sweep.good
