import json

import numpy as np
import pytest

from harness.cli import main
from sim.functional.isa import available
from sw import artifact
from tests import skips
from tests.support.tflite_models import CODE, Maker
from tests.support.tflite_random import random_model
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


def test_litert_without_its_delegate_is_told_apart(monkeypatch, capsys, tmp_path):
    net = Maker(np.random.default_rng(3))
    x = net.conv(net.input((1, 16, 16, 8)), 16, (3, 3))
    path, file = tmp_path / "net.tflite", tmp_path / "compared.json"
    path.write_bytes(net.finish(net.pool(x, CODE.MAX_POOL_2D, (2, 2), (2, 2))))
    assert run(monkeypatch, path, "--random", 8, "--jobs", 1, "--json", file) == 0
    convolution, pool = json.loads(file.read_text())["operators"]
    assert pool["built_in_differ"] == pool["built_in_largest"] == 0
    assert 0 < convolution["built_in_differ"] < convolution["values"] // 20
    assert convolution["built_in_largest"] == 1
    assert "1 of 2 operators have other values" in capsys.readouterr().out


def test_an_onnx_file_is_compared_with_its_own_runtime(monkeypatch, capsys, tmp_path):
    pytest.importorskip("onnxruntime", reason=skips.not_installed("bench"))
    from tests.support.onnx_models import save_quantized

    path, file = save_quantized(tmp_path, "QDQ", "QUInt8"), tmp_path / "compared.json"
    assert run(monkeypatch, path, "--random", 2, "--json", file) == 0
    figures = json.loads(file.read_text())
    assert figures["mismatches"] == 0
    assert figures["faults"] == []
    assert all(row["onnx_values"] > 0 for row in figures["operators"])
    assert "ONNX Runtime, each operation" in capsys.readouterr().out
    assert run(monkeypatch, path, "a.npy") == 2


@pytest.mark.parametrize("engine", ["interpreter", "cxxrtl"])
def test_the_machine_stands_beside_the_runtimes(monkeypatch, capsys, tmp_path, engine):
    rng, file = np.random.default_rng(2), tmp_path / "compared.json"
    net = Maker(rng)
    x = net.conv(net.input((1, 7, 6, 3)), 5, (3, 3))
    y = net.add(x, net.conv(x, 5, (1, 1)))
    (tmp_path / "net.tflite").write_bytes(net.finish(net.fully_connected(y, 4)))
    words = (tmp_path / "net.tflite", "--config", "nano", "--engine", engine, "--json", file)
    assert run(monkeypatch, *words) == 0
    rows = json.loads(file.read_text())["operators"]
    found = [row["interpreter_differ"] for row in rows]
    assert found.count(None) == 1  # a convolution that the addition's layer computes
    assert set(found) == {0, None}
    assert all((f"{engine}_differ" in row) for row in rows)
    text = capsys.readouterr().out
    for heading in ("functional", "reference", "LiteRT, no", "interpreter"):
        assert heading in text
    assert "in add_2" in text


def test_rtl_needs_a_machine(monkeypatch, capsys, network):
    assert run(monkeypatch, network, "--random", 1, "--engine", "cxxrtl") == 2
    assert "--config NAME says which" in capsys.readouterr().err


def test_an_onnx_file_stands_beside_the_machine(monkeypatch, capsys, tmp_path):
    pytest.importorskip("onnxruntime", reason=skips.not_installed("bench"))
    from tests.support.onnx_models import save_quantized

    path, file = save_quantized(tmp_path, "QDQ", "QUInt8"), tmp_path / "compared.json"
    words = (path, "--random", 1, "--config", "nano", "--json", file)
    assert run(monkeypatch, *words) == 0
    rows = json.loads(file.read_text())["operators"]
    assert {row["functional_differ"] for row in rows} == {0}
    assert 0 in {row["interpreter_differ"] for row in rows}
    assert "ONNX Runtime" in capsys.readouterr().out
