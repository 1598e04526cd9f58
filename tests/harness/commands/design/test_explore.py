import json
import os
import signal
import subprocess
import sys
import threading
import time
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.explore import evaluate as evaluation
from harness.explore import sweep
from hw.config import PRESETS, DnaConfig
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw import artifact
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.support import timing_files
from tests.support.clusters import local_cluster
from tests.support.tiny import save_artifact

SWEEP = ["--config", "nano", "--modules", "1,2", "--array", "4,8", "--fifo", "1,2", "--dram", "8"]
MACHINES = 8


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("model") / "tiny", side=24)


def invoke(*arguments):
    result = CliRunner().invoke(dna, ["explore", *map(str, arguments)])
    if isinstance(result.exception, DnaError):
        raise result.exception
    return result


def explore(model, folder, *options):
    """The figures of a sweep that runs."""
    files = ["--state", folder / "state.jsonl", "--json", folder / "sweep.json"]
    result = invoke(model, *SWEEP, *files, *options)
    assert result.exit_code == 0, result.output
    return json.loads((folder / "sweep.json").read_text())


def keys(file):
    return [json.loads(line)["key"] for line in file.read_text().splitlines() if line]


def test_rows_are_what_each_machine_takes(model, tmp_path):
    figures = explore(model, tmp_path, "--workers", 1, "--clock", "100,200")
    assert len(figures["rows"]) == 2 * MACHINES
    graph = artifact.load(model).graph
    for row in figures["rows"]:
        if row["refused"] is not None:
            assert "dram_bytes_per_cycle must be from 8 to modules x columns (4)" in row["refused"]
            continue
        config = DnaConfig(**row["parameters"])
        cycles = predict(compile_graph(graph, config)).cycles
        assert row["cycles"] == cycles
        assert row["latency_ms"] == pytest.approx(cycles / (1e3 * row["clock"]["mhz"]))
    assert sum(row["refused"] is not None for row in figures["rows"]) == 4
    assert {row["clock"]["mhz"] for row in figures["rows"] if row["front"]} == {200}
    assert figures["modelled"] is True


def test_a_file_proves_the_clock_of_its_machine_only(model, tmp_path):
    small = ["--config", "nano", "--fifo", "1,2", "--workers", 1, "--state", tmp_path / "state"]
    done = invoke(model, *small, "--json", tmp_path / "before.json")
    assert done.exit_code == 0, done.output
    before = json.loads((tmp_path / "before.json").read_text())["rows"]
    assert {row["clock"]["proof"] for row in before} == {"assumed"}
    assert "clock: 300 MHz (assumed)" in done.output

    config = DnaConfig(**before[0]["parameters"])
    file = timing_files.save(tmp_path / "one.json", config)
    done = invoke(model, *small, "--timing", file, "--json", tmp_path / "after.json")
    assert done.exit_code == 0, done.output
    after = json.loads((tmp_path / "after.json").read_text())["rows"]
    clocks = {row["name"]: row["clock"] for row in after}
    assert clocks.pop(config.name)["proof"]["corner"] == "speed grade 8"
    assert [clock["proof"] for clock in clocks.values()] == ["assumed"]
    assert "clock: 48.75 MHz (proved: ecp5, speed grade 8" in done.output
    with pytest.raises(DnaError, match="--clock 50 is more than"):
        invoke(model, *small, "--timing", file, "--clock", 50)
    with pytest.raises(DnaError, match="are about the same machine"):
        invoke(model, *small, "--timing", file, "--timing", file)
    other = timing_files.save(tmp_path / "other.json", PRESETS["micro"])
    with pytest.raises(DnaError, match="is about none of the configurations"):
        invoke(model, *small, "--timing", other)


def test_what_the_compiler_refuses_is_a_row(model, tmp_path):
    configs = [msgspec.to_builtins(PRESETS["nano"]) for _ in range(2)]
    configs[1] |= {"name": "tiny", "feature_words": 16}
    (tmp_path / "configs.json").write_text(json.dumps(configs))
    files = ["--state", tmp_path / "state.jsonl", "--json", tmp_path / "sweep.json"]
    result = invoke(model, "--configs", tmp_path / "configs.json", "--workers", 1, *files)
    assert result.exit_code == 0, result.output
    runs, refused = json.loads((tmp_path / "sweep.json").read_text())["rows"]
    assert runs["refused"] is None
    assert "feature words" in refused["refused"]
    assert f"refused: tiny: {refused['refused']}" in result.output


def test_nothing_runs(model, tmp_path):
    result = invoke(model, "--modules", 3, "--state", tmp_path / "state.jsonl")
    assert result.exit_code == 1
    assert "none of the configurations runs" in result.output


