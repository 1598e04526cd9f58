import json

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import ISA_VERSION
from sw import artifact
from sw.artifact import read
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.version import VERSION
from tests.sw.artifact.support import rewrite


def test_what_is_read_is_what_was_written(saved):
    written, path = saved
    read = artifact.load(path)
    assert read.manifest == written.manifest
    assert read.graph.tensors == written.graph.tensors
    assert read.graph.operations == written.graph.operations
    assert set(read.graph.constants) == set(written.graph.constants)
    for name, array in written.graph.constants.items():
        assert read.graph.constants[name].dtype == array.dtype
        np.testing.assert_array_equal(read.graph.constants[name], array)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_the_same_graph_gives_the_same_bytes(saved, tmp_path):
    written, path = saved
    artifact.save(written, tmp_path / "again")
    for file in path.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize("name", [artifact.GRAPH, artifact.CONSTANTS])
def test_a_flipped_byte_is_noticed(saved, name):
    _, path = saved
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(DnaError, match=f"{name} differs from its checksum"):
        artifact.load(path)


def test_missing_and_damaged_and_foreign(saved, tmp_path):
    _, path = saved
    manifest = path / artifact.MANIFEST
    text = manifest.read_text()

    manifest.write_text(text[: len(text) // 2])
    with pytest.raises(DnaError, match=r"manifest\.json is damaged"):
        artifact.load(path)
    manifest.write_text(json.dumps({**json.loads(text), "format_version": 99}))
    with pytest.raises(DnaError, match="has format version 99, this program reads"):
        artifact.load(path)
    manifest.write_text(json.dumps({**json.loads(text), "files": {}}))
    with pytest.raises(DnaError, match=r"lists no graph\.json"):
        artifact.load(path)
    manifest.write_text(text)
    (path / artifact.CONSTANTS).unlink()
    with pytest.raises(DnaError, match=r"constants\.safetensors is missing"):
        artifact.load(path)
    with pytest.raises(DnaError, match="nothing is not an artifact"):
        artifact.load(tmp_path / "nothing")
    with pytest.raises(DnaError, match="is not an artifact"):
        artifact.load(manifest)


def test_only_artifacts_are_replaced(saved, tmp_path):
    written, path = saved
    artifact.save(written, path)
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").touch()
    for place in ("file", "folder"):
        with pytest.raises(DnaError, match="exists and is not an artifact"):
            artifact.save(written, tmp_path / place)
    with pytest.raises(DnaError, match="cannot write"):
        artifact.save(written, tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "precious"


def test_class_names_must_fit(saved):
    written, _ = saved
    with pytest.raises(DnaError, match="4 class names for 5 logits"):
        artifact.make(
            written.graph, model="m", framework="n", preprocessing="array", class_names=list("abcd")
        )


def test_the_manifest_says_which_version_wrote_it(saved, compiled):
    assert saved[0].manifest.written_by == compiled[0].manifest.written_by == VERSION


def test_manifests_from_before_they_said_who_wrote_them_are_read(compiled):
    written, path = compiled
    rewrite(path, lambda manifest: manifest.pop("written_by"))
    read = artifact.load(path)
    assert read.manifest.written_by == ""
    assert read.program == written.program


def _older_isa(manifest):
    manifest["target"]["isa_version"] = ISA_VERSION - 1


def _older_machine(manifest):
    """What the parameters of a machine were is that version's affair."""
    manifest["target"] = {"isa_version": ISA_VERSION - 1, "config": {"name": "steam", "valves": 7}}


@pytest.mark.parametrize("change", [_older_isa, _older_machine])
def test_the_graph_outlives_the_instruction_set(compiled, change):
    written, path = compiled
    rewrite(path, change)
    read = artifact.load(path)
    assert read.graph.operations == written.graph.operations
    assert read.program is None
    assert read.manifest.target is None
    message = (
        f"model.nano was compiled for instruction set {ISA_VERSION - 1}, this version of open DNA "
        f"has {ISA_VERSION}; recompile it with `dna compile"
    )
    with pytest.raises(DnaError, match=message):
        artifact.program_of(read, path)

    again = artifact.with_program(read, compile_graph(read.graph, PRESETS["nano"]))
    artifact.save(again, path)
    assert artifact.program_of(artifact.load(path), path) == written.program


def test_an_older_program_must_still_be_whole(compiled):
    _, path = compiled
    rewrite(path, _older_isa)
    (path / artifact.CODE).write_bytes(b"")
    with pytest.raises(DnaError, match=r"program\.bin differs from its checksum"):
        artifact.load(path)


def test_an_older_format_is_read(compiled, monkeypatch):
    written, path = compiled
    monkeypatch.setattr(read, "FORMAT_VERSION", artifact.FORMAT_VERSION + 1)
    assert artifact.load(path).program == written.program


def _newer_isa(manifest):
    manifest["target"]["isa_version"] = ISA_VERSION + 1


def _newer_machine(manifest):
    manifest["target"] = {"isa_version": ISA_VERSION + 1, "warp": True}


def _newer_format(manifest):
    manifest["format_version"] = artifact.FORMAT_VERSION + 1
    manifest["files"] = "elsewhere"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_newer_isa, f"a program of instruction set {ISA_VERSION + 1}"),
        (_newer_machine, f"a program of instruction set {ISA_VERSION + 1}"),
        (_newer_format, f"format version {artifact.FORMAT_VERSION + 1}"),
    ],
)
@pytest.mark.parametrize("writer", ["9.8.7", None])
def test_what_is_newer_is_refused_by_the_name_of_its_writer(compiled, change, what, writer):
    _, path = compiled

    def sign(manifest):
        change(manifest)
        manifest.pop("written_by")
        manifest |= {"written_by": writer} if writer else {}

    rewrite(path, sign)
    who = f"open DNA {writer}" if writer else "a newer version of open DNA"
    with pytest.raises(DnaError, match=rf"{what}, .*: {who} wrote it, this is {VERSION};"):
        artifact.load(path)


def test_a_program_is_asked_for_where_there_is_none(saved):
    network, path = saved
    with pytest.raises(DnaError, match=r"model\.dna has no program; make one with `dna compile"):
        artifact.program_of(network, path)


@pytest.mark.parametrize("version", [0, -1, "1", None])
def test_a_format_that_never_was_is_damage(saved, version):
    _, path = saved
    rewrite(path, lambda manifest: manifest.update(format_version=version))
    with pytest.raises(DnaError, match=r"manifest\.json is damaged"):
        artifact.load(path)
