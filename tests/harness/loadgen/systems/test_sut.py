import time

import numpy as np

from harness.loadgen.systems.sut import answers, measure


def test_answers_take_the_lowest_of_equal_logits():
    logits = np.array([[1, 5, 5], [-128, -128, -128], [0, 1, 2]], np.int8)
    assert answers(logits).tolist() == [1, 0, 2]
    assert answers(logits).dtype == np.float32


def test_measure_counts_what_several_models_do():
    def model(batch):
        time.sleep(0.01)
        return batch

    image = np.zeros((2, 2, 3), np.int8)
    one = measure([model], image, 0.2)
    three = measure([model] * 3, image, 0.2)
    assert 0 < one <= 100
    assert one < three <= 300
