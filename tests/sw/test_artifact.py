import json

import numpy as np
import pytest

from sw import artifact
from sw.errors import DnaError
from tests.support.graphs import random_small_graph


@pytest.fixture
def saved(tmp_path):
    graph = random_small_graph(np.random.default_rng(3), (8, 8, 3), 5)
    made = artifact.make(
        graph, model="m", framework="none", preprocessing="caffe", class_names=list("abcde")
    )
    path = tmp_path / "deep" / "model.dna"
    return artifact.save(made, path), path


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
            written.graph, model="m", framework="n", preprocessing="p", class_names=list("abcd")
        )
