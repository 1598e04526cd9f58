"""A data set in COCO's layout."""

import json

import pytest

from harness.data.coco import ANNOTATIONS, Coco, folder_of
from sw.errors import DnaError
from tests.support.coco_stand_in import CATEGORIES
from tests.support.tiny import save_coco


@pytest.fixture
def folder(tmp_path):
    return save_coco(tmp_path, 3)


def write(folder, **changes):
    path = folder / ANNOTATIONS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_photographs_are_in_the_order_of_the_file(folder):
    data = Coco(folder)
    assert [path.name for path in data.paths] == [f"{number:012d}.jpg" for number in (1, 2, 3)]
    assert data.categories == list(CATEGORIES)
    assert len(data.categories) == 80 and data.categories[-1] == 90
    read = json.loads((folder / ANNOTATIONS).read_text())["images"]
    write(folder, images=read[::-1])
    (folder / "val2017_safe").rename(folder / "val2017")
    assert [path.name for path in Coco(folder).paths] == [
        f"{number:012d}.jpg" for number in (3, 2, 1)
    ]
    for path in (folder / "val2017").iterdir():
        path.rename(folder / path.name)
    assert Coco(folder).paths[0] == folder / f"{3:012d}.jpg"


def test_categories_are_in_the_order_of_their_identifiers(folder):
    write(folder, categories=[{"id": 7, "name": "a"}, {"id": 3, "name": "b"}])
    assert Coco(folder).categories == [3, 7]


def test_what_is_missing_is_one_line(folder, monkeypatch):
    (folder / "val2017_safe" / f"{2:012d}.jpg").unlink()
    with pytest.raises(DnaError, match=r"no file 000000000002.jpg in .* \(1 of 3 are missing\)"):
        Coco(folder)
    for content, words in (
        (b"{", "is no file of COCO's form"),
        (b'{"images": [], "categories": []}', "has no images or no categories"),
        (b'{"images": [{"id": 1}], "categories": []}', "is no file of COCO's form: .*file_name"),
        (b"\xff", "is no file of COCO's form"),
    ):
        (folder / ANNOTATIONS).write_bytes(content)
        with pytest.raises(DnaError, match=words):
            Coco(folder)
    (folder / ANNOTATIONS).unlink()
    with pytest.raises(DnaError, match=r"cannot read .* yolo needs a folder in COCO's layout"):
        Coco(folder)
    monkeypatch.delenv("DATA_DIR", raising=False)
    with pytest.raises(DnaError, match="where are the photographs with boxes"):
        folder_of(None)
    monkeypatch.setenv("DATA_DIR", str(folder))
    assert folder_of(None) == folder


def test_a_name_stays_in_the_folder(folder):
    read = json.loads((folder / ANNOTATIONS).read_text())["images"]
    write(folder, images=[{**read[0], "file_name": "../../etc/passwd"}])
    with pytest.raises(DnaError, match="leads out of the folder"):
        Coco(folder)
