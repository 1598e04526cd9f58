"""LoadGen at the speed of a modelled machine. The cycle model is a fixed number here."""

import json
import subprocess
import sys
import time

import mlperf_loadgen
import numpy as np
import pytest

from harness.loadgen import logs, modelled, pace
from harness.loadgen.machine import DRIVER_ACCESSES, RESTART_CYCLES, ModelledMachine
from harness.loadgen.modelled import ModelledSystem
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import ISA_VERSION, MAGIC
from sim.driver import Driver
from sim.rtl.memory import MemoryModel
from sw import artifact
from sw.compiler import compile_graph
from tests.harness.loadgen.test_loadgen import (
    environment,
    expected_classes,
    interrupt,
    one_line_error,
)
from tests.harness.tiny import save_artifact, save_photographs

PHOTOGRAPHS = 20
CYCLES = 600_000  # 2 ms at 300 MHz
MACHINE = ModelledMachine(
    config="toy",
    macs=32,
    clock_mhz=100.0,
    cycles=100_000,
    memory=MemoryModel(bandwidth=0.5),
    dram_bytes_per_cycle=8,
)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    loaded = artifact.load(save_artifact(folder / "tiny"))
    program = compile_graph(loaded.graph, PRESETS["micro"])
    artifact.save(artifact.with_program(loaded, program), folder / "micro")
    return folder


@pytest.fixture
def data_dir(tmp_path):
    return save_photographs(tmp_path / "photographs", PHOTOGRAPHS)


def command(network, data_dir, *options):
    return [
        *(sys.executable, "-m", "tests.harness.fixed_cycles", "loadgen", str(network)),
        *("--data-dir", str(data_dir), "--timing", "modelled", *options),
    ]