def test_table_and_picture(model, tmp_path):
    files = ["--state", tmp_path / "state.jsonl", "--picture", tmp_path / "pareto.svg"]
    result = invoke(model, *SWEEP, *files, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "2x8x8-w1-d8" in result.output and "modelled" in result.output
    assert f"wrote {files[3]}, {files[1]}" in result.output
    dots = ElementTree.parse(tmp_path / "pareto.svg").findall("{http://www.w3.org/2000/svg}circle")
    assert len(dots) == 6


def test_configurations_from_a_file(model, tmp_path):
    file = tmp_path / "configs.json"
    config = msgspec.to_builtins(PRESETS["nano"])
    file.write_text(json.dumps([config, {**config, "name": "bad", "rows": 3}]))
    state = ["--state", tmp_path / "state.jsonl", "--json", tmp_path / "sweep.json"]
    assert invoke(model, "--configs", file, *state).exit_code == 0
    rows = json.loads((tmp_path / "sweep.json").read_text())["rows"]
    assert [(row["name"], row["refused"] is None) for row in rows] == [
        ("nano", True),
        ("bad", False),
    ]
    with pytest.raises(DnaError, match="leave out --modules"):
        invoke(model, "--configs", file, "--modules", 2, *state)


def test_the_same_command_goes_on(model, tmp_path, monkeypatch):
    first = explore(model, tmp_path, "--workers", 1)
    lines = (tmp_path / "state.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "state.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:10])
    asked = []

    def evaluate(task, original=evaluation.evaluate):
        asked.append(task)
        return original(task)

    monkeypatch.setattr(sweep, "evaluate", evaluate)
    assert explore(model, tmp_path, "--workers", 1) == first
    assert len(asked) == len(lines) - 2
    assert explore(model, tmp_path, "--workers", 1) == first
    assert len(asked) == len(lines) - 2


def test_ctrl_c_keeps_what_is_done(model, tmp_path, monkeypatch):
    def evaluate(task, original=evaluation.evaluate):
        if task.config.modules == 2 and task.config.rows == 8:
            raise KeyboardInterrupt
        return original(task)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "evaluate", evaluate)
        options = ["--state", tmp_path / "state.jsonl", "--workers", 1]
        result = invoke(model, *SWEEP, *options)
    assert result.exit_code == 130
    assert "interrupted; 4 of 6 configurations" in result.output
    assert len(keys(tmp_path / "state.jsonl")) == 4
    explore(model, tmp_path, "--workers", 1)
    assert len(keys(tmp_path / "state.jsonl")) == len(set(keys(tmp_path / "state.jsonl"))) == 6


def test_killed_it_loses_nothing(model, tmp_path):
    state = tmp_path / "state.jsonl"
    wide = [model, *SWEEP, "--fifo", "1,2,4,8,16,32", "--depth", "16,32,64", "--state", state]
    command = [sys.executable, "-m", "harness.cli", "explore", *map(str, wide)]
    process = subprocess.Popen([*command, "--workers", "1"], stderr=subprocess.DEVNULL)
    while not (state.exists() and len(state.read_bytes().splitlines()) > 3):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = keys(state) if state.read_bytes().endswith(b"\n") else keys(state)[:-1]
    assert invoke(*wide, "--workers", 1).exit_code == 0
    after = keys(state)
    assert after[: len(found)] == found
    assert len(set(after)) == len(after) == 6 * 3 * 3


def test_a_worker_of_a_cluster_that_is_killed_costs_nothing(model, tmp_path):
    state = tmp_path / "state.jsonl"
    here = explore(model, tmp_path, "--workers", 1)
    state.unlink()
    with local_cluster() as cluster:
        worker = cluster.workers[0].pid
        killed = threading.Event()

        def kill():
            while not (state.exists() and state.read_bytes().count(b"\n") > 1):
                time.sleep(0.01)
            os.kill(worker, signal.SIGKILL)
            killed.set()

        threading.Thread(target=kill, daemon=True).start()
        there = explore(model, tmp_path, "--scheduler", cluster.scheduler_address)
    assert killed.is_set()
    assert there == here
    assert len(keys(state)) == len(set(keys(state))) == 6


def test_another_version_of_the_sources_is_not_mixed_in(model, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation, "model_digest", lambda: "other")
    task = evaluation.Task(
        model, artifact.network_digest(artifact.load(model)), "this", PRESETS["nano"], None
    )
    with pytest.raises(DnaError, match="other sources of open-dna"):
        evaluation.evaluate(task)


def test_another_network_at_the_same_path(model):
    task = evaluation.Task(
        model, "other", evaluation.model_digest(), PRESETS["nano"], MemoryModel()
    )
    with pytest.raises(DnaError, match="another network at"):
        evaluation.evaluate(task)


@pytest.mark.parametrize("value", ["", "1,", "a", "0", "-2", "1.5", "2,,4"])
def test_bad_lists(model, value):
    result = invoke(model, "--modules", value)
    assert result.exit_code == 2
