"""``dna quantize --model``: a function that returns a network, and an exported program."""

import json

import numpy as np
import pytest

from tests import skips

pytest.importorskip("torchao", reason=skips.not_installed("quantize"))

import torch
from click.testing import CliRunner
from PIL import Image

from harness.commands.prepare.quantize import command
from sim.runtime import Runtime
from sw import artifact
from sw.errors import DnaError
from tests.support import torch_networks

HERE = "tests.support.torch_networks"
SIZE = 32


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three photographs with labels, an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DATA_DIR", raising=False)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("a.png\nb.png\nc.png\n")
    (tmp_path / "map.txt").write_text("a.png 1\nb.png 2\nc.png 3\n")
    return tmp_path


def quantized(data, model, *more):
    """The artifact and the figures of a run that is right."""
    made, figures = data / "model.dna", data / "figures.json"
    words = ("--model", model, "--data-dir", data, "--calibration-list", data / "list.txt")
    words += ("-o", made, "--preprocessing", "torchvision", "--json", figures, *more)
    done = CliRunner().invoke(command, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return artifact.load(made), json.loads(figures.read_text())


def exported(path, module):
    program = torch.export.export(module, (torch.zeros(1, 3, SIZE, SIZE),))
    torch.export.save(program, path)
    return path


def test_a_function_and_its_exported_program_are_one_network(data):
    size = ("--input-size", f"{SIZE},{SIZE}")
    network, figures = quantized(
        data, f"{HERE}:short_mobilenet_v2", *size, "--evaluate", data / "map.txt"
    )
    assert network.manifest.model == "short_mobilenet_v2"
    assert figures["agreement"] > 0
    assert {type(op).__name__ for op in network.graph.operations} == {
        *("Conv2D", "DepthwiseConv2D", "Add", "Mean", "FullyConnected")
    }
    path = exported(data / "net.pt2", torch_networks.short_mobilenet_v2())
    again, _ = quantized(data, path)
    assert described(again.graph) == described(network.graph)
    for name, values in network.graph.constants.items():  # export may order a sum otherwise
        if name.endswith(".multiplier"):
            np.testing.assert_allclose(values, again.graph.constants[name], rtol=0.02)


def described(graph):
    """What computes which tensor from which."""
    return [(type(op).__name__, op.output, op.inputs) for op in graph.operations]


def test_several_outputs(data):
    network, _ = quantized(data, f"{HERE}:two_heads", "--input-size", SIZE)
    model, image = torch_networks.two_heads(), np.random.default_rng(1).normal(size=(SIZE, SIZE, 3))
    image = image.astype(np.float32)
    with torch.no_grad():
        right = model(torch.from_numpy(image).permute(2, 0, 1)[None])
    ours = Runtime(network).infer(image)
    assert len(ours) == 2
    for got, want in zip(ours.values(), right, strict=True):
        expected = want[0].permute(1, 2, 0).numpy()
        assert np.abs(got - expected).mean() < 0.05 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (f"{HERE}:no_network", "returns int, no torch.nn.Module"),
        (f"{HERE}:fails", "RuntimeError: no weights here"),
        (f"{HERE}:absent", "AttributeError"),
        ("absent_package:f", "ModuleNotFoundError"),
        ("anything", "no .pt2 file and no package.module:function"),
        ("absent.pt2", "cannot read absent.pt2"),
        ("broken.pt2", "is no exported program of PyTorch"),
    ],
)
def test_what_is_no_network_is_one_line(data, monkeypatch, model, words):
    monkeypatch.chdir(data)
    (data / "broken.pt2").write_bytes(b"nothing")
    with pytest.raises(DnaError, match=words):
        quantized(data, model)


def test_an_input_that_is_no_image_is_one_line(data):
    program = torch.export.export(torch.nn.Linear(4, 2).eval(), (torch.zeros(1, 4),))
    torch.export.save(program, data / "flat.pt2")
    with pytest.raises(DnaError, match=r"takes inputs of shape \[\(1, 4\)\]"):
        quantized(data, data / "flat.pt2")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--weights", "w.pth"), "--model brings its weights"),
        (("--framework", "tensorflow"), "--model brings its weights"),
        (("--input-size", "1,2,3"), "no height and width"),
    ],
)
def test_options_that_do_not_fit(data, more, words):
    with pytest.raises(DnaError, match=words):
        quantized(data, f"{HERE}:two_heads", *more)


def test_the_size_is_that_of_the_program(data):
    path = exported(data / "net.pt2", torch_networks.two_heads())
    with pytest.raises(DnaError, match="so no other --input-size"):
        quantized(data, path, "--input-size", 64)
