import json

import numpy as np
import pytest

from harness.cli import main
from sim.functional.isa import available
from sw import artifact
from tests import skips
from tests.support.tflite_models import random_model
from tests.support.tiny import save_artifact, save_photographs


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return save_photographs(tmp_path_factory.mktemp("photographs"), 2)


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["dna", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def test_all_engines_agree_and_the_count_is_printed(
    monkeypatch, capsys, tmp_path, network, photographs
):
    file = tmp_path / "compared.json"
    images = [photographs / "0.jpg", photographs / "1.jpg"]
    assert run(monkeypatch, network, *images, "--jobs", 2, "--json", file) == 0
    figures = json.loads(file.read_text())
    graph = artifact.load(network).graph
    assert [row["name"] for row in figures["operators"]] == [o.name for o in graph.operations]
    assert figures["inputs"] == 2
    assert figures["mismatches"] == 0
    assert figures["values"] == sum(row["values"] for row in figures["operators"]) > 0
    assert f"{figures['values']:,} values compared, 0 differ" in capsys.readouterr().out


def test_a_bad_image_is_found_before_the_work(monkeypatch, capsys, tmp_path, network):
    (tmp_path / "note.jpg").write_text("not an image")
    assert run(monkeypatch, network, tmp_path / "note.jpg") == 2
    error = capsys.readouterr().err
    assert "note.jpg" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.skipif(not available(), reason=skips.KERNELS)
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("what", ["artifact", "tflite"])
@pytest.mark.parametrize("cache", ["file", "/proc"])
def test_a_cache_that_cannot_be_written_is_one_line(
    monkeypatch, capsys, tmp_path, network, cache, what, jobs
):
    if cache == "file":
        cache = tmp_path / "cache"
        cache.write_text("no folder")
    if what == "tflite":
        network = tmp_path / "tiny.tflite"
        network.write_bytes(random_model(np.random.default_rng(1)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    assert run(monkeypatch, network, "--random", 2, "--jobs", jobs) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write to ")
    assert len(error.splitlines()) == 1
