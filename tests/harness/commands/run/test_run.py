import json

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.commands.run.run import command
from harness.host.between import softmax
from sim.quantization import dequantize, quantize
from sim.reference import ReferenceModel
from sim.runtime import Runtime
from sw import artifact
from sw.descriptions import Output, Weights
from sw.graph_builder import GraphBuilder
from sw.operations import Lookup
from tests.support.tiny import load_image, save_artifact, save_photographs


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return save_photographs(tmp_path_factory.mktemp("photographs"), 3)


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def expected_probabilities(network, path):
    loaded = artifact.load(network)
    image = quantize(load_image(path, "caffe"), loaded.manifest.input)
    logits = dequantize(ReferenceModel(loaded.graph).run(image[None]), loaded.manifest.output)[0]
    exponentials = np.exp(np.float64(logits))
    return exponentials / exponentials.sum()


def test_top_classes_with_names_and_probabilities(tmp_path, network, photographs):
    files = [photographs / "0.jpg", photographs / "2.jpg"]
    result = invoke(network, *files, "--json", tmp_path / "seen.json")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "seen.json").read_text())
    assert figures["failures"] == []
    assert [entry["file"] for entry in figures["images"]] == [str(file) for file in files]
    for file, entry in zip(files, figures["images"], strict=True):
        probabilities = expected_probabilities(network, file)
        best = sorted(range(10), key=lambda index: -probabilities[index])[:5]
        assert [found["index"] for found in entry["classes"]] == best
        for found in entry["classes"]:
            assert found["probability"] == pytest.approx(probabilities[found["index"]])
            assert found["name"] == f"thing {found['index']}"
        assert str(file) in result.stdout
    assert result.stdout.count("thing") == 10


def test_engines_agree(tmp_path, network, photographs):
    seen = []
    for engine in ("functional", "reference"):
        file = tmp_path / f"{engine}.json"
        options = ("--engine", engine, "--top", 10, "--json", file)
        assert invoke(network, photographs / "1.jpg", *options).exit_code == 0
        seen.append(json.loads(file.read_text()))
    assert seen[0]["images"] == seen[1]["images"]
    assert [figures["engine"] for figures in seen] == ["functional", "reference"]


def test_top_is_at_most_the_number_of_classes(network, photographs):
    assert invoke(network, photographs / "0.jpg", "--top", 1).stdout.count("thing") == 1
    assert invoke(network, photographs / "0.jpg", "--top", 99).stdout.count("thing") == 10
    assert invoke(network, photographs / "0.jpg", "--top", 0).exit_code == 2


def test_a_bad_image_does_not_cost_the_others_theirs(tmp_path, network, photographs):
    (tmp_path / "empty.jpg").touch()
    files = [tmp_path / "empty.jpg", photographs / "0.jpg", tmp_path / "absent.jpg"]
    result = invoke(network, *files, photographs / "1.jpg", "--json", tmp_path / "seen.json")
    assert result.exit_code == 2
    assert result.stdout.count("thing") == 10
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    assert "empty.jpg is empty" in lines[0]
    assert "absent.jpg: No such file" in lines[1]
    figures = json.loads((tmp_path / "seen.json").read_text())
    assert [failure["file"] for failure in figures["failures"]] == [str(files[0]), str(files[2])]
    assert len(figures["images"]) == 2


def test_no_image_is_a_usage_error(network):
    assert invoke(network).exit_code == 2


def test_bad_artifacts_are_one_line(tmp_path, photographs, monkeypatch, capsys):
    def failure(*arguments) -> str:
        monkeypatch.setattr("sys.argv", ["dna", "run", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        return next(line for line in lines if line.startswith("error: "))

    photograph = photographs / "0.jpg"
    assert "is not an artifact" in failure(tmp_path / "absent", photograph)
    small = save_artifact(tmp_path / "small", side=32, preprocessing="array")
    assert "takes arrays of shape (32, 32, 3)" in failure(small, photograph)
    other = save_artifact(tmp_path / "other")
    old = {"format_version": 1, "preprocessing": "vgg"}
    manifest = other / artifact.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | old))
    assert "no preprocessing 'vgg'" in failure(other, photograph)
    unwritable = tmp_path / "absent" / "seen.json"
    assert "cannot write" in failure(small, photograph, "--json", unwritable)


def test_softmax():
    probabilities = softmax(np.array([1.0, 1.0, 1000.0], np.float32))
    assert probabilities.tolist() == [0.0, 0.0, 1.0]
    half = softmax(np.log(np.array([1.0, 3.0], np.float32)))
    np.testing.assert_allclose(half, [0.25, 0.75], rtol=1e-6)


def test_a_network_that_gives_probabilities_gets_no_softmax(tmp_path, photographs):
    """It ends in a logistic function, as detectors and networks for several labels do."""
    builder = GraphBuilder("input", (224, 224, 3), 1.0, 0)
    builder.mean("mean", "input", Output(0.5, 0))
    rows = np.array([[3, 0, 0], [0, -9, 0], [0, 0, 5], [9, 9, -9]], np.int8)
    weights = Weights(rows, np.zeros(4, np.int32), np.full(4, 0.01, np.float32))
    builder.fully_connected("rows", "mean", weights, Output(0.05, 3))
    operation = Lookup(name="end", inputs=("rows",), output="end", function="logistic")
    values = (np.r_[0:128, -128:0] - 3) * 0.05
    table = np.rint(256 / (1 + np.exp(-values)) - 128).clip(-128, 127).astype(np.int8)
    builder.lookup(operation, table, Output(1 / 256, -128))
    graph = builder.finish("end")
    named = {"preprocessing": "caffe", "class_names": [*"abcd"]}
    network = artifact.make(graph, model="labels", framework="none", **named)
    artifact.save(network, tmp_path / "labels")
    file = photographs / "0.jpg"
    options = ("--top", 4, "--json", tmp_path / "seen.json")
    assert invoke(tmp_path / "labels", file, *options).exit_code == 0
    found = json.loads((tmp_path / "seen.json").read_text())["images"][0]["classes"]
    runtime = Runtime.load(tmp_path / "labels")
    answers = runtime.run(load_image(file, "caffe")[None])[0].reshape(-1)
    assert runtime.gives_probabilities
    for entry in found:
        assert entry["probability"] == pytest.approx(answers["abcd".index(entry["name"])])
