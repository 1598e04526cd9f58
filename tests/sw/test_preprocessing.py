import json

import msgspec
import numpy as np
import pytest

from sw import artifact, preprocessing
from sw.errors import DnaError
from sw.preprocessing import PRESETS, Preprocessing, named
from tests.support.tiny import save_artifact

OWN = {
    "resize": "short_side",
    "size": 232,
    "resampling": "bicubic",
    "channels": "BGR",
    "divisor": 255,
    "mean": [0.5, 0.4, 0.3],
    "deviation": [0.2, 0.3, 0.4],
}


@pytest.mark.parametrize(
    ("shape", "size"),
    [((224, 224, 3), 256), ((160, 160, 3), 182), ((96, 128, 3), 146), ((9, 8, 3), 10)],
)
@pytest.mark.parametrize("name", PRESETS)
def test_named_ones_fit_every_size(name, shape, size):
    made = named(name, shape)
    whole = name == "yolo"  # cuts nothing off
    expected = ("letterbox", None) if whole else ("short_side", size)
    assert (made.name, made.resize, made.size) == (name, *expected)


def test_one_channel_is_grey_where_the_normalisation_is_for_all():
    assert named("mobilenet", (96, 96, 1)).channels == "grey"
    with pytest.raises(DnaError, match=r"takes arrays of shape \(96, 96, 1\); .*'caffe' makes"):
        named("caffe", (96, 96, 1))


@pytest.mark.parametrize("shape", [(490,), (49, 10), (224, 224, 4), (1, 224, 224, 3), (99999,)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(DnaError, match="the network takes arrays of shape"):
        named("mobilenet", shape)
    assert named("array", shape) is None


def test_one_of_your_own(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(OWN))
    made = preprocessing.chosen(str(path), (224, 224, 3))
    assert msgspec.to_builtins(made) == {
        **OWN,
        "name": "mine.json",
        "keep": 1.0,
        "mean": tuple(OWN["mean"]),
        "deviation": tuple(OWN["deviation"]),
    }
    with pytest.raises(DnaError, match=r"shape \(240, 224, 3\); .*'mine\.json' makes the short"):
        preprocessing.chosen(str(path), (240, 224, 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"resize": "circle"}, "Invalid enum value 'circle' - at `$.resize`"),
        ({"resize": "letterbox"}, "'letterbox' has no size, not 232"),
        ({"resize": None}, "at `$.resize`"),
        ({"size": None}, "'short_side' needs a size"),
        ({"resize": "stretch"}, "'stretch' has no size, not 232"),
        ({"size": 0}, "size 0 is not in"),
        ({"size": 10**9}, "size 1000000000 is not in"),
        ({"size": 232.5}, "at `$.size`"),
        ({"keep": 0}, "keep 0"),
        ({"keep": 1.01}, "keep 1.01"),
        ({"channels": "RGBA"}, "at `$.channels`"),
        ({"resampling": "cubic"}, "at `$.resampling`"),
        ({"mean": [1, 2]}, "mean has 2 values for channels 'BGR'"),
        ({"mean": "zero"}, "at `$.mean`"),
        ({"deviation": [1, 0, 1]}, "cannot be divided by"),
        ({"divisor": 1e-40}, "cannot be divided by"),
        ({"scale": 2}, "unknown field `scale`"),
    ],
)
def test_bad_fields_are_named(tmp_path, change, words):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(OWN | change))
    for check in (preprocessing.read, lambda path: preprocessing.check_choice(str(path))):
        with pytest.raises(DnaError) as caught:
            check(path)
        assert words in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"caffe"', '{"size": 1e999}', "\ufeff{}"])
def test_what_is_no_preprocessing_at_all(tmp_path, text):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(DnaError, match=r"mine\.json cannot be used"):
        preprocessing.read(path)
    with pytest.raises(DnaError, match=r"cannot read preprocessing .*absent\.json: No such file"):
        preprocessing.read(tmp_path / "absent.json")


def test_unknown_names_list_the_known():
    with pytest.raises(DnaError, match=r"no preprocessing 'vgg'; there are array, caffe, .*JSON"):
        preprocessing.check_choice("vgg")
    for name in preprocessing.NAMES:
        preprocessing.check_choice(name)


@pytest.mark.parametrize("name", preprocessing.NAMES)
def test_manifests_that_only_name_it_are_read(tmp_path, name):
    folder = save_artifact(tmp_path / "tiny")
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    manifest |= {"format_version": 1, "preprocessing": name}
    del manifest["class_offset"]
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest))
    read = artifact.load(folder).manifest
    assert read.preprocessing == named(name, (224, 224, 3))
    assert read.class_offset is None
    again = artifact.save(artifact.load(folder), tmp_path / "again").manifest
    assert again.format_version == artifact.FORMAT_VERSION
    assert artifact.load(tmp_path / "again").manifest.preprocessing == read.preprocessing


def test_the_manifest_holds_all_of_it(tmp_path):
    made = msgspec.convert(OWN | {"name": "mine.json"}, type=Preprocessing)
    graph = artifact.load(save_artifact(tmp_path / "tiny")).graph
    network = artifact.make(graph, model="m", framework="none", preprocessing=made)
    artifact.save(network, tmp_path / "own")
    assert artifact.load(tmp_path / "own").manifest.preprocessing == made
    assert np.float32(made.mean[1]) == np.float32(0.4)
