import hashlib

import pytest
from PIL import Image

from harness.data.datasets import Dataset
from tests.support.stand_in import make
from tests.support.tiny import save_photographs


@pytest.fixture
def source(tmp_path):
    return Dataset(save_photographs(tmp_path / "photographs", 3))


def test_every_photograph_is_another_and_has_its_label(source, tmp_path):
    make(source, tmp_path / "made", 10)
    made = Dataset(tmp_path / "made")
    assert made.labels == [source.labels[i % 3] for i in range(10)]
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in made.paths}) == 10
    for path in made.paths:
        with Image.open(path) as photograph:
            assert min(photograph.size) == 256


def test_the_same_seed_makes_the_same(source, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make(source, tmp_path / name, 5, seed)
    contents = [[path.read_bytes() for path in Dataset(tmp_path / n).paths] for n in "abc"]
    assert contents[0] == contents[1] != contents[2]
