"""The sweep itself: it compares, it counts, and it fails when the model is off."""

import dataclasses
import json

from click.testing import CliRunner

from tests.sweeps.cycles_sweep import FAILED, Comparison, Sweep, main

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


def test_a_model_that_is_off_fails(monkeypatch):
    error = 0.02
    late = property(lambda self: error)
    monkeypatch.setattr(Comparison, "total_error", late)
    options = ["--cases", "1", "--seed", "5", "--config", "nano"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == FAILED
    assert "2.000%" in result.output


def test_nothing_compared_is_no_success():
    sweep = Sweep(0)
    assert not sweep.good
    assert dataclasses.asdict(sweep)["tallies"] == {}
