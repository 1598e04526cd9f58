"""Accuracy runs whose answers come from a Dask cluster."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.loadgen import logs
from harness.loadgen.systems import remote
from sw import artifact
from sw.errors import DnaError
from sw.preprocessing import named
from tests.support import tiny
from tests.support.clusters import local_cluster

PHOTOGRAPHS = 20

TORCHVISION = named("torchvision", (224, 224, 3))


@pytest.fixture(scope="module")
def cluster():
    with local_cluster(1, threads_per_worker=2) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two networks that see different things, and photographs; answers are equal to labels."""
    folder = tmp_path_factory.mktemp("remote")
    tiny.save_artifact(folder / "tiny")
    tiny.save_artifact(folder / "other", preprocessing="torchvision")
    tiny.save_photographs(folder / "photographs", PHOTOGRAPHS)
    return folder


@pytest.fixture
def loadgen(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*options, output="logs"):
        arguments = ["loadgen", str(folder / "tiny"), "--data-dir", str(folder / "photographs")]
        result = CliRunner().invoke(
            dna, [*arguments, "--json", "figures.json", "-o", output, *options]
        )
        if isinstance(result.exception, DnaError):
            raise result.exception
        assert result.exit_code == 0, result.output
        entries = json.loads((tmp_path / output / logs.ACCURACY).read_text())
        answers = {entry["qsl_idx"]: entry["data"] for entry in entries}
        return json.loads((tmp_path / "figures.json").read_text()), answers

    return run


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(remote, "CHUNK", 3)


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_the_same_answers_and_number(loadgen, cluster, scenario):
    options = ("--scenario", scenario, "--accuracy", "--samples", "7")
    here, expected = loadgen(*options, "--threads", "1", output="here")
    there, answers = loadgen(*options, "--scheduler", cluster, output="there")
    assert answers == expected and len(answers) == PHOTOGRAPHS
    assert there["top1"] == here["top1"]
    assert there["timing"] == "host" and there["valid"] is True


def test_only_for_accuracy(loadgen):
    with pytest.raises(DnaError, match="--scheduler goes with --accuracy"):
        loadgen("--scenario", "Offline", "--scheduler", "tcp://127.0.0.1:1")


def chunk(folder, **changes):
    network = artifact.load(folder / "tiny")
    path = folder / "photographs" / "0.jpg"
    parts = {
        "artifact": folder / "tiny",
        "network": artifact.network_digest(network),
        "preprocessing": network.manifest.preprocessing,
        "class_offset": network.manifest.class_offset,
        "sources": remote._sources(),
        "photographs": (path,),
        "sizes": (path.stat().st_size,),
    }
    return remote.Chunk(**{**parts, **changes})


def test_a_worker_refuses_what_is_not_the_same(folder, tmp_path):
    assert remote.answer(chunk(folder)).dtype == np.float32
    with pytest.raises(DnaError, match="other sources"):
        remote.answer(chunk(folder, sources="old"))
    with pytest.raises(DnaError, match=r"no .*0\.jpg of 3 bytes"):
        remote.answer(chunk(folder, sizes=(3,)))
    with pytest.raises(DnaError, match=r"no .*absent\.jpg"):
        remote.answer(chunk(folder, photographs=(tmp_path / "absent.jpg",)))
    with pytest.raises(DnaError, match="another artifact"):
        remote.answer(chunk(folder, preprocessing=TORCHVISION))
    with pytest.raises(DnaError, match="another artifact"):
        remote.answer(chunk(folder, class_offset=1))
    with pytest.raises(DnaError, match="another artifact"):
        remote.answer(chunk(folder, network="other"))


def test_a_worker_takes_up_another_artifact(folder):
    remote.answer(chunk(folder))
    changed = chunk(folder, artifact=folder / "other", preprocessing=TORCHVISION)
    assert remote.answer(changed).shape == (1,)


def test_a_damaged_photograph_is_named(loadgen, cluster, folder, tmp_path):
    photographs = shutil.copytree(folder / "photographs", tmp_path / "photographs")
    damaged = photographs / "7.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    with pytest.raises(DnaError, match=r"7\.jpg"):
        loadgen(
            *("--scenario", "Offline", "--accuracy", "--scheduler", cluster),
            *("--data-dir", str(photographs)),
        )
