"""The runtime class on a small artifact."""

import subprocess
import sys

import numpy as np
import pytest

from sim.functional import isa
from sim.quantization import dequantize
from sim.reference import ReferenceModel
from sim.runtime import Runtime
from sw import artifact
from sw.errors import DnaError
from tests import skips
from tests.support.graphs import random_image, random_small_graph

SHAPE = (13, 11, 3)


@pytest.fixture(scope="module")
def graph():
    return random_small_graph(np.random.default_rng(4))


@pytest.fixture(scope="module")
def folder(graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "small"
    names = [f"class {i}" for i in range(10)]
    artifact.save(
        artifact.make(
            graph, model="small", framework="none", preprocessing="caffe", class_names=names
        ),
        path,
    )
    return path


@pytest.fixture
def images(graph):
    rng = np.random.default_rng(5)
    return np.stack([random_image(rng, graph) for _ in range(3)])


@pytest.mark.parametrize("engine", ["functional", "reference"])
def test_logits_are_the_references(engine, graph, folder, images):
    runtime = Runtime.load(folder, engine=engine)
    source, target = runtime.manifest.input, runtime.manifest.output
    logits = runtime.run(dequantize(images, source))
    assert logits.dtype == np.float32 and logits.shape == (3, 10)
    assert (logits == dequantize(ReferenceModel(graph).run(images), target)).all()
    assert (logits == runtime.run(images)).all()


def test_the_path_may_be_text(folder, images):
    assert Runtime.load(str(folder), threads=2).run(images).shape == (3, 10)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros(SHAPE, np.float32),
        np.zeros((1, *SHAPE), np.float64),
        np.zeros((1, *SHAPE), np.uint8),
        np.zeros((1, 11, 13, 3), np.float32),
        np.zeros((1, 3, 13, 11), np.float32),
    ],
)
def test_other_batches_are_refused(folder, batch):
    with pytest.raises(DnaError, match=r"float32 or int8 images of shape \(N, 13, 11, 3\), not"):
        Runtime.load(folder).run(batch)


def test_an_unknown_engine_is_refused(folder):
    with pytest.raises(DnaError, match="engine 'warp' is unknown; choose from functional, refer"):
        Runtime.load(folder, engine="warp")


def test_a_missing_artifact_is_refused(tmp_path):
    with pytest.raises(DnaError, match="is not an artifact"):
        Runtime.load(tmp_path / "absent")


ABSENT = ("torch", "torchao", "amaranth", "ai_edge_litert", "tflite", "flatbuffers", "harness")


@pytest.mark.parametrize(
    "engine",
    [
        "reference",
        pytest.param(
            "functional",
            marks=pytest.mark.skipif(not isa.available(), reason=skips.KERNELS),
        ),
    ],
)
def test_no_framework_hdl_or_other_engine_is_needed(folder, engine):
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({ABSENT!r})  # importing one of them fails\n"
        "import numpy\n"
        "from sim.runtime import Runtime\n"
        f"runtime = Runtime.load({str(folder)!r}, {engine!r})\n"
        f"runtime.run(numpy.zeros((1, *{SHAPE!r}), numpy.float32))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
