import json

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.mlperf import resnet50
from harness.mlperf.submissions import system
from sw import artifact
from sw.errors import DnaError
from sw.models.architecture import VERSIONS
from tests.support.graphs import random_resnet50, random_small_graph


def made(graph, **fields):
    given = {"model": "some", "framework": "none", "preprocessing": "caffe", **fields}
    return artifact.make(graph, **given)


@pytest.mark.parametrize("stride_in_3x3", [False, True])
def test_resnet50_is_known_by_its_layers(stride_in_3x3):
    rng = np.random.default_rng(1)
    resnet50.check(made(random_resnet50(rng, stride_in_3x3=stride_in_3x3)))


def test_a_background_in_front_is_allowed():
    resnet50.check(made(random_resnet50(np.random.default_rng(1), classes=1001)))


def test_the_layers_are_those_of_the_papers():
    macs = [
        sum(layer.macs * count for layer, count in resnet50.layers(version).items())
        for version in VERSIONS
    ]
    assert macs == [3_855_925_248, 4_087_136_256]
    for version in VERSIONS:
        assert resnet50.layers(version).total() == resnet50.CONVOLUTIONS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 192}, r"it takes \(192, 192, 3\), not \(224, 224, 3\)"),
        ({"classes": 10}, "it has 10 classes, not 1000"),
    ],
)
def test_another_size_or_number_of_classes(change, words):
    with pytest.raises(DnaError, match=f"some is not ResNet50, .*{words}"):
        resnet50.check(made(random_resnet50(np.random.default_rng(1), **change)))


def test_other_layers_before_the_runs(tmp_path):
    graph = random_small_graph(np.random.default_rng(1), (224, 224, 3), 1000)
    artifact.save(made(graph), tmp_path / "other.dna")
    said = {**dict.fromkeys(system.ASKED, "something"), "division": "open", "status": "rdi"}
    (tmp_path / "system.json").write_text(json.dumps(said))
    (tmp_path / "val_map.txt").write_text("a.npy 1\n")
    np.save(tmp_path / "a.npy", np.zeros((224, 224, 3), np.int8))
    arguments = ["submission", "build", tmp_path / "other.dna", "--data-dir", tmp_path]
    arguments += ["--system", tmp_path / "system.json", "-o", tmp_path / "out"]
    done = CliRunner().invoke(dna, [str(argument) for argument in arguments])
    assert isinstance(done.exception, DnaError), done.output
    assert "its 12 convolutions with" in str(done.exception)
    assert not (tmp_path / "out").exists()
