import json

import pytest

from harness.data.labels import read_labels
from sw.errors import DnaError

NAMES = ["background", "tench, Tinca tinca", "great white"]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(NAMES),
        "".join(f"{name}\r\n" for name in NAMES) + "\n\n",
        "\ufeff" + "\n".join(NAMES),
        "2 great white\n0  background\n 1 tench, Tinca tinca\n",
        "0:background\n1: tench, Tinca tinca\n2 : great white",
        "0,background\n1,tench, Tinca tinca\n2,great white",
    ],
)
def test_lines(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert read_labels(path) == NAMES


@pytest.mark.parametrize(
    "content",
    [
        NAMES,
        {"2": "great white", "0": "background", "1": "tench, Tinca tinca"},
        {str(index): [f"n{index}", name] for index, name in enumerate(NAMES)},
    ],
)
def test_json(tmp_path, content):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    assert read_labels(path) == NAMES


def test_names_that_begin_with_a_number_sometimes(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("1 euro\ndollar\n")
    assert read_labels(path) == ["1 euro", "dollar"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.txt", "", "it is empty"),
        ("l.txt", "\n \n", "it is empty"),
        ("l.txt", "a\n\nb\n", "line 2 is empty"),
        ("l.txt", "1 a\n2 b\n", "index 0 has no name; they count from 0"),
        ("l.txt", "0 a\n0 b\n", "index 0 has two names"),
        ("l.txt", "0 a\n2 b\n", "index 1 has no name"),
        ("l.txt", b"\xff\xfea", "cannot read"),
        ("l.json", "a\nb", "cannot read"),
        ("l.json", "3", "no array of names"),
        ("l.json", "[]", "it is empty"),
        ("l.json", "[1]", "the name of 0 is 1, no text"),
        ("l.json", '{"a": "b"}', "'a' is no index"),
        ("l.json", '{"1": "b"}', "index 0 has no name"),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DnaError) as caught:
        read_labels(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing(tmp_path):
    with pytest.raises(DnaError, match=r"cannot read .*absent: No such file"):
        read_labels(tmp_path / "absent")
