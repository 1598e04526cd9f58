"""LoadGen runs are separate processes, as LoadGen wants it: `python -m harness.cli loadgen ...`."""

import json
import subprocess

import numpy as np
import pytest

from harness.loadgen import logs
from tests.support.loadgen_runs import (
    COMMAND,
    PHOTOGRAPHS,
    environment,
    expected_classes,
    interrupt,
    one_line_error,
)
from tests.support.tiny import CLASSES, save_artifact, save_photographs


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture
def data_dir(tmp_path):
    return save_photographs(tmp_path / "photographs", PHOTOGRAPHS)


@pytest.fixture
def dna(tmp_path, network, data_dir):
    """Runs `dna loadgen` in its own folder: (exit code, figures or None, stdout, stderr)."""

    def run(*options, check=0):
        done = subprocess.run(
            [*COMMAND, str(network), "--data-dir", data_dir, "--json", "figures.json", *options],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == check, done.stdout + done.stderr
        file = tmp_path / "figures.json"
        figures = json.loads(file.read_text()) if file.is_file() else None
        return figures, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("scenario", ["SingleStream", "Offline"])
def test_short_performance_run(dna, tmp_path, scenario):
    figures, stdout, _ = dna("--scenario", scenario, "--min-duration", "1", "-o", "logs")
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == sorted(logs.LOGS)
    summary = (tmp_path / "logs" / logs.SUMMARY).read_text()
    assert "Result is : VALID" in summary
    assert f"Scenario : {scenario}" in summary
    assert figures["valid"] is True
    assert figures["scenario"] == scenario
    assert (figures["mode"], figures["timing"]) == ("performance", "host")
    assert figures["loadgen"] == "6.0.17"
    assert 20 < figures["peak_memory_mib"] < 20_000
    assert figures["errors"] == []
    assert figures["top1"] is None

    said = dict(line.split(":", 1) for line in summary.splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in said.items()}
    assert figures["p90_ms"] == int(said["90.00 percentile latency (ns)"]) / 1e6
    assert figures["mean_ms"] == int(said["Mean latency (ns)"]) / 1e6
    if scenario == "Offline":
        assert figures["qps"] == pytest.approx(float(said["Samples per second"]), 1e-4)
        assert figures["images"] == int(said["samples_per_query"])
    else:
        assert figures["qps"] == pytest.approx(float(said["QPS w/o loadgen overhead"]), 1e-4)
        assert figures["p90_ms"] < 1000
    assert figures["seconds"] >= 1

    assert figures["full_length"] is False
    assert "Shorter than MLPerf asks" in stdout
    assert "1 of 600 seconds" in stdout
    assert figures["samples"] == PHOTOGRAPHS
    assert f"{PHOTOGRAPHS} of 1024 photographs in memory" in figures["shortfalls"]


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_accuracy_run(dna, network, data_dir, tmp_path, scenario):
    """Seven photographs in memory at a time: three sets are loaded, run and let go."""
    expected = expected_classes(network, data_dir)
    labels = [*expected[:13], *((label + 1) % CLASSES for label in expected[13:])]
    lines = [f"{number}.jpg {label}\n" for number, label in enumerate(labels)]
    (data_dir / "val_map.txt").write_text("".join(lines))

    figures, stdout, _ = dna("--scenario", scenario, "--accuracy", "--samples", "7", "-o", "logs")
    assert figures["top1"] == 13 / PHOTOGRAPHS
    assert figures["images"] == PHOTOGRAPHS
    assert figures["mode"] == "accuracy"
    assert figures["valid"] is True
    assert figures["p90_ms"] is None
    assert "20 of 50000 photographs" in stdout
    assert (tmp_path / "logs" / logs.DETAIL).read_text().count('"key": "loaded_qsl_set"') == 3
    entries = json.loads((tmp_path / "logs" / logs.ACCURACY).read_text())
    found = {
        entry["qsl_idx"]: np.frombuffer(bytes.fromhex(entry["data"]), np.float32).tolist()
        for entry in entries
    }
    assert found == {number: [float(label)] for number, label in enumerate(expected)}


def test_count_takes_the_first_photographs(dna):
    figures, _, _ = dna("--scenario", "Offline", "--accuracy", "--count", "3")
    assert figures["images"] == 3


def test_default_output_is_a_new_folder_and_a_finished_one_is_kept(dna, tmp_path):
    options = ("--scenario", "Offline", "--accuracy")
    first, _, _ = dna(*options)
    second, _, _ = dna(*options)
    assert first["output"] == "build/loadgen/Offline/accuracy/run_1"
    assert second["output"] == "build/loadgen/Offline/accuracy/run_2"
    _, _, stderr = dna(*options, "-o", first["output"], check=2)
    assert "run_1 holds the logs of another test" in one_line_error(stderr)


def test_user_conf_is_honoured_and_an_invalid_run_exits_1(dna, tmp_path):
    """A latency of a second is announced; the queries made for it are gone in a moment."""
    (tmp_path / "user.conf").write_text(
        "# for this machine\n"
        "resnet50.SingleStream.target_latency = 1000\n"
        "resnet50.SingleStream.min_duration = 30000\n"
        "*.SingleStream.performance_sample_count_override = 9\n"
    )
    figures, stdout, _ = dna("--scenario", "SingleStream", "--user-conf", "user.conf", check=1)
    assert figures["valid"] is False
    assert "INVALID" in stdout
    assert figures["samples"] == 9
    assert "30 of 600 seconds" in stdout
    assert any("Ran out of generated queries" in error for error in figures["errors"])


def test_audit_config_of_the_working_directory_shows_in_the_figures(dna, tmp_path):
    (tmp_path / "audit.config").write_text("*.SingleStream.performance_sample_count_override = 4\n")
    figures, _, _ = dna("--scenario", "SingleStream", "--min-duration", "0.2")
    assert figures["samples"] == 4


@pytest.mark.parametrize("scenario", ["SingleStream", "Offline"])
def test_interrupt_ends_it_promptly_and_leaves_nothing(tmp_path, network, data_dir, scenario):
    """A run of 600 s; the speeds announced keep the work of making queries small."""
    (tmp_path / "user.conf").write_text(
        "*.SingleStream.target_latency = 20\n*.Offline.target_qps = 99\n"
    )
    options = ("--user-conf", "user.conf", "-o", "logs")
    stdout, stderr = interrupt(
        [*COMMAND, network, "--scenario", scenario, "--data-dir", data_dir, *options],
        tmp_path,
        environment(),
    )
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert "VALID" not in stdout
    assert not (tmp_path / "logs").exists()


def test_bad_photographs_are_found_before_the_work(dna, data_dir, tmp_path):
    (data_dir / "5.jpg").write_text("no photograph")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", "-o", "logs", check=2)
    assert "5.jpg is not an image" in one_line_error(stderr)
    (data_dir / "5.jpg").unlink()
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", "-o", "logs", check=2)
    assert "val_map.txt line 6: no file 5.jpg" in one_line_error(stderr)
    assert not (tmp_path / "logs").exists()


def test_a_photograph_damaged_behind_its_header_ends_the_test(dna, data_dir, tmp_path):
    data = (data_dir / "5.jpg").read_bytes()
    (data_dir / "5.jpg").write_bytes(data[: len(data) // 2])
    for scenario in ("SingleStream", "Offline"):
        options = ("--scenario", scenario, "--min-duration", "1", "-o", "logs")
        _, _, stderr = dna(*options, check=2)
        assert "cannot read image" in one_line_error(stderr)
        assert "5.jpg" in one_line_error(stderr)
        assert not (tmp_path / "logs").exists()


def test_labels_that_the_network_does_not_know(dna, data_dir):
    (data_dir / "val_map.txt").write_text("0.jpg 3\n1.jpg 10\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 2 has label 10, of 10 classes" in one_line_error(stderr)
    (data_dir / "val_map.txt").write_text("0.jpg\n1.jpg\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 1 has no label" in one_line_error(stderr)


def test_other_bad_input(dna, tmp_path):
    scenario = ("--scenario", "Offline")
    _, _, stderr = dna(*scenario, "--samples", "21", check=2)
    assert "--samples 21: there are only 20 photographs" in one_line_error(stderr)
    _, _, stderr = dna(*scenario, "--user-conf", "absent.conf", check=2)
    assert "cannot read absent.conf: No such file" in one_line_error(stderr)
    (tmp_path / "user.conf").write_text("resnet50.Offline.target_qps = fast\n")
    _, _, stderr = dna(*scenario, "--user-conf", "user.conf", check=2)
    assert "user.conf is not a LoadGen configuration" in one_line_error(stderr)
    (tmp_path / "file").write_text("")
    _, _, stderr = dna(*scenario, "-o", "file/logs", check=2)
    assert "cannot write file/logs" in one_line_error(stderr)


def test_multistream(dna, tmp_path):
    """A query has eight photographs and its latency is that of all of them."""
    figures, _, _ = dna("--scenario", "MultiStream", "--min-duration", "1", "-o", "logs")
    assert figures["valid"] is True
    assert figures["images"] >= 8 * 662
    said = (tmp_path / "logs" / logs.SUMMARY).read_text()
    assert f"99.0th percentile latency (ns) : {round(figures['p99_ms'] * 1e6)}" in said
    assert figures["qps"] == pytest.approx(8000 / figures["mean_ms"])
    assert "1 of 600 seconds" in figures["shortfalls"]
    assert not any("queries" in shortfall for shortfall in figures["shortfalls"])


def test_a_named_audit_config_counts(dna, tmp_path):
    (tmp_path / "test05").write_text("*.*.qsl_rng_seed = 5\n")
    options = ("--scenario", "Offline", "--min-duration", "0.2", "-o", "logs")
    dna(*options, "--audit-config", "test05", "--round", "v1.1")
    detail = logs.Detail(tmp_path / "logs")
    assert detail["effective_qsl_rng_seed"] == 5
    assert detail["effective_schedule_rng_seed"] == 10051496985653635065
    _, _, stderr = dna(*options, "--audit-config", "absent", check=2)
    assert "cannot read absent: there is no such file" in one_line_error(stderr)


def test_a_photograph_counts_once(dna, data_dir):
    (data_dir / "val_map.txt").write_text("0.jpg 3\n1.jpg 2\n0.jpg 3\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 3 has 0.jpg again, as in line 1" in one_line_error(stderr)
