import json

import numpy as np
import pytest

from sw import artifact, classes
from sw.errors import DnaError
from tests.support.tiny import save_artifact

NAMES = ["background", *(f"thing {number}" for number in range(4))]


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 5), (5, 1, 1)])
def test_logits_of_any_rank(shape):
    assert classes.has_classes(shape)
    values = np.random.default_rng(1).normal(size=(3, *shape))
    assert classes.best(values, None).tolist() == values.reshape(3, 5).argmax(1).tolist()
    assert classes.best(values, 1).tolist() == (values.reshape(3, 5).argmax(1) - 1).tolist()


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 1, 5), "a map of shape"), ((7, 7, 4), "a map"), ((1, 1), "a single")]
)
def test_maps_and_single_values_name_no_class(shape, words):
    assert not classes.has_classes(shape)
    with pytest.raises(DnaError, match=f"output of net is {words}.*names no class"):
        classes.check_classes("net", shape)


@pytest.mark.parametrize(
    ("count", "labels", "offset", "expected"),
    [
        (5, None, None, 0),
        (5, NAMES, None, 1),
        (5, ["Background", *NAMES[1:]], None, 1),
        (5, NAMES, 0, 0),
        (5, NAMES[1:], 1, 1),
        (5, ["a", *NAMES[1:]], None, 0),
        (1000, None, None, 0),
        (1001, None, None, 1),
        (1001, None, 0, 0),
        (1001, ["a"] * 1001, None, None),
        (1001, ["a"] * 1001, 1, 1),
        (1001, ["a"] * 1000, 1, 1),
    ],
)
def test_the_offset_is_what_labels_or_user_say(count, labels, offset, expected):
    found = classes.describe(count, labels, offset)
    assert found.offset == expected
    assert len(found.names) == count
    if labels is not None and len(labels) == count - 1:
        assert found.names == ["background", *labels]


def test_numbered_names_count_behind_the_background():
    assert classes.describe(3, None, 1).names == ["background", "class 0", "class 1"]
    assert classes.describe(3, None, None).names == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize(
    ("labels", "offset", "words"),
    [
        (NAMES[:3], None, "3 class names for 5 logits"),
        (NAMES[:4], None, "4 class names for 5 logits; .*--class-offset 1"),
        ([*NAMES, "x"], None, "6 class names for 5 logits"),
        (NAMES[:3], 1, "3 class names for 5 logits"),
        ([], None, "0 class names for 5 logits"),
        (None, 5, "class offset 5 leaves no class of 5 logits"),
        (None, -1, "class offset -1"),
    ],
)
def test_a_wrong_number_is_refused_with_both(labels, offset, words):
    with pytest.raises(DnaError, match=words):
        classes.describe(5, labels, offset)


def test_remarks():
    assert classes.remark(1000, 0) is None
    assert classes.remark(1001, 0) is None
    assert "class 0 is logit 1 of 1001" in classes.remark(1001, 1)
    assert "logits 0 to 1 are background" in classes.remark(12, 2)
    assert "1001 logits and no class offset known" in classes.remark(1001, None)
    assert classes.remark(1000, None) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"class_names": ["a"]}, "1 class names for 10 logits"),
        ({"class_offset": 10}, "class offset 10 leaves no class"),
        ({"class_offset": -1}, "class offset -1 leaves no class"),
    ],
)
def test_a_manifest_whose_classes_do_not_fit_is_refused(tmp_path, change, words):
    folder = save_artifact(tmp_path / "tiny")
    manifest = json.loads((folder / artifact.MANIFEST).read_text())
    (folder / artifact.MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(DnaError, match=f"damaged: {words}"):
        artifact.load(folder)
