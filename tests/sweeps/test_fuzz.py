"""The fuzzer itself: it compares, it refuses aloud, and it finds and shrinks what is wrong."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from sim.memory.model import MemoryModel
from sw.errors import DnaError
from sw.operations import Conv2D
from tests.sweeps.fuzz import MOST_FAILURES, Report, fuzz, main
from tests.sweeps.fuzz_cases import Outcome, draw, right, run
from tests.sweeps.machines import MACHINES
from tests.sweeps.options import INTERRUPTED
from tests.sweeps.shrinking import rebuild

NANO = MACHINES["nano"]
CASES = 15


def wrong_convolution(graph, image):
    """The reference with one value too large wherever three channels or more are convolved."""
    tensors = dict(right(graph, image))
    for operation in graph.operations:
        if isinstance(operation, Conv2D) and graph.operands(operation)[0].shape[-1] >= 3:
            value = tensors[operation.output].copy()
            value.reshape(-1)[0] ^= 1
            tensors[operation.output] = value
    return tensors


def test_random_cases_on_nano():
    report = Report(seed=11)
    outcomes = [outcome for *_, outcome in fuzz(report, range(CASES), [NANO])]
    total = report.total
    assert total.cases == len(outcomes) == CASES
    assert total.passed + total.refused == CASES
    assert total.passed > CASES // 2
    assert total.values > 1000 and total.cycles > 1000
    assert report.clean and not report.found


def test_a_wrong_expectation_is_caught_and_shrunk():
    report = Report(seed=3)
    for _ in fuzz(report, range(100), [NANO], wrong_convolution):
        if report.found:
            break
    (found,) = report.found
    assert not report.clean
    assert found.failure.kind == "mismatch"
    (operation,) = found.case.graph.operations
    assert isinstance(operation, Conv2D)
    assert found.case.image.shape[2] == 3
    assert found.case.image.size <= 12
    assert found.case.memory == MemoryModel()
    assert found.command.endswith("--config nano")


def test_it_gives_up_after_some_failures(monkeypatch):
    def always_wrong(graph, image):
        return {name: tensor ^ 1 for name, tensor in right(graph, image).items()}

    monkeypatch.setattr("tests.sweeps.shrinking.MOST_ATTEMPTS", 1)
    report = Report(seed=0)
    assert sum(1 for _ in fuzz(report, range(100), [NANO], always_wrong)) < 100
    assert len(report.found) == report.total.failed == MOST_FAILURES


def test_a_case_is_a_function_of_its_numbers():
    first, second = draw(1, 2), draw(1, 2)
    assert str(first) == str(second)
    assert np.array_equal(first.image, second.image)
    assert str(first) != str(draw(1, 3))


@pytest.mark.parametrize("number", range(20))
def test_a_graph_rebuilt_is_the_graph(number):
    case = draw(2, number)
    again = rebuild(case.graph)
    want, got = right(case.graph, case.image), right(again, case.image)
    assert set(got) <= set(want)
    assert np.array_equal(got[case.graph.output], want[case.graph.output])


def test_the_command_repeats_a_case_and_writes_figures(tmp_path):
    file = tmp_path / "fuzz.json"
    result = CliRunner().invoke(
        main, ["--case", "11:3", "--config", "nano", "--json", str(file)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert (figures["seed"], figures["cases"], figures["failed"]) == (11, 1, 0)
    assert figures["values"] == figures["configs"]["nano"]["values"] > 0


def test_a_run_without_a_value_fails(monkeypatch):
    monkeypatch.setattr("tests.sweeps.fuzz.run", lambda *_: Outcome(refused="too large"))
    result = CliRunner().invoke(main, ["--cases", "2", "--config", "nano"])
    assert result.exit_code == 1
    assert "refused: too large" in result.output and "no value was compared" in result.output


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("a kernel of 16 is too large for the machine; at most 15", None),
        ("it needs feature_words of at least 8192", None),
        ("it needs feature_words of at least 64", "refusal"),
        ("no idea", "refusal"),
    ],
)
def test_a_refusal_must_be_right(monkeypatch, says, kind):
    def refuse(graph, config, bandwidth, images):
        if config.feature_words <= NANO.feature_words:
            raise DnaError(says)

    monkeypatch.setattr("tests.sweeps.fuzz_cases.compile_graph", refuse)
    outcome = run(draw(0, 0), NANO)
    assert (outcome.failure and outcome.failure.kind) == kind
    assert outcome.refused == (None if kind else says)


def test_an_interrupt_reports_what_was_done(monkeypatch):
    def run(*_):
        run.calls += 1
        if run.calls == 3:
            raise KeyboardInterrupt
        return Outcome(values=7, cycles=5)

    run.calls = 0
    monkeypatch.setattr("tests.sweeps.fuzz.run", run)
    result = CliRunner().invoke(main, ["--cases", "9", "--config", "nano"])
    assert result.exit_code == INTERRUPTED
    assert "2 of 9 cases" in result.output


def test_a_case_without_a_machine_is_refused():
    result = CliRunner().invoke(main, ["--case", "0:1"])
    assert result.exit_code == 2 and "--config" in result.output
