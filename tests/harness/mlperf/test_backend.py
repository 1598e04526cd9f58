"""What the backend answers and deploys, without the reference implementation."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import safetensors.numpy

from harness.data import fetch
from harness.mlperf import backend
from harness.mlperf.backend import DnaBackend
from sim.runtime import Runtime
from sw.errors import DnaError
from sw.host import digests
from tests import skips
from tests.support.tiny import save_artifact, save_photographs

IMAGES = np.random.default_rng(3).normal(0, 60, (3, 224, 224, 3)).astype(np.float32)


@pytest.mark.parametrize("preprocessing", ["torchvision", "mlperf", "caffe"])
def test_answers(tmp_path, preprocessing):
    network = save_artifact(tmp_path / "tiny", preprocessing=preprocessing)
    expected = Runtime.load(network).run(IMAGES)
    fed = IMAGES[..., ::-1] if preprocessing == "caffe" else IMAGES
    ours = DnaBackend().load(str(network), inputs=["image"], outputs=["logits"])
    (result,) = ours.predict({ours.inputs[0]: fed})
    if preprocessing == "torchvision":
        assert np.array_equal(result, expected)
    else:
        assert result.tolist() == (expected.argmax(axis=1) + 1).tolist()


def test_threads_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(DnaBackend, "one_at_a_time", False)
    monkeypatch.setattr(DnaBackend, "threads", 2)
    network = save_artifact(tmp_path / "tiny", preprocessing="torchvision")
    ours = DnaBackend().load(str(network))
    expected = Runtime.load(network).run(IMAGES)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: ours.predict({"image": IMAGES[n % 3][None]})[0], range(9)))
    for number, logits in enumerate(found):
        assert np.array_equal(logits, expected[number % 3][None])


def test_what_the_reference_asks():
    ours = DnaBackend()
    assert (ours.name(), ours.image_format()) == ("dna", "NHWC")
    assert ours.version()


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The steps of a deployment, which make a tiny artifact instead; the cache is empty."""
    taken = []

    def dna(*arguments):
        taken.append(arguments[0])
        output = arguments[arguments.index("-o") + 1]
        save_artifact(type(tmp_path)(output), preprocessing="caffe")

    monkeypatch.setattr(fetch, "cache_dir", lambda: tmp_path / "cache")
    monkeypatch.setattr(backend, "_dna", dna)
    return taken


@pytest.fixture
def folder(tmp_path):
    save_photographs(tmp_path / "photographs", 4)
    (tmp_path / "list.txt").write_text("0.jpg\n1.jpg\n")
    save_weights(tmp_path / "weights.pth", "conv1/kernel", "res2a_branch1/kernel")
    return tmp_path


def save_weights(path, *names, value=0.0):
    """A file that is a ResNet50 by the names of its tensors (a file's content says its kind)."""
    safetensors.numpy.save_file({name: np.full(1, value, np.float32) for name in names}, path)


def arguments(folder, **changes):
    values = {
        "model": str(folder / "weights.pth"),
        "dataset_path": str(folder / "photographs"),
        "dataset_calibration_list": str(folder / "list.txt"),
        "dna_config": "micro",
        "dataset": None,
        "scenario": "Offline",
        "threads": 3,
        "accuracy": True,
        "count": None,
    }
    return argparse.Namespace(**{**values, **changes})


def test_prepare_deploys_once(folder, steps, monkeypatch):
    monkeypatch.setattr(DnaBackend, "one_at_a_time", True)
    monkeypatch.setattr(DnaBackend, "threads", 1)
    first = arguments(folder)
    backend.prepare(first)
    assert steps == ["quantize", "compile"]
    assert first.dataset == "imagenet"
    assert (DnaBackend.one_at_a_time, DnaBackend.threads) == (False, 3)
    again = arguments(folder, scenario="SingleStream")
    backend.prepare(again)
    assert again.model == first.model
    assert len(steps) == 2
    assert DnaBackend.one_at_a_time is True


def test_whatever_changes_the_result_deploys_anew(folder, steps, monkeypatch):
    def deployed(**changes):
        args = arguments(folder, **changes)
        backend.prepare(args)
        return args.model

    seen = [deployed(), deployed(dna_config="small")]
    (folder / "list.txt").write_text("0.jpg\n2.jpg\n")
    seen.append(deployed())
    (folder / "photographs" / "2.jpg").write_bytes((folder / "photographs/3.jpg").read_bytes())
    seen.append(deployed())
    save_weights(folder / "weights.pth", "conv1/kernel", "res2a_branch1/kernel", value=1.0)
    seen.append(deployed())
    monkeypatch.setattr(digests, "of_sources", lambda *places: "another compiler")
    seen.append(deployed())
    assert len(set(seen)) == 6
    assert len(steps) == 12


def test_bad_input_ends_in_one_line(folder, steps):
    with pytest.raises(SystemExit, match="error: which photographs are for calibration"):
        backend.prepare(arguments(folder, dataset_calibration_list=None))
    with pytest.raises(SystemExit, match="error: no configuration 'nono'"):
        backend.prepare(arguments(folder, dna_config="nono"))
    with pytest.raises(SystemExit, match=r"error: weights .*absent.pth do not exist"):
        backend.prepare(arguments(folder, model=str(folder / "absent.pth")))
    with pytest.raises(SystemExit, match="--dataset imagenet_pytorch: these weights need imagenet"):
        backend.prepare(arguments(folder, dataset="imagenet_pytorch"))
    assert steps == []


@skips.needs_torch
def test_weights_that_need_torchvision_are_refused_before_the_work(folder, steps, monkeypatch):
    save_weights(folder / "weights.pth", "module.conv1.weight", "module.layer1.0.conv1.weight")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(SystemExit, match=r"^error: .*torchvision.*$") as caught:
        backend.prepare(arguments(folder))
    assert "\n" not in str(caught.value)
    assert steps == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accuracy": False}, True),
        ({"accuracy": False, "count": 50}, False),
        ({"accuracy": False, "scenario": "SingleStream"}, False),
        ({}, False),
    ],
)
def test_offline_says_how_long_it_takes_at_least(folder, steps, capsys, changes, said):
    backend.prepare(arguments(folder, **changes))
    line = "open DNA: Offline: the reference sends at least 24,576 images"
    assert (line in capsys.readouterr().err) is said


def test_a_failed_step_is_named(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "cache_dir", lambda: tmp_path / "cache")
    with pytest.raises(SystemExit, match=r"error: `dna quantize --weights .*` failed"):
        backend.prepare(arguments(folder))


def test_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "weights_path", lambda: tmp_path / "fetched")
    assert backend.weights("-") == tmp_path / "fetched"
    assert backend.weights(str(tmp_path / "file.pth")) == tmp_path / "file.pth"
    with pytest.raises(DnaError, match="but has nothing"):
        backend.weights(str(tmp_path))
    (tmp_path / "resnet50-19c8e357.pth").write_text("")
    assert backend.weights(str(tmp_path)) == tmp_path / "resnet50-19c8e357.pth"
    (tmp_path / "resnet50.safetensors").write_text("")
    with pytest.raises(DnaError, match=r"resnet50-19c8e357.pth, resnet50.safetensors"):
        backend.weights(str(tmp_path))
