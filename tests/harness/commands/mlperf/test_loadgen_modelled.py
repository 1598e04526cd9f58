"""LoadGen at the speed of a modelled machine. The cycle model is a fixed number here."""

import json
import sys

import pytest

from harness.loadgen import logs
from harness.loadgen.machine import RESTART_CYCLES
from hw.config import PRESETS
from sim.memory.model import MemoryModel
from tests.support import timing_files
from tests.support.loadgen_runs import (
    PHOTOGRAPHS,
    environment,
    expected_classes,
    interrupt,
    one_line_error,
    with_fixed_cycles,
)
from tests.support.tiny import save_artifact, save_compiled, save_photographs

CYCLES = 600_000  # 2 ms at 300 MHz


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    save_artifact(folder / "tiny")
    save_compiled(folder / "micro", PRESETS["micro"])
    return folder


@pytest.fixture
def data_dir(tmp_path):
    return save_photographs(tmp_path / "photographs", PHOTOGRAPHS)


def command(network, data_dir, *options):
    return [
        *(sys.executable, "-m", "tests.support.fixed_cycles", "loadgen", str(network)),
        *("--data-dir", str(data_dir), "--timing", "modelled", *options),
    ]


@pytest.fixture
def dna(tmp_path, network, data_dir):
    """Runs `dna loadgen --timing modelled`: (exit code, figures or None, stdout, stderr)."""

    def run(*options, name="micro", cycles=CYCLES):
        return with_fixed_cycles(command(network / name, data_dir, *options), tmp_path, cycles)

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
    assert (device["config"], device["macs"], device["clock"]["mhz"]) == ("micro", 256, 300.0)
    assert (device["cycles"], device["restart_cycles"]) == (CYCLES, RESTART_CYCLES)
    assert device["memory"] == figures["memory"] == MemoryModel().figures(16)
    assert json.loads((tmp_path / "logs" / "modelled.json").read_text()) == figures
    for name in (logs.SUMMARY, logs.DETAIL):
        text = (tmp_path / "logs" / name).read_text()
        assert "modelled, not measured: configuration micro, 256 MACs, 300 MHz (assumed)" in text
    assert "modelled, not measured: configuration micro" in stdout
    assert "the host, between two images: " in stdout
    assert device["between_images"]["latency_ms"] > device["latency_ms"]
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
    assert figures["clock"] == {"mhz": 150.0, "proof": "assumed"}
    assert figures["pace"]["modelled"] == pytest.approx(4.0)
    assert figures["memory"] == MemoryModel(latency=100, bandwidth=0.25).figures(16)
    assert "memory of 4 bytes a cycle, latency 100 cycles" in stdout


def test_a_proved_clock(dna, tmp_path):
    """The summary says which clock was proved, by what, at which corner."""
    timing_files.save(tmp_path / "micro.json", PRESETS["micro"], fmax_mhz=150.0)
    options = ("--min-duration", "0.2", "--timing", "micro.json")
    _, figures, stdout, stderr = dna("--scenario", "SingleStream", *options)
    assert figures is not None, stderr
    assert figures["clock"]["mhz"] == 150.0
    assert figures["clock"]["proof"]["corner"] == "speed grade 8"
    assert figures["pace"]["modelled"] == pytest.approx(4.0)
    said = "150 MHz (proved: ecp5, speed grade 8, nextpnr-ecp5 0.11.1, micro.json)"
    assert said in stdout
    for name in (logs.SUMMARY, logs.DETAIL):
        assert said in (tmp_path / "logs" / name).read_text()
    code, _, _, stderr = dna("--scenario", "SingleStream", *options, "--clock", "151")
    assert code == 2
    assert "--clock 151 is more than micro.json proves of micro: 150 MHz" in one_line_error(stderr)


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
