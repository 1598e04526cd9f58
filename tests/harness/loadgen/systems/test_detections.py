"""A detector as a task: what an answer is, and what is refused."""

import numpy as np
import pytest

from harness.data.coco import Coco
from harness.data.preprocess import letterbox
from harness.loadgen import logs
from harness.loadgen.systems.detections import Detections
from sw import artifact
from sw.errors import DnaError
from tests.support.coco_stand_in import CATEGORIES
from tests.support.graphs import random_detector
from tests.support.tiny import SIDES, THINGS, save_coco, save_detector


@pytest.fixture
def data(tmp_path):
    return Coco(save_coco(tmp_path, 3))


@pytest.fixture
def network(tmp_path):
    return artifact.load(save_detector(tmp_path / "d"))


def test_an_answer_has_the_photograph_s_own_measures(network, data):
    """A box of the input's pixels is one of the photograph, and what is outside is cut off."""
    task = Detections(network, data, None)
    path = data.paths[1]
    width, height = data.images[1].width, data.images[1].height
    place = letterbox((width, height), (64, 64, 3))
    assert place.top > 0 and place.left == 0  # it is wider than high
    whole = [place.left, place.top, place.left + place.width, place.top + place.height]
    found = np.array([[*whole, 0.5, 0], [-5, 0, 32, 32, 0.25, 79]], np.float32)
    answer = task.answer(path, found)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer[0], [1, 0, 0, 1, 1, 0.5, 1], atol=0.02)
    np.testing.assert_allclose(answer[1], [1, 0, 0, 0.5, 0.5, 0.25, CATEGORIES[79]], atol=0.02)
    assert task.answer(path, found[:0]).nbytes == 0


def test_photographs_may_be_fewer_and_count_once(network, data):
    assert Detections(network, data, 2).paths == data.paths[:2]
    data.paths[2] = data.paths[0]
    with pytest.raises(DnaError, match=r"image 3 has 000000000001.jpg again, as in image 1"):
        Detections(network, data, None)


def test_what_does_not_fit_is_refused(network, data):
    graph = random_detector(np.random.default_rng(0), 64, (SIDES, THINGS))
    cut = artifact.make(graph, model="cut", framework="none", preprocessing="torchvision")
    with pytest.raises(DnaError, match=r"cut does not see the whole photograph.*short_side"):
        Detections(cut, data, None)
    blind = artifact.make(graph, model="blind", framework="none", preprocessing=None)
    with pytest.raises(DnaError, match="blind takes arrays"):
        Detections(blind, data, None)
    data.categories = data.categories[:5]
    with pytest.raises(DnaError, match="no detector that is known here of 5 classes"):
        Detections(network, data, None)


def test_a_damaged_answer_is_one_line(network, data, tmp_path):
    task = Detections(network, data, None)
    for text in ("0000803F", "xy", "00"):
        (tmp_path / logs.ACCURACY).write_text(f'[{{"qsl_idx": 1, "data": "{text}"}}]')
        with pytest.raises(DnaError, match="the answer of sample 1 is no boxes"):
            task.judge(tmp_path)
    (tmp_path / logs.ACCURACY).write_text('[{"qsl_idx": 1, "data": ""}]')
    judged = task.judge(tmp_path)
    assert (judged.answered, judged.map, judged.top1) == (1, 0.0, None)
