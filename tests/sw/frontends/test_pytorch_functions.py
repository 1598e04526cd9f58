"""PyTorch: functions, products, joins and resizes, as detectors have them."""

import numpy as np
import pytest

from tests import skips

pytest.importorskip("torch", reason=skips.not_installed("quantize"))

import torch
from torch import nn
from torch.nn import functional

from hw.config import PRESETS
from sim.compare.engines import Comparer
from sim.functional import FunctionalModel
from sim.quantization import quantize as to_int8
from sim.runtime import Runtime
from sw import artifact
from sw.errors import DnaError
from sw.frontends.pytorch import quantize
from sw.operations import (
    Concatenation,
    DepthwiseConv2D,
    Extremum,
    Lookup,
    Multiply,
    ResizeNearest,
)
from tests.support.programs import check_program
from tests.support.torch_networks import Squeeze, block, random_statistics

SIZE = 16


class Neck(nn.Module):
    """The features of two scales, joined, as a detector of the YOLO family does it."""

    def __init__(self):
        super().__init__()
        self.stem, self.down = (
            block(3, 8, 3, activation=nn.SiLU),
            block(8, 8, 3, 2, activation=nn.SiLU),
        )
        self.up, self.join = nn.Upsample(scale_factor=2), block(16, 8, 1, activation=nn.Hardswish)
        self.head, self.gate = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        fine = self.stem(x)
        joined = self.join(torch.cat([self.up(self.down(fine)), fine], 1))
        return self.head(joined) * torch.sigmoid(self.gate(joined))


def images(count=6):
    rng = np.random.default_rng(0)
    return list(rng.normal(0, 1, (count, SIZE, SIZE, 3)).astype(np.float32))


def test_a_neck():
    model = random_statistics(Neck())
    graph = quantize(model, images())
    kinds = {type(operation) for operation in graph.operations}
    assert kinds >= {Lookup, Multiply, Concatenation, ResizeNearest}
    network = artifact.make(graph, model="neck", framework="pytorch", preprocessing=None)
    image = images()[0]
    with torch.no_grad():
        right = model(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    (got,) = Runtime(network).infer(image).values()
    assert np.square(got - right).mean() < 0.01 * np.square(right).mean()
    compared = Comparer(graph).image(to_int8(image, network.manifest.input))
    assert sum(row.mismatches for row in compared) == 0


def test_squeeze_and_excite():
    squeezed = (block(3, 8, 3, 2, activation=nn.Hardswish), Squeeze(8), nn.Conv2d(8, 4, 1))
    model = random_statistics(nn.Sequential(*squeezed))
    given = images(2)
    graph = quantize(model, given)
    shapes = {
        tuple(tensor.shape for tensor in graph.operands(operation))
        for operation in graph.operations
        if isinstance(operation, Multiply)
    }
    assert any(right[:2] == (1, 1) != left[:2] for left, right in shapes)
    network = artifact.make(graph, model="v3", framework="pytorch", preprocessing=None)
    with torch.no_grad():
        right = model(torch.from_numpy(given[0]).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    (got,) = Runtime(network).infer(given[0]).values()
    assert np.square(got - right).mean() < 0.02 * np.square(right).mean()
    image = to_int8(given[0], network.manifest.input)
    assert sum(row.mismatches for row in Comparer(graph).image(image)) == 0
    check_program(graph, PRESETS["nano"], image)


class Joined(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.conv, self.function = nn.Conv2d(3, 4, 1), function

    def forward(self, x):
        return self.function(self.conv(x))


class AgainstConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("least", torch.full((1, 4, 1, 1), 0.5))

    def forward(self, x):
        return torch.maximum(x, self.least)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.cat([x, x * x], 2), "along axis 2; nearest: channels, 1"),
        (lambda x: nn.functional.interpolate(x, size=(24, 16)), "16 x 16 to 24 x 16"),
        (
            lambda x: functional.interpolate(x, size=(24, 16), mode="bilinear"),
            r"\[16, 16\] to \[24, 16\]; nearest: factors of 2 and 4",
        ),
        (AgainstConstant(), "only a plain maximum or minimum of two tensors"),
        (lambda x: functional.prelu(x, x.mean((0, 2, 3))), "its weights are not constant"),
    ],
)
def test_what_the_machine_does_in_another_way_is_refused(function, words):
    with pytest.raises(DnaError, match=words):
        quantize(random_statistics(Joined(function)), images(2))


def prelu(count):
    """A slope for each of ``count`` channels."""
    module = nn.PReLU(count)
    with torch.no_grad():
        module.weight.copy_(torch.linspace(-0.3, 0.9, count) if count > 1 else torch.tensor([0.2]))
    return module


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: torch.maximum(x, x.mean((2, 3), keepdim=True)), {Extremum}),
        (lambda x: torch.min(torch.tanh(x), torch.sigmoid(x)), {Extremum, Lookup}),
        (prelu(1), {Lookup}),
        (prelu(4), {DepthwiseConv2D}),
        (lambda x: torch.cat([torch.sigmoid(x), x], 1), {Concatenation, Lookup}),
        *(
            (function, {Lookup})
            for function in (
                *(lambda x: functional.relu(x) + x, lambda x: functional.relu6(x) * x),
                *(lambda x: torch.clamp(x, -1, 0.5), nn.Hardtanh(), nn.ELU(1.3), nn.SELU()),
                *(nn.GELU(), nn.GELU("tanh"), nn.Mish(), nn.Softplus(), nn.CELU(0.7)),
                *(torch.abs, torch.neg, lambda x: functional.relu(torch.cat([x, -x], 1))),
            )
        ),
        (nn.Upsample(scale_factor=2, mode="bilinear"), {ResizeNearest, DepthwiseConv2D}),
        (
            lambda x: functional.interpolate(x, size=(31, 61), mode="bilinear", align_corners=True),
            {ResizeNearest, DepthwiseConv2D},
        ),
    ],
)
def test_what_is_like_the_float_network_and_litert(function, kinds):
    model = random_statistics(Joined(function))
    given = images(4)
    graph = quantize(model, given)
    assert {type(operation) for operation in graph.operations} >= kinds
    network = artifact.make(graph, model="net", framework="pytorch", preprocessing=None)
    with torch.no_grad():
        right = model(torch.from_numpy(given[0]).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    (got,) = Runtime(network).infer(given[0]).values()
    assert np.square(got - right).mean() < 0.01 * np.square(right).mean()
    image = to_int8(given[0], network.manifest.input)
    assert sum(row.mismatches for row in Comparer(graph).image(image)) == 0
    check_program(graph, PRESETS["nano"], image)


class Steep(nn.Module):
    """A hard sigmoid of values whose one step is beyond its bend."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        return self.last(functional.hardsigmoid(self.conv(x)))


@pytest.mark.parametrize("factor", [1e4, 1e-4])
def test_a_hard_sigmoid_of_any_scale(factor):
    model = random_statistics(Steep())
    with torch.no_grad():
        model.conv.weight *= factor
        model.conv.bias *= factor
    graph = quantize(model, images(2))
    network = artifact.make(graph, model="steep", framework="pytorch", preprocessing=None)
    pixels = to_int8(images()[0], network.manifest.input)
    assert sum(row.mismatches for row in Comparer(graph).image(pixels)) == 0
    gates = FunctionalModel(graph).run_all(pixels)[graph.operations[-1].inputs[0]]
    middle = np.abs(gates) <= 1  # of a half; else of nothing or all
    assert ((gates <= -127) | (gates >= 126) | middle).mean() > 0.99
    assert middle.all() == (factor < 1)
