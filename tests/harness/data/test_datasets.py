from pathlib import Path

import pytest

from harness.data.datasets import Dataset, data_dir_from, read_list
from sw.errors import DnaError


def write(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.fixture
def data_dir(tmp_path):
    for name in ("a.JPEG", "b.JPEG", "c.JPEG"):
        write(tmp_path / "data" / name, "not read here")
    return tmp_path / "data"


def test_val_map_in_the_folder(data_dir):
    write(data_dir / "val_map.txt", "b.JPEG 999\na.JPEG 0\n")
    data = Dataset(data_dir)
    assert data.paths == [data_dir / "b.JPEG", data_dir / "a.JPEG"]
    assert data.labels == [999, 0]
    assert len(data) == 2
    assert data.list_file == data_dir / "val_map.txt"


def test_photographs_in_val_below(tmp_path):
    write(tmp_path / "val" / "x.JPEG", "")
    write(tmp_path / "val_map.txt", "x.JPEG 7")
    assert Dataset(tmp_path).paths == [tmp_path / "val" / "x.JPEG"]


def test_val_map_beside_val(tmp_path):
    write(tmp_path / "val" / "x.JPEG", "")
    write(tmp_path / "val_map.txt", "x.JPEG 7\n")
    assert Dataset(tmp_path / "val").labels == [7]


def test_names_may_lead_into_subfolders(data_dir):
    write(data_dir / "n01440764" / "x.JPEG", "")
    assert Dataset(data_dir, write(data_dir / "l", "n01440764/x.JPEG 0\n")).labels == [0]


def test_calibration_option_1_has_names_only(data_dir):
    data = Dataset(data_dir, write(data_dir / "cal.txt", "c.JPEG\na.JPEG\n"))
    assert data.paths == [data_dir / "c.JPEG", data_dir / "a.JPEG"]
    assert data.labels == [None, None]


def test_calibration_option_2_numbers_lines(data_dir):
    numbered = write(data_dir / "cal.txt", "c.JPEG 0\na.JPEG 1\nb.JPEG 1500\n")
    data = Dataset(data_dir, numbered, calibration=True)
    assert [path.name for path in data.paths] == ["c.JPEG", "a.JPEG", "b.JPEG"]
    assert data.labels == [None, None, None]
    with pytest.raises(DnaError, match=r"cal\.txt line 3 has label 1500, of 1000 classes"):
        Dataset(data_dir, numbered).check_labels(1000)


def test_labels_are_held_against_the_classes_of_a_network(data_dir):
    data = Dataset(data_dir, write(data_dir / "l", "a.JPEG 1\nb.JPEG 1000\n"))
    assert data.labels == [1, 1000]
    data.check_labels(1001)
    data.check_labels(2, count=1)
    with pytest.raises(DnaError, match="l line 2 has label 1000, of 1000 classes: no accuracy"):
        data.check_labels(1000)
    unlabelled = Dataset(data_dir, write(data_dir / "l", "a.JPEG\n"))
    with pytest.raises(DnaError, match="l line 1 has no label"):
        unlabelled.check_labels(1000)


def test_duplicates_and_several_blanks_are_fine(tmp_path):
    entries = read_list(write(tmp_path / "l", "a.JPEG \t 5\na.JPEG 5\n"))
    assert [(entry.name, entry.label, entry.line) for entry in entries] == [
        ("a.JPEG", 5, 1),
        ("a.JPEG", 5, 2),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "l is empty"),
        ("\n", "l is empty"),
        ("a 1\n\nb 2\n", "line 2 is empty"),
        ("a 1\n   \n", "line 2 is empty"),
        ("a 1\n\n", "line 2 is empty"),
        ("a 1\r\nb 2\r\n", "line 1 ends in CRLF"),
        ("a 1\nb 2\r\n", "line 2 ends in CRLF"),
        ("a 1\nb 1000000000\n", "line 2: label '1000000000' is not a number"),
        ("a -1\n", "line 1: label '-1' is not a number from 0 on"),
        ("a 1.0\n", "line 1: label '1.0' is not a number"),
        ("a x\n", "line 1: label 'x' is not a number"),
        ("a ٣\n", "line 1: label '٣' is not a number"),
        ("a 1 2\n", "line 1 has 3 columns"),
        ("a 1\nb\n", "line 2 has no label, unlike line 1"),
        ("a\nb 1\n", "line 2 has a label, unlike line 1"),
        ("/etc/passwd 1\n", "line 1: '/etc/passwd' leads out of the folder"),
        ("x/../../y 1\n", "line 1: 'x/../../y' leads out of the folder"),
        (b"\xff\xfe\x00", "l is not text"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    with pytest.raises(DnaError) as caught:
        read_list(write(tmp_path / "l", text))
    assert message in str(caught.value)
    assert str(tmp_path / "l") in str(caught.value)


def test_missing_list(tmp_path):
    with pytest.raises(DnaError, match=r"cannot read list .*absent: No such file"):
        read_list(tmp_path / "absent")


def test_missing_photographs_are_counted_and_the_first_named(data_dir):
    listed = write(data_dir / "l", "a.JPEG 1\nno1.JPEG 2\nb.JPEG 3\nno2.JPEG 4\n")
    with pytest.raises(DnaError) as caught:
        Dataset(data_dir, listed)
    message = str(caught.value)
    assert "line 2: no file no1.JPEG" in message
    assert "(2 of 4 are missing)" in message
    assert str(data_dir) in message


def test_missing_folder_and_missing_map(tmp_path):
    with pytest.raises(DnaError, match=r"data folder .*absent is missing"):
        Dataset(tmp_path / "absent")
    with pytest.raises(DnaError, match=r"has no val_map\.txt"):
        Dataset(tmp_path)


def test_data_dir_from_option_or_environment(monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    assert data_dir_from(None) is None
    monkeypatch.setenv("DATA_DIR", "")
    assert data_dir_from(None) is None
    monkeypatch.setenv("DATA_DIR", "/imagenet")
    assert data_dir_from(None) == Path("/imagenet")
    assert data_dir_from(Path("/other")) == Path("/other")
