import dataclasses
import json

import numpy as np
import pytest

from harness.cli import main
from sim.runtime import Runtime
from sw import artifact
from tests.support.tflite_models import CODE, RELU, VALID, Maker


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    net = Maker(np.random.default_rng(4))
    x = net.conv(net.input((1, 9, 8, 3)), 8, (3, 3), (2, 2), act=RELU)
    x = net.depthwise(x, 1, (3, 3))
    x = net.pool(x, CODE.AVERAGE_POOL_2D, x.shape[1:3], (1, 1), VALID)
    x = net.softmax(net.fully_connected(net.reshape(x, (1, 8)), 5))
    path = tmp_path_factory.mktemp("models") / "little.tflite"
    path.write_bytes(net.finish(net.dequantize(x)))
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["dna", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


@pytest.fixture
def imported(monkeypatch, tmp_path, model):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"thing {i}\n" for i in range(5)))
    output = tmp_path / "little.dna"
    figures = tmp_path / "figures.json"
    arguments = ("--labels", labels, "-o", output, "--json", figures)
    assert run(monkeypatch, "import", model, *arguments) == 0
    return output, json.loads(figures.read_text())


def test_the_artifact_is_the_network_without_its_edges(imported):
    output, figures = imported
    network = artifact.load(output)
    assert network.manifest.framework == "tflite"
    assert network.manifest.class_names[4] == "thing 4"
    assert figures["operators"] == 7
    assert figures["operations"] == len(network.graph.operations) == 4
    ways = {row["code"]: row["on_the_machine"] for row in figures["kinds"]}
    assert ways["SOFTMAX"] == ways["DEQUANTIZE"] == "no: for the host"
    assert "diagonal" in ways["DEPTHWISE_CONV_2D"]


def test_it_runs_and_compiles_like_any_other(monkeypatch, capsys, tmp_path, imported):
    output, _ = imported
    image = np.random.default_rng(0).integers(-128, 128, (9, 8, 3)).astype(np.int8)
    np.save(tmp_path / "image.npy", image)
    seen, compiled = tmp_path / "seen.json", tmp_path / "nano.dna"
    assert run(monkeypatch, "run", output, tmp_path / "image.npy", "--json", seen) == 0
    best = json.loads(seen.read_text())["images"][0]["classes"][0]["index"]
    assert best == Runtime.load(output).run(image[None])[0].argmax()
    assert run(monkeypatch, "compile", output, "--config", "nano", "-o", compiled) == 0
    assert artifact.load(compiled).program is not None
    assert run(monkeypatch, "compare", output, tmp_path / "image.npy") == 0
    for command in ("compare", "verify"):
        capsys.readouterr()
        assert run(monkeypatch, command, output) == 2
        assert "no photographs" in capsys.readouterr().err


def test_compare_runs_the_file_itself(monkeypatch, capsys, tmp_path, model):
    file = tmp_path / "compared.json"
    assert run(monkeypatch, "compare", model, "--random", 2, "--jobs", 1, "--json", file) == 0
    figures = json.loads(file.read_text())
    assert [row["name"] for row in figures["operators"]] == [
        "0 CONV_2D",
        "1 DEPTHWISE_CONV_2D",
        "2 AVERAGE_POOL_2D",
        "3 RESHAPE",
        "4 FULLY_CONNECTED",
    ]
    assert figures["mismatches"] == 0
    assert figures["inputs"] == 2
    assert "0 differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 8, 4), np.int8), "shape (9, 8, 4)"),
        (np.zeros((9, 8, 3), np.int32), "int32"),
        (None, "cannot read"),
    ],
)
def test_arrays_that_do_not_fit_are_named(monkeypatch, capsys, tmp_path, model, array, words):
    path = tmp_path / "array.npy"
    if array is None:
        path.write_bytes(b"no array")
    else:
        np.save(path, array)
    assert run(monkeypatch, "compare", model, path) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_of_other_types_are_converted(monkeypatch, tmp_path, model, dtype):
    np.save(tmp_path / "array.npy", np.ones((1, 9, 8, 3), dtype))
    assert run(monkeypatch, "compare", model, tmp_path / "array.npy", "--jobs", 1) == 0


def test_a_refusal_is_one_line(monkeypatch, capsys, tmp_path, model):
    path = tmp_path / "broken.tflite"
    path.write_bytes(model.read_bytes()[:500])
    assert run(monkeypatch, "import", path, "-o", tmp_path / "broken.dna") == 2
    error = capsys.readouterr().err
    assert "broken.tflite" in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "broken.dna").exists()


def test_photographs_need_an_input_of_their_shape(monkeypatch, capsys, tmp_path):
    net = Maker(np.random.default_rng(4))
    x = net.conv(net.input((1, 9, 8, 2)), 8, (3, 3))
    (tmp_path / "two.tflite").write_bytes(net.finish(net.dequantize(x)))
    arguments = ("--preprocessing", "caffe", "-o", tmp_path / "little.dna")
    assert run(monkeypatch, "import", tmp_path / "two.tflite", *arguments) == 2
    assert "(9, 8, 2)" in capsys.readouterr().err


