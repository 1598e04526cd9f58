import json

import pytest
from click.testing import CliRunner

from harness.cli import dna
from hw.config import PRESETS
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw import artifact
from sw.errors import DnaError
from tests.support import timing_files
from tests.support.tiny import save_artifact, save_compiled


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    path = tmp_path_factory.mktemp("compiled") / "tiny.nano"
    return save_compiled(path, PRESETS["nano"], side=24)


def invoke(*arguments):
    result = CliRunner().invoke(dna, ["report", *map(str, arguments)])
    if isinstance(result.exception, DnaError):
        raise result.exception
    return result


def test_all_that_it_writes(compiled, tmp_path):
    files = [tmp_path / name for name in ("report.html", "trace.json", "report.json")]
    result = invoke(compiled, "-o", files[0], "--trace", files[1], "--json", files[2])
    assert result.exit_code == 0, result.output
    figures = json.loads(files[2].read_text())
    program = artifact.load(compiled).program
    cycles = predict(program).cycles
    assert figures["config"] == "nano"
    assert figures["cycles"] == cycles
    assert figures["macs"] == sum(layer.macs for layer in program.layers)
    assert figures["utilization"] == pytest.approx(figures["macs"] / (32 * cycles))
    assert figures["latency_ms"] == pytest.approx(cycles / 300e3)
    assert figures["throughput_per_s"] == pytest.approx(300e6 / cycles)
    assert [layer["name"] for layer in figures["layers"]] == [la.name for la in program.layers]
    assert {"cycles", "macs", "bound"} <= figures["layers"][0].keys()
    assert f"{cycles:,}" in files[0].read_text()
    assert json.loads(files[1].read_text())["traceEvents"]
    assert f"{figures['latency_ms']:.3f} ms" in result.output and "modelled" in result.output
    assert f"wrote {', '.join(map(str, files))}" in result.output


def test_images_a_second_are_those_of_the_program_of_several(tmp_path):
    path = save_compiled(tmp_path / "tiny.nano", PRESETS["nano"], side=24, images=3)
    page, json_file = tmp_path / "report.html", tmp_path / "report.json"
    result = invoke(path, "--json", json_file, "-o", page)
    assert result.exit_code == 0, result.output
    figures, network = json.loads(json_file.read_text()), artifact.load(path)
    one, several = predict(network.program).cycles, predict(network.batch).cycles
    assert figures["cycles"] == one and figures["latency_ms"] == pytest.approx(one / 300e3)
    assert figures["throughput_per_s"] == pytest.approx(3 * 300e6 / several)
    batch = figures["batch"]
    assert (batch["images"], batch["cycles"]) == (3, several)
    assert batch["cycles_per_image"] == pytest.approx(several / 3)
    assert batch["utilization"] == pytest.approx(3 * figures["macs"] / (32 * several))
    assert f"program of 3 images: {several:,} cycles" in result.output
    assert "Images a second, 3 at a time" in page.read_text()


def test_the_worst_layers_say_to_what_they_lose(compiled, tmp_path):
    result = invoke(compiled, "--json", tmp_path / "report.json")
    layers = json.loads((tmp_path / "report.json").read_text())["layers"]
    worst = max(layers, key=lambda layer: layer["lost"])
    (line,) = (line for line in result.output.splitlines() if line.startswith(f" {worst['name']} "))
    assert f"{worst['lost']:,}" in line
    for use, cycles in worst["uses"].items():
        assert (f"{cycles:,} {use}" in line) is (use != "macs")
    over = [layer for layer in layers if f"{layer['name']} uses more than 100%" in result.output]
    assert all(layer["utilization"] > 1 and layer["early"] for layer in over)


def test_nothing_was_written(compiled):
    assert "wrote" not in invoke(compiled).output