@pytest.fixture
def dna(tmp_path, network, data_dir):
    """Runs `dna loadgen --timing modelled`: (exit code, figures or None, stdout, stderr)."""

    def run(*options, name="micro", cycles=CYCLES):
        done = subprocess.run(
            command(network / name, data_dir, "--json", "figures.json", "-o", "logs", *options),
            cwd=tmp_path,
            env={**environment(), "FIXED_CYCLES": str(cycles)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        file = tmp_path / "figures.json"
        figures = json.loads(file.read_text()) if file.is_file() else None
        return done.returncode, figures, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_performance_run(dna, tmp_path, scenario):
    """No query is ever early; how late one may be is this computer's business."""
    code, figures, stdout, stderr = dna("--scenario", scenario, "--min-duration", "1")
    assert figures is not None, stderr
    assert figures["timing"] == "modelled"
    assert figures["valid"] is True
    assert code == (0 if figures["pace"]["kept"] else 1)
    assert ("MISSED" in stdout) is not figures["pace"]["kept"]
    restart = RESTART_CYCLES / 300e3
    expected = {
        "SingleStream": (2.0, figures["p90_ms"]),
        "MultiStream": (8 * 2.0 + 7 * restart, figures["p99_ms"]),
        "Offline": (1000 / (2.0 + restart), figures["qps"]),
    }[scenario]
    assert figures["pace"]["modelled"] == pytest.approx(expected[0])
    assert figures["pace"]["error"] == pytest.approx(expected[1] / expected[0] - 1)
    if scenario == "Offline":
        assert figures["qps"] <= 1.002 * expected[0]
    else:
        assert figures["p90_ms"] >= 0.998 * expected[0]
        assert figures["pace"]["queries"] == figures["images"] // (1 if scenario[0] == "S" else 8)

    device = figures["device"]
    assert (device["config"], device["macs"], device["clock_mhz"]) == ("micro", 256, 300.0)
    assert (device["cycles"], device["restart_cycles"]) == (CYCLES, RESTART_CYCLES)
    assert device["memory"] == {
        "latency_cycles": 64,
        "words_per_cycle": 1.0,
        "bytes_per_cycle": 16.0,
    }
    assert json.loads((tmp_path / "logs" / "modelled.json").read_text()) == figures
    for name in (logs.SUMMARY, logs.DETAIL):
        text = (tmp_path / "logs" / name).read_text()
        assert "modelled, not measured: configuration micro, 256 MACs, 300 MHz" in text
    assert "modelled, not measured: configuration micro" in stdout
    assert "1 of 600 seconds" in stdout


def test_accuracy_run_has_the_functional_models_answers(dna, network, data_dir, tmp_path):
    """Seven photographs in memory at a time: three sets are answered, run and let go."""
    expected = expected_classes(network / "tiny", data_dir)
    (data_dir / "val_map.txt").write_text(
        "".join(f"{number}.jpg {label}\n" for number, label in enumerate(expected))
    )
    code, figures, _, _ = dna("--scenario", "SingleStream", "--accuracy", "--samples", "7")
    assert code == 0
    assert (figures["timing"], figures["top1"]) == ("modelled", 1.0)
    assert "pace" not in figures
    assert logs.answers(tmp_path / "logs") == dict(enumerate(expected))


def test_clock_and_memory_are_options(dna):
    options = ("--clock", "150", "--memory-latency", "100", "--memory-bandwidth", "0.25")
    _, figures, stdout, _ = dna("--scenario", "SingleStream", "--min-duration", "0.2", *options)
    assert figures["device"]["clock_mhz"] == 150.0
    assert figures["pace"]["modelled"] == pytest.approx(4.0)
    assert figures["device"]["memory"] == {
        "latency_cycles": 100,
        "words_per_cycle": 0.25,
        "bytes_per_cycle": 4.0,
    }
    assert "memory 4 B a cycle, latency 100 cycles" in stdout


def test_bad_input(dna):
    scenario = ("--scenario", "SingleStream")
    code, _, _, stderr = dna(*scenario, name="tiny")
    assert code == 2
    assert "tiny has no program; make one with `dna compile" in one_line_error(stderr)
    code, _, _, stderr = dna(*scenario, "--timing", "host", "--clock", "300")
    assert code == 2
    assert "--clock goes with --timing modelled" in one_line_error(stderr)


def test_interrupt_leaves_nothing(tmp_path, network, data_dir):
    """Also when a single image would take minutes."""
    options = ("--scenario", "SingleStream", "-o", "logs")
    stdout, _ = interrupt(
        command(network / "micro", data_dir, *options),
        tmp_path,
        {**environment(), "FIXED_CYCLES": str(10**11)},
    )
    assert "VALID" not in stdout
    assert not (tmp_path / "logs").exists()


def test_times_of_a_device():
    assert MACHINE.latency() == pytest.approx(1e-3)
    assert MACHINE.latency(3) == pytest.approx((300_000 + 2 * RESTART_CYCLES) / 100e6)
    assert MACHINE.throughput == pytest.approx(100e6 / (100_000 + RESTART_CYCLES))
    assert MACHINE.figures()["memory"]["bytes_per_cycle"] == 4.0


class CountingMachine:
    """Registers that answer like a machine's at rest, and count the accesses."""

    def __init__(self, program):
        digest = int(program.config.digest, 16)
        self.accesses = 0
        self.memory = np.zeros(program.memory.size, np.uint8)
        self._values = {
            "id": MAGIC,
            "version": ISA_VERSION,
            "config_high": digest >> 32,
            "config_low": digest & 0xFFFFFFFF,
            "status": 0,
        }

    def write(self, offset, content):
        pass

    def csr_read(self, name):
        self.accesses += 1
        return self._values[name]

    def csr_write(self, name, value):
        self.accesses += 1
        assert name != "control" or value == registers.CONTROL_START

    def run_to_interrupt(self, max_cycles, progress):
        pass


def test_the_driver_makes_as_many_accesses_as_the_model_counts(network):
    program = artifact.load(network / "micro").program
    machine = CountingMachine(program)
    driver = Driver(machine, program)
    shape = (program.memory.input.height, program.memory.input.width, 3)
    before = machine.accesses
    driver.run(np.zeros(shape, np.int8))
    assert machine.accesses - before == DRIVER_ACCESSES


class Sample:
    def __init__(self, number):
        self.id = self.index = number


@pytest.fixture
def completions(monkeypatch):
    """When samples were completed, seconds of the performance counter, and their responses."""
    seen = []
    monkeypatch.setattr(
        mlperf_loadgen,
        "QuerySamplesComplete",
        lambda responses: seen.append((time.perf_counter(), responses[0])),
    )
    monkeypatch.setattr(modelled, "_prefer_this_thread", lambda: False)
    return seen


def test_samples_of_a_query_complete_one_after_the_other(completions):
    answers = {number: np.full(1, number, np.float32) for number in range(3)}
    system = ModelledSystem(answers, MACHINE.latency)
    start = time.perf_counter()
    system.issue([Sample(number) for number in range(3)])
    assert [response.id for _, response in completions] == [0, 1, 2]
    for number, (when, response) in enumerate(completions, 1):
        assert when - start >= MACHINE.latency(number)
        assert response.size == 4
    assert system.completed == 3
    assert len(system.late) == 1
    assert system.late[0] >= 0


def test_a_missing_answer_ends_the_test(completions):
    system = ModelledSystem({}, MACHINE.latency)
    system.issue([Sample(0), Sample(1)])
    assert isinstance(system.failure, KeyError)
    assert [response.size for _, response in completions] == [0, 0]


def write_logs(folder, latency_ns, scenario="SingleStream"):
    values = {
        "effective_scenario": scenario,
        "effective_samples_per_query": 1,
        **{f"result_{name}_latency_ns": latency_ns for name in ("min", "mean", "max")},
        **{f"result_{name}_percentile_latency_ns": latency_ns for name in pace.PERCENTILES},
    }
    lines = [
        logs.entry({"key": key, "value": value, "metadata": {"is_error": False}})
        for key, value in values.items()
    ]
    (folder / logs.DETAIL).write_text("".join(lines))


@pytest.mark.parametrize(("late_us", "kept"), [(0, True), (9, True), (-9, True), (11, False)])
def test_pace_is_held_against_the_model(tmp_path, late_us, kept):
    write_logs(tmp_path, 1_000_000 + 1000 * late_us)
    system = ModelledSystem({}, MACHINE.latency)
    system.late.extend([late_us * 1e-6, 0.0])
    found = pace.pace(MACHINE, system, tmp_path, 1 + late_us * 1e-3, 2e-6)
    assert found.kept is kept
    assert found.error == pytest.approx(late_us * 1e-3)
    assert found.outside == (0 if kept else 1)
    assert found.errors["90.00"] == pytest.approx(late_us * 1e-3)
    assert found.overhead_us == pytest.approx(2)


def test_overhead_of_the_bindings_is_measured_and_small():
    assert 0 < modelled.binding_overhead() < 1e-3