def test_onnx_prints_how_far_its_runtime_is(monkeypatch, capsys, tmp_path):
    from tests.support.onnx_models import save_quantized

    path, output, figures = (
        save_quantized(tmp_path, "QDQ", "QUInt8"),
        tmp_path / "small.dna",
        tmp_path / "figures.json",
    )
    assert run(monkeypatch, "import", path, "-o", output, "--json", figures) == 0
    read = json.loads(figures.read_text())
    rows = {row["kind"]: row for row in read["differences"]}
    assert rows["Conv2D"]["values"] > 0
    assert rows["Conv2D"]["differing"] == 0
    assert len(read["layers"]) == read["operations"] == 7
    assert artifact.load(output).manifest.framework == "onnx"
    assert "0 of 255 steps" in capsys.readouterr().out


def test_onnx_that_computes_another_thing_is_no_artifact_unless_kept(monkeypatch, capsys, tmp_path):
    """With an importer that takes every weight for another, as only the second net can see."""
    from sw.frontends.onnx import operators
    from tests.support.onnx_models import save_quantized

    real = operators.Computation.weights

    def turned(self, pending, rank, axis):
        weights = real(self, pending, rank, axis)
        return dataclasses.replace(weights, values=weights.values[::-1].copy())

    monkeypatch.setattr(operators.Computation, "weights", turned)
    path, output = save_quantized(tmp_path, "QDQ", "QUInt8"), tmp_path / "small.dna"
    figures = tmp_path / "figures.json"
    assert run(monkeypatch, "import", path, "-o", output, "--json", figures) == 1
    error = capsys.readouterr().err.splitlines()
    assert error
    assert all(line.startswith("error: ") and "ONNX Runtime" in line for line in error)
    assert not output.exists()
    read = json.loads(figures.read_text())
    assert read["artifact"] is None
    assert len(read["faults"]) == len(error)
    assert read["whole"]["largest"] > read["whole"]["explained"]
    assert run(monkeypatch, "import", path, "-o", output, "--keep") == 1
    assert artifact.load(output).manifest.framework == "onnx"


def test_tflite_that_is_imported_wrong_is_no_artifact_unless_kept(
    monkeypatch, capsys, tmp_path, model
):
    """With an importer that takes every weight for another, as only the second net can see."""
    from sw.frontends.tflite.operators import handlers as operators

    real = operators.Translation.weights

    def turned(self, *arguments):
        weights = real(self, *arguments)
        return dataclasses.replace(weights, values=weights.values[::-1].copy())

    monkeypatch.setattr(operators.Translation, "weights", turned)
    output, figures = tmp_path / "little.dna", tmp_path / "figures.json"
    assert run(monkeypatch, "import", model, "-o", output, "--json", figures) == 1
    error = capsys.readouterr().err.splitlines()
    assert error
    assert all(line.startswith("error: operator ") and "LiteRT" in line for line in error)
    assert not output.exists()
    read = json.loads(figures.read_text())
    assert read["artifact"] is None
    assert read["whole"]["differing"] > 0
    assert run(monkeypatch, "import", model, "-o", output, "--keep") == 1
    assert artifact.load(output).manifest.framework == "tflite"


def test_tflite_says_what_is_left_to_the_host(monkeypatch, capsys, tmp_path, model):
    figures = tmp_path / "figures.json"
    assert run(monkeypatch, "import", model, "-o", tmp_path / "x.dna", "--json", figures) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "note: operator 5 (SOFTMAX) is left to the host; the artifact ends with" in out
    assert "every operator against the file in LiteRT, 2 random inputs" in out
    read = json.loads(figures.read_text())
    assert read["whole"]["differing"] == 0
    assert read["whole"]["values"] > 0
    assert len(read["notes"]) == 1


def test_onnx_says_what_is_left_to_the_host(monkeypatch, capsys, tmp_path):
    from tests.support.onnx_models import save_example

    path, figures = save_example(tmp_path, "softmax", "QDQ"), tmp_path / "figures.json"
    arguments = ("-o", tmp_path / "small.dna", "--json", figures)
    assert run(monkeypatch, "import", path, *arguments) == 0
    out = capsys.readouterr().out
    assert "(Softmax) is left to the host" in out
    assert "the whole network against the file" in out
    read = json.loads(figures.read_text())
    assert read["faults"] == []
    assert read["whole"]["values"] > 0
    assert len(read["notes"]) == 1


@pytest.mark.parametrize(
    "name", ["run [v2]/k.dna", "k[int8].dna", "x[/y]/k.dna", "a  b/[bold]é.dna"]
)
def test_the_path_that_is_printed_exists(monkeypatch, capsys, tmp_path, model, name):
    monkeypatch.setenv("COLUMNS", "20")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    assert run(monkeypatch, "import", model, "-o", tmp_path / name) == 0
    assert f": {tmp_path / name}\n" in capsys.readouterr().out
    assert run(monkeypatch, "import", tmp_path / f"no{name}", "-o", tmp_path / "y.dna") == 2
    assert str(tmp_path / f"no{name}") in capsys.readouterr().err
