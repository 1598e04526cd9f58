"""The rules of the compliance tests, on logs made by hand; that LoadGen obeys is tested below."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.loadgen import logs
from harness.mlperf.audit import compliance
from harness.mlperf.audit.compliance import verify
from sw.errors import DnaError
from tests.support.tiny import save_artifact, save_photographs

MS = 1_000_000


def data(label):
    return np.float32(label).tobytes().hex().upper()


def write_logs(folder, *, latency=2 * MS, scenario="SingleStream", answers=(), **changes):
    """Logs of a run with a latency in ns; Offline has its reciprocal as throughput."""
    audit = {key: 0 for settings in compliance.AUDITS.values() for key in settings}
    values = {
        "effective_scenario": scenario,
        "effective_samples_per_query": 8 if scenario == "MultiStream" else 1,
        "result_validity": "VALID",
        "result_90.00_percentile_latency_ns": latency,
        "result_99.00_percentile_per_query_latency_ns": latency,
        "result_samples_per_second": 1e9 / latency,
        **{f"effective_{key}": value for key, value in {**audit, **changes}.items()},
    }
    values.update({key: value for key, value in changes.items() if key in values})
    folder.mkdir()
    lines = [
        logs.entry({"key": key, "value": value, "metadata": {"is_error": False}})
        for key, value in values.items()
    ]
    (folder / logs.DETAIL).write_text("".join(lines))
    (folder / logs.SUMMARY).write_text("a summary\n")
    entries = [{"qsl_idx": index, "data": data(label)} for index, label in answers]
    (folder / logs.ACCURACY).write_text(json.dumps(entries))
    return folder


@pytest.fixture
def judge(tmp_path):
    """Judges a test's run of some latency against a reference of 2 ms, or another."""
    number = iter(range(100))

    def run(test, latency, *, reference=2 * MS, scenario="SingleStream", answers=(), **changes):
        folder = tmp_path / str(next(number))
        folder.mkdir()
        audit = {**compliance.AUDITS[test], **changes}
        write_logs(folder / "t", latency=latency, scenario=scenario, answers=answers, **audit)
        write_logs(folder / "p", latency=reference, scenario=scenario)
        write_logs(folder / "a", scenario=scenario, answers=[(0, 5), (1, 7), (2, 7)])
        return verify(test, folder / "t", folder / "p", folder / "a")

    return run


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_speed(judge, scenario):
    """TEST04 minds only what is faster; TEST05 any difference."""
    for latency, fourth, fifth in (
        (2.0, True, True),
        (1.83, True, True),
        (1.80, False, False),
        (2.19, True, True),
        (2.21, True, False),
    ):
        options = {"scenario": scenario}
        assert judge("TEST04", latency * MS, **options).performance is fourth
        assert judge("TEST04-B", latency * MS, **options).performance is fourth
        assert judge("TEST05", latency * MS, **options).performance is fifth


def test_short_latencies_may_differ_more(judge):
    assert judge("TEST05", 0.23 * MS, reference=0.2 * MS).passed
    assert not judge("TEST05", 0.23 * MS, reference=0.201 * MS).passed
    assert judge("TEST05", 1.8 * MS, reference=1.6 * MS, scenario="MultiStream").passed
    assert not judge("TEST05", 0.23 * MS, reference=0.2 * MS, scenario="Offline").passed


def test_answers(judge):
    """Those of the accuracy run are 5, 7, 7 for samples 0, 1, 2."""
    same = judge("TEST01", 2 * MS, answers=[(0, 5), (2, 7), (0, 5)])
    assert (same.performance, same.accuracy, same.passed) == (True, True, True)
    other = judge("TEST01", 2 * MS, answers=[(0, 5), (2, 6)])
    assert (other.performance, other.accuracy, other.passed) == (True, False, False)
    assert "different: 1, of samples [2]" in other.accuracy_text
    assert not judge("TEST01", 2 * MS, answers=[(0, 5), (3, 7)]).accuracy
    assert not judge("TEST01", 2 * MS).accuracy
    slow = judge("TEST01", 3 * MS, answers=[(0, 5)])
    assert (slow.performance, slow.accuracy, slow.passed) == (False, True, False)
    assert compliance.FAIL in slow.performance_text
    assert compliance.PASS not in slow.performance_text


