"""Mean average precision, and that it is what MLPerf's script does with the same answers."""

import json

import numpy as np
import pytest

from harness.data.coco import ANNOTATIONS, Coco
from harness.detection.precision import mean_average_precision
from sw.errors import DnaError
from tests.support.tiny import save_coco


@pytest.fixture
def folder(tmp_path):
    return save_coco(tmp_path, 4)


def answers(folder, data, moved=0.0, left_out=0):
    """The truth as answers, boxes moved by so many pixels, the first ones left out."""
    truth = json.loads((folder / ANNOTATIONS).read_text())["annotations"]
    found = {index: [] for index in range(len(data.images))}
    for box in truth[left_out:]:
        index = box["image_id"] - 1
        image = data.images[index]
        left, top, width, height = box["bbox"]
        left += moved
        corners = (top, left, top + height, left + width)
        sides = (image.height, image.width) * 2
        parts = [each / side for each, side in zip(corners, sides, strict=True)]
        found[index].append([index, *parts, 0.9, box["category_id"]])
    return {index: np.array(boxes, np.float32).reshape(-1, 7) for index, boxes in found.items()}


def precision(folder, data, found):
    return mean_average_precision(folder / ANNOTATIONS, data.images, found)


def test_the_truth_is_right_and_nothing_is_wrong(folder):
    data = Coco(folder)
    assert precision(folder, data, answers(folder, data)) == pytest.approx(1.0)
    assert precision(folder, data, {0: np.empty((0, 7), np.float32)}) == 0.0
    assert precision(folder, data, {}) == 0.0


def test_only_photographs_that_were_answered_count(folder):
    data = Coco(folder)
    every = answers(folder, data)
    assert precision(folder, data, {2: every[2]}) == pytest.approx(1.0)
    without = every | {2: every[2][:0]}
    assert 0 < precision(folder, data, without) < 1


def test_what_is_less_right_is_worth_less(folder):
    data = Coco(folder)
    values = [precision(folder, data, answers(folder, data, moved)) for moved in (0, 3, 12, 400)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[1] > values[2] > values[3] == 0


def test_a_file_that_has_no_boxes_is_one_line(folder):
    data = Coco(folder)
    found = answers(folder, data)
    path = folder / ANNOTATIONS
    path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": [{"id": 1}]}))
    with pytest.raises(DnaError, match="pycocotools cannot use it: KeyError"):
        precision(folder, data, found)
