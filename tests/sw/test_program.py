import numpy as np
import pytest

from sw.errors import DnaError
from sw.program import DramTensor

TENSOR = DramTensor("x", height=3, width=5, channels=6, offset=64, pitch=48, pixel_bytes=8)


def test_what_is_written_is_read_and_the_gaps_are_zero():
    values = np.random.default_rng(0).integers(-128, 128, (3, 5, 6), np.int8)
    dram = np.zeros(64 + 3 * 48, np.uint8)
    dram[64:] = TENSOR.content(values)
    assert np.array_equal(TENSOR.read(dram), values)
    rows = dram[64:].reshape(3, 48)
    assert not rows[:, 40:].any()
    assert not rows[:, :40].reshape(3, 5, 8)[:, :, 6:].any()


@pytest.mark.parametrize("values", [np.zeros((3, 5, 5), np.int8), np.zeros((3, 5, 6), np.uint8)])
def test_other_sizes_and_types_are_refused(values):
    with pytest.raises(DnaError, match=r"x takes int8 \[3, 5, 6\], not"):
        TENSOR.content(values)
