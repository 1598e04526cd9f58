"""Whole networks of PyTorch, small: quantized they are what LiteRT, interpreter and RTL compute."""

import numpy as np
import pytest

from tests import skips

pytest.importorskip("torchao", reason=skips.not_installed("quantize"))

import torch

from hw.config import PRESETS
from sim.compare.engines import Comparer
from sim.functional import FunctionalModel
from sim.quantization import dequantize
from sim.quantization import quantize as to_int8
from sim.rtl.registry import open_simulator
from sim.verify.interpreter import interpret_program
from sim.verify.rtl import verify_program
from sw import artifact
from sw.compiler import compile_graph
from sw.frontends.pytorch import quantize
from tests.support import torch_papers
from tests.support.torch_networks import random_statistics

NANO = PRESETS["nano"]
SIZE = 32
NETWORKS = {
    "MobileNetV3-Large": lambda: torch_papers.MobileNetV3Large(0.25, 10),
    "EfficientNet-Lite0": lambda: torch_papers.EfficientNetLite0(0.25, 10),
    "a detector": lambda: torch_papers.Detector(0.5, 6),
}
LEAST_DB = 12.0
"""Of signal to the error of quantization, of an output; random weights, 4 images of noise."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=NETWORKS)
def quantized(request):
    """A network, its integer graph, an image, and that as the graph takes it."""
    model = random_statistics(NETWORKS[request.param]())
    images = np.random.default_rng(0).normal(0, 1, (4, SIZE, SIZE, 3)).astype(np.float32)
    graph = quantize(model, list(images))
    made = artifact.make(graph, model="x", framework="pytorch", preprocessing=None)
    return model, graph, images[0], to_int8(images[0], made.manifest.input), made.manifest


def test_int8_is_near_float32(quantized):
    model, graph, image, pixels, manifest = quantized
    with torch.no_grad():
        real = model(torch.from_numpy(image.transpose(2, 0, 1))[None])
    outputs = real if isinstance(real, tuple) else (real,)
    found = FunctionalModel(graph).outputs(pixels)
    for expected, got, quantization in zip(outputs, found, manifest.outputs, strict=True):
        wanted = expected.numpy()[0]
        wanted = wanted.transpose(1, 2, 0) if wanted.ndim == 3 else wanted
        error = wanted - dequantize(got, quantization)
        assert 10 * np.log10((wanted**2).sum() / (error**2).sum()) > LEAST_DB


def test_every_operation_is_litert_s_through_the_flatbuffer(quantized):
    _, graph, _, pixels, _ = quantized
    rows = Comparer(graph).image(pixels)
    assert sum(row.values for row in rows) > 0
    assert sum(row.mismatches for row in rows) == 0


def test_the_whole_program_is_right_in_rtl(quantized):
    _, graph, _, pixels, _ = quantized
    program = compile_graph(graph, NANO)
    expected = FunctionalModel(graph).run_all(pixels)
    interpreted = interpret_program(program, pixels, expected)
    assert (interpreted.mismatches, interpreted.logits) == (0, 0)
    with open_simulator(NANO, size=program.memory.size, record_writes=True) as machine:
        result = verify_program(machine, program, pixels, expected)
    assert result.values > 0
    assert (result.mismatches, result.logits) == (0, 0)
