import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.mlperf.deployed import DeployedModel
from sim.quantization import dequantize, quantize
from sim.reference import ReferenceModel
from sw import artifact
from sw.errors import DnaError
from tests.support.tiny import save_artifact

IMAGES = np.random.default_rng(4).normal(0, 60, (2, 224, 224, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


def test_one_image_or_several(folder):
    loaded = artifact.load(folder)
    quantized = quantize(IMAGES, loaded.manifest.input)
    expected = dequantize(ReferenceModel(loaded.graph).run(quantized), loaded.manifest.output)
    model = DeployedModel(folder, threads=1)
    assert np.array_equal(model.run(IMAGES), expected)
    assert np.array_equal(model.run(quantized), expected)
    assert np.array_equal(model.run(IMAGES[1]), expected[1])
    assert model.manifest.class_names[9] == "thing 9"


def test_bad_input(folder, tmp_path):
    with pytest.raises(DnaError, match="is not an artifact"):
        DeployedModel(tmp_path)
    with pytest.raises(DnaError, match="threads must be at least 1, not 0"):
        DeployedModel(folder, threads=0)
    with pytest.raises(DnaError, match="the network takes"):
        DeployedModel(folder).run(IMAGES[:, :100])


def test_no_framework_is_imported(folder):
    program = (
        "import sys, numpy; from harness.mlperf.deployed import DeployedModel\n"
        f"DeployedModel({str(folder)!r}).run(numpy.zeros((224, 224, 3), numpy.int8))\n"
        "found = {'torch', 'tensorflow', 'onnxruntime', 'mlperf_loadgen'} & set(sys.modules)\n"
        "assert not found, found"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
