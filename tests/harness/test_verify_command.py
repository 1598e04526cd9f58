import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

from harness.commands import verify
from harness.commands.verify import command
from sw.errors import DnaError
from tests.harness.tiny import save_artifact, save_photographs

LAYERS = "block3.*"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    return save_photographs(tmp_path_factory.mktemp("photographs"), 1) / "0.jpg"


@pytest.fixture
def invoke(network, photograph):
    def call(*arguments):
        words = [network, "--config", "nano", "--image", photograph, "--jobs", 1, *arguments]
        return CliRunner().invoke(command, [str(word) for word in words])

    return call


@pytest.fixture
def wrong_bias(monkeypatch):
    """Plants a fault between the functional model and the hardware."""
    from sim import verify as simulation

    honest = simulation.layers_of

    def corrupted(graph, operations, tensors):
        for op in operations:
            graph.constants[f"{op.name}.bias"] = graph.constant(op, "bias") + np.int32(1 << 20)
        return honest(graph, operations, tensors)

    monkeypatch.setattr(simulation, "layers_of", corrupted)


def test_passes(invoke, tmp_path):
    result = invoke("--layers", LAYERS, "--json", tmp_path / "f.json")
    assert result.exit_code == 0, result.output
    assert "4 of 4 layers" in result.output and ", 0 differ" in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["config"], figures["engine"]) == ("nano", "cxxrtl")
    assert figures["complete"] is True
    names = [layer["name"] for layer in figures["layers"]]
    assert names == ["block3.shortcut", "block3.conv1", "block3.conv2", "block3.conv3"]
    for key in ("values", "mismatches", "cycles", "macs"):
        assert figures[key] == sum(layer[key] for layer in figures["layers"])
    assert figures["values"] > 0 and figures["mismatches"] == 0 and figures["seconds"] > 0
    assert figures["utilization"] == figures["macs"] / (16 * figures["cycles"])


def test_mismatch(invoke, wrong_bias, tmp_path):
    result = invoke("--layers", "logits", "--json", tmp_path / "f.json")
    assert result.exit_code == 1
    assert "logits: " in result.output and "expected" in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    (layer,) = figures["layers"]
    first = layer["first"]
    window = "{}:{}".format(*first["window"])
    assert layer["mismatches"] > 0 and first["expected"] != first["got"]
    for part in (
        f"(y, x, channel) {tuple(first['where'])}",
        "--layers logits",
        "--config nano",
        f"--waves logits.vcd --cycles {window}",
    ):
        assert part in result.output


@pytest.mark.parametrize("engine", ["cxxrtl", "pysim"])
def test_waves(invoke, tmp_path, engine):
    wanted = ("--waves", tmp_path / "w.vcd", "--cycles", "10:30", "--engine", engine)
    result = invoke("--layers", "logits", *wanted)
    assert result.exit_code == 0, result.output
    assert "$enddefinitions" in (tmp_path / "w.vcd").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "bloc3.conv1"], r"'bloc3\.conv1'.*block3\.conv1"),
        (["--config", "huge"], "no configuration 'huge'; choose one of nano"),
        (["--waves", "w.vcd"], "go together"),
        (["--cycles", "1:2"], "go together"),
        (["--waves", "w.vcd", "--cycles", "1:2", "--layers", "block3*"], "matches 4"),
        (["--json", "/absent/f.json"], "cannot write /absent/f.json"),
        (["--image", "/absent.jpg"], "/absent.jpg"),
    ],
)
def test_bad_input(invoke, arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, DnaError)

    assert re.search(message, str(result.exception))


@pytest.mark.parametrize("cycles", ["5", "5:5", "9:3", "a:b", "-1:4", ":"])
def test_bad_cycles(invoke, cycles):
    result = invoke("--waves", "w.vcd", f"--cycles={cycles}")
    assert result.exit_code == 2
    assert "is not a range of cycles" in result.output


def test_an_interrupt_keeps_what_is_done(invoke, monkeypatch, tmp_path):
    whole = verify._in_parallel

    def interrupted(*arguments):
        for number, result in enumerate(whole(*arguments)):
            if number == 2:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(verify, "_in_parallel", interrupted)
    result = invoke("--layers", LAYERS, "--json", tmp_path / "f.json")
    assert result.exit_code == 130
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["complete"] is False
    assert len(figures["layers"]) == 2


def test_a_failure_keeps_what_is_done(invoke, monkeypatch, tmp_path):
    def failing(*arguments):
        raise DnaError("a verification process died")
        yield

    monkeypatch.setattr(verify, "_in_parallel", failing)
    result = invoke("--layers", LAYERS, "--json", tmp_path / "f.json")
    assert isinstance(result.exception, DnaError)
    assert json.loads((tmp_path / "f.json").read_text())["complete"] is False


def test_help_has_an_example():
    assert "dna verify resnet50.dna" in CliRunner().invoke(command, ["--help"]).output
