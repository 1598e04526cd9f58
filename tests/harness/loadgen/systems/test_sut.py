import time

import numpy as np

from harness.loadgen.systems.sut import measure


def test_measure_counts_what_several_models_do():
    def model(batch):
        time.sleep(0.01)
        return batch

    image = np.zeros((2, 2, 3), np.int8)
    one = measure([model], image, 0.2)
    three = measure([model] * 3, image, 0.2)
    assert 0 < one <= 100
    assert one < three <= 300