def test_clock_and_memory(compiled, tmp_path):
    options = ["--clock", "100", "--memory-latency", "200", "--memory-bandwidth", "0.5"]
    assert invoke(compiled, *options, "--json", tmp_path / "slow.json").exit_code == 0
    figures = json.loads((tmp_path / "slow.json").read_text())
    program = artifact.load(compiled).program
    slow = predict(program, MemoryModel(latency=200, bandwidth=0.5)).cycles
    assert figures["cycles"] == slow > predict(program).cycles
    assert figures["latency_ms"] == pytest.approx(slow / 100e3)
    assert figures["memory"]["latency_cycles"] == 200
    assert figures["memory"]["bytes_per_cycle"] == 4


def test_a_memory_by_name(compiled, tmp_path):
    options = ["--memory", "2xddr3-1600x16", "--clock", "150"]
    result = invoke(compiled, *options, "--json", tmp_path / "dram.json", "-o", tmp_path / "r.html")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "dram.json").read_text())
    memory = MemoryModel.named("2xddr3-1600x16", 150)
    assert figures["cycles"] == predict(artifact.load(compiled).program, memory).cycles
    assert figures["memory"] == memory.figures(8)
    assert figures["memory"]["name"] == "2xddr3-1600x16"
    assert figures["memory"]["gb_per_s"] == pytest.approx(6.4)
    assert "2xddr3-1600x16 memory" in result.output
    assert "2xddr3-1600x16: at most" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--memory", "core"], "no memory 'core'; choose one of ideal, .*ddr3-1600x16"),
        (["--memory", "hbm2-channel", "--memory-latency", "9"], "leave it out with hbm2-channel"),
    ],
)
def test_memories_that_are_refused(compiled, options, message):
    with pytest.raises(DnaError, match=message):
        invoke(compiled, *options)


def test_a_proved_clock(compiled, tmp_path):
    file = timing_files.save(tmp_path / "nano<1>.json", PRESETS["nano"])
    page, figures = tmp_path / "report.html", tmp_path / "report.json"
    result = invoke(compiled, "--timing", file, "-o", page, "--json", figures)
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text())
    assert found["clock"]["mhz"] == 48.75
    assert found["clock"]["proof"]["target"] == "ecp5"
    assert found["clock"]["proof"]["corner"] == "speed grade 8"
    assert found["latency_ms"] == pytest.approx(found["cycles"] / 48.75e3)
    assert found["proved_area"] == {"machine": {"LUT4": 12000}}
    assert "48.75 MHz (proved: ecp5, speed grade 8" in result.output
    text = page.read_text()
    assert "48.75 MHz (proved: ecp5, speed grade 8" in text and "nano&lt;1&gt;.json" in text
    assert "LUT4" in text and "12,000" in text


def test_more_than_the_file_proves_is_refused(compiled, tmp_path):
    file = timing_files.save(tmp_path / "nano.json", PRESETS["nano"])
    with pytest.raises(DnaError, match="--clock 100 is more than"):
        invoke(compiled, "--timing", file, "--clock", 100)
    other = timing_files.save(tmp_path / "micro.json", PRESETS["micro"])
    with pytest.raises(DnaError, match="is about another machine: micro"):
        invoke(compiled, "--timing", other)


def test_an_artifact_without_a_program(tmp_path):
    model = save_artifact(tmp_path / "tiny", side=24)
    with pytest.raises(DnaError, match=r"tiny has no program; make one with `dna compile"):
        invoke(model)


@pytest.mark.parametrize("option", ["-o", "--trace", "--json"])
def test_what_cannot_be_written_is_known_before_the_work(compiled, tmp_path, monkeypatch, option):
    monkeypatch.setattr("sim.cycles.predict", None)
    with pytest.raises(DnaError, match="cannot write"):
        invoke(compiled, option, tmp_path / "missing" / "file")


@pytest.mark.parametrize(
    "options", [("--clock", 0), ("--memory-latency", 0), ("--memory-bandwidth", 1.5)]
)
def test_bad_options(compiled, options):
    assert invoke(compiled, *options).exit_code == 2
