from pathlib import Path

import numpy as np

from harness.loadgen.systems.photographs import Photographs
from harness.loadgen.systems.tasks import Classes
from sw import artifact
from tests.support.tiny import save_artifact


def test_answers_take_the_lowest_of_equal_logits(tmp_path):
    network = artifact.load(save_artifact(tmp_path / "tiny", side=32))
    task = Classes(network, Photographs([], []))
    for logits, right in (([1, 5, 5], 1), ([-128, -128, -128], 0), ([0, 1, 2], 2)):
        answer = task.answer(Path("any"), np.array([logits], np.int8))
        assert answer.tolist() == [right]
        assert answer.dtype == np.float32
