import json
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from rich.console import Console

from harness.commands.prepare.quantize import command
from harness.data import fetch
from harness.quantize.evaluation import compare
from sw import artifact
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights
from sw.preprocessing import named
from tests import skips

pytestmark = pytest.mark.xdist_group("quantize")  # what they share is made once


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder of two photographs and a list of them; an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_DIR", raising=False)
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / name)
    (folder / "list.txt").write_text("a.png\nb.png\n")
    return folder


def _fails(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert isinstance(result.exception, DnaError), result.output
    return str(result.exception)


def _all(data, tmp_path):
    return [
        *("--data-dir", data),
        *("--calibration-list", data / "list.txt"),
        *("-o", tmp_path / "model.dna"),
    ]


def test_an_unwritable_output_is_refused_first(tmp_path):
    (tmp_path / "file").touch()
    assert "cannot write" in _fails("-o", tmp_path / "file" / "model.dna")


def test_something_else_is_never_replaced(data):
    assert "is not an artifact" in _fails("-o", data)


def test_a_folder_without_a_calibration_list_is_not_calibrated_on(data, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(data))
    assert "--calibration-list" in _fails("-o", tmp_path / "model.dna")


def test_an_empty_cache_says_what_to_do(data, tmp_path):
    assert "run `dna fetch`" in _fails("-o", tmp_path / "model.dna")
    assert "run `dna fetch`" in _fails(*_all(data, tmp_path))


def test_an_empty_list_is_refused(data, tmp_path):
    (data / "list.txt").write_text("")
    assert "is empty" in _fails(*_all(data, tmp_path))


def test_a_file_that_is_no_image_is_refused_before_the_work(data, tmp_path):
    (data / "b.png").write_bytes(b"no image")
    assert "b.png is not an image" in _fails(*_all(data, tmp_path))


def test_labels_are_needed_to_evaluate(data, tmp_path):
    message = _fails(*_all(data, tmp_path), "--evaluate", data / "list.txt")
    assert "has no labels" in message


@skips.needs_torch
def test_damaged_weights_leave_no_output(data, tmp_path):
    (tmp_path / "w.pth").write_bytes(b"PK")
    message = _fails(*_all(data, tmp_path), "--weights", tmp_path / "w.pth")
    assert "cannot read weights" in message
    assert not (tmp_path / "model.dna").exists()


def test_compare_counts_top1_and_agreement():
    builder = GraphBuilder("input", (1, 1, 3), 1.0, 0)
    output = builder.fully_connected(
        "fc",
        "input",
        Weights(np.eye(3, dtype=np.int8), np.zeros(3, np.int32), np.ones(3, np.float32)),
        Output(1.0, 0),
    )
    network = artifact.make(
        builder.finish(output),
        model="identity",
        framework="none",
        preprocessing="array",
        class_names=["a", "b", "c"],
    )
    images = [np.roll(np.array([[[9, 0, 0]]], np.float32), shift, 2) for shift in (0, 1, 2, 0)]
    labels = [0, 1, 0, 1]
    result = compare(
        lambda image: image.reshape(-1) if image[0, 0, 1] == 0 else np.zeros(3, np.float32),
        network,
        zip(images, labels, strict=True),
        threads=1,
    )
    assert (result.images, result.fp32_top1, result.int8_top1) == (4, 0.25, 0.5)
    assert result.agreement == 0.75
    assert result.ratio == 2.0


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """ResNet50 calibrated on 4 of the fetched photographs and evaluated on all 20."""
    fetch.fetch(Console(quiet=True))
    folder = tmp_path_factory.mktemp("quantize")
    names = [path.name for path, _ in fetch.photographs()[:4]]
    (folder / "four.txt").write_text("".join(f"{name}\n" for name in names))
    # A process of its own, as a user starts it: the command sets PyTorch up before importing it.
    result = subprocess.run(
        [
            *(sys.executable, "-m", "harness.cli", "quantize"),
            *("--data-dir", fetch.photographs_dir()),
            *("--calibration-list", folder / "four.txt"),
            *("--evaluate", fetch.photographs_dir() / "val_map.txt"),
            *("-o", folder / "model.dna", "--json", folder / "figures.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return folder, result


@skips.needs_torch
@pytest.mark.network
def test_resnet50_is_quantized_and_evaluated(quantized):
    folder, result = quantized
    figures = json.loads((folder / "figures.json").read_text())
    assert (figures["images"], figures["calibration_images"]) == (20, 4)
    assert figures["fp32_top1"] >= 0.9
    assert figures["int8_top1"] >= 0.8
    assert figures["agreement"] >= 0.8
    assert figures["ratio"] == figures["int8_top1"] / figures["fp32_top1"]
    assert "4 calibration images are few" in result.stderr
    assert "int8 top-1" in result.stdout


@skips.needs_torch
@pytest.mark.network
def test_the_artifact_says_what_it_is(quantized):
    folder, _ = quantized
    network = artifact.load(folder / "model.dna")
    assert network.manifest.model == "resnet50-v1"
    assert network.manifest.framework == "pytorch"
    assert network.manifest.preprocessing == named("caffe", (224, 224, 3))
    assert network.manifest.class_names[0] == "tench"
    assert network.manifest.input.shape == (224, 224, 3)
    names = [operation.name for operation in network.graph.operations]
    assert {"conv1", "maxpool", "layer1.0.downsample", "layer4.2.add", "avgpool", "fc"} < set(names)
    assert len(names) == 53 + 16 + 3


def test_tensorflow_is_named_where_it_is_missing(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (tmp_path / "weights.safetensors").touch()
    arguments = ("--framework", "tensorflow", "--weights", tmp_path / "weights.safetensors")
    assert ".[tensorflow]" in _fails(*arguments, *_all(data, tmp_path))


def test_only_tensorflow_makes_a_tflite_file(data, tmp_path):
    message = _fails("--tflite", tmp_path / "model.tflite", *_all(data, tmp_path))
    assert "--framework tensorflow" in message
