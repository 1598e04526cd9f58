"""A few of the random ONNX models."""

import numpy as np
import pytest

from tests import skips

pytest.importorskip("onnxruntime", reason=skips.not_installed("bench"))

from sw.errors import DnaError
from tests.sweeps.onnx_sweep import compared, random_file


def test_random_networks_are_onnx_runtime_s(tmp_path):
    values = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        try:
            count, _, wrong, ours = compared(random_file(rng, tmp_path), rng)
        except DnaError:
            continue
        values += count
        assert (wrong, ours) == ([], 0)
    assert values > 0