def test_runs_of_different_machines_are_not_compared(tmp_path):
    run = write_logs(tmp_path / "t", **compliance.AUDITS["TEST04"])
    line = {"key": logs.TIMING, "value": "modelled, 300 MHz", "metadata": {"is_error": False}}
    with (run / logs.DETAIL).open("a") as file:
        file.write(logs.entry(line))
    reference = write_logs(tmp_path / "p")
    with pytest.raises(DnaError, match="modelled, 300 MHz and measured on a computer"):
        verify("TEST04", run, reference, reference)


def test_an_invalid_run_fails(judge):
    assert not judge("TEST04", 2 * MS, result_validity="INVALID").passed


def test_another_scenario_fails(tmp_path):
    write_logs(tmp_path / "t", scenario="Offline", **compliance.AUDITS["TEST04"])
    write_logs(tmp_path / "p")
    assert not verify("TEST04", tmp_path / "t", tmp_path / "p", tmp_path).passed


def test_a_run_without_the_tests_settings_is_refused(judge, tmp_path):
    with pytest.raises(DnaError, match="is no run of TEST04: its performance_issue_same is 0"):
        judge("TEST04", 2 * MS, performance_issue_same=0)
    with pytest.raises(DnaError, match="no compliance test 'TEST02'"):
        verify("TEST02", tmp_path, tmp_path, tmp_path)
    with pytest.raises(DnaError, match="has no LoadGen logs that can be read"):
        verify("TEST01", tmp_path, tmp_path, tmp_path)


def test_loadgen_obeys_and_the_command_judges(tmp_path):
    """The functional model, TEST01 in a run of its own process, Offline."""
    network = save_artifact(tmp_path / "tiny")
    photographs = save_photographs(tmp_path / "photographs", 12)
    audit = CliRunner().invoke(dna, ["compliance", "audit", "TEST01"])
    (tmp_path / "TEST01.config").write_text(audit.output)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    # Offline the accuracy log of a performance run has the samples that LoadGen draws.
    options = ("--scenario", "Offline", "--data-dir", str(photographs), "--min-duration", "0.5")
    for name, more in (
        ("accuracy", ("--accuracy",)),
        ("performance", ("--round", "v1.1")),
        ("TEST01", ("--audit-config", "TEST01.config")),
    ):
        command = [sys.executable, "-m", "harness.cli", "loadgen", str(network), *options, *more]
        done = subprocess.run([*command, "-o", name], cwd=tmp_path, env=environment, check=False)
        assert done.returncode == 0
    assert logs.Detail(tmp_path / "performance")["effective_qsl_rng_seed"] == 1624344308455410291
    verdict = verify("TEST01", tmp_path / "TEST01", tmp_path / "performance", tmp_path / "accuracy")
    assert verdict.accuracy is True
    assert json.loads((tmp_path / "TEST01" / logs.ACCURACY).read_text())

    arguments = [str(tmp_path / name) for name in ("TEST01", "performance", "accuracy")]
    done = CliRunner().invoke(
        dna,
        [
            *("compliance", "verify", "TEST01", arguments[0], "--performance", arguments[1]),
            *("--accuracy", arguments[2], "-o", str(tmp_path / "out")),
            *("--json", str(tmp_path / "verdict.json")),
        ],
    )
    figures = json.loads((tmp_path / "verdict.json").read_text())
    assert figures["accuracy"] is True
    assert done.exit_code == (0 if figures["passed"] else 1)
    assert sorted(
        str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")
    ) == [
        "accuracy/mlperf_log_accuracy.json",
        "performance/run_1/mlperf_log_detail.txt",
        "performance/run_1/mlperf_log_summary.txt",
        "verify_accuracy.txt",
        "verify_performance.txt",
    ]


def test_logs_that_are_cut_short_are_refused(judge, tmp_path):
    run = write_logs(tmp_path / "t", **compliance.AUDITS["TEST04"])
    lines = (run / logs.DETAIL).read_text().splitlines(keepends=True)
    reference = write_logs(tmp_path / "p")
    for count in range(7):
        (run / logs.DETAIL).write_text("".join(lines[:count]))
        with pytest.raises(DnaError, match="it was cut short"):
            verify("TEST04", run, reference, reference)
    with pytest.raises(DnaError, match=r"no speed can be told from result_90.00_percentile"):
        judge("TEST04", 2 * MS, **{"result_90.00_percentile_latency_ns": 0})
    with pytest.raises(DnaError, match="performance_issue_same is 'yes', no number"):
        judge("TEST04", 2 * MS, performance_issue_same="yes")
