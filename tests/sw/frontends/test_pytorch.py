import numpy as np
import pytest

from tests import skips

pytest.importorskip("torch", reason=skips.not_installed("quantize"))

import torch
from torch import nn
from torch.nn import functional

from sim.quantization import dequantize
from sim.quantization import quantize as to_int8
from sim.reference import ReferenceModel
from sw import artifact
from sw.errors import DnaError
from sw.frontends.pytorch import quantize
from sw.operations import (
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Padding,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks as small gain nothing from threads, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Block(nn.Module):
    """A residual block with batch normalization, its sum out of place."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.conv2(y) + x)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, (5, 3), stride=(2, 1), padding=(2, 0)),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.body = nn.Sequential(Block(), Block())
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


class Flat(nn.Module):
    """No mean: a feature map flattened (NCHW) into two linear layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.hidden = nn.Linear(4 * 5 * 3, 16)
        self.fc = nn.Linear(16, 6)

    def forward(self, x):
        x = torch.flatten(functional.relu(self.conv(x)), 1)
        return self.fc(functional.relu(self.hidden(x)))


def _images(shape, count=24, seed=0):
    rng = np.random.default_rng(seed)
    return list(rng.normal(0.3, 1, (count, *shape)).astype(np.float32))


def _random(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.3
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
            module.weight.data = torch.rand(module.num_features, generator=generator) + 0.5
    return model.eval()


def _logits(graph, images):
    edges = artifact.make(
        graph,
        model="tiny",
        framework="pytorch",
        preprocessing="array",
        class_names=[str(n) for n in range(graph.tensors[graph.output].shape[0])],
    ).manifest
    batch = to_int8(np.stack(images), edges.input)
    return dequantize(ReferenceModel(graph).run(batch), edges.output)


def _float_logits(model, images):
    with torch.inference_mode():
        return model(torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2))).numpy()


@pytest.mark.parametrize(("network", "shape"), [(Residual, (20, 18, 3)), (Flat, (12, 8, 3))])
def test_the_graph_computes_what_the_network_does(network, shape):
    model, images = _random(network()), _images(shape)
    graph = quantize(model, images)
    unseen = _images(shape, seed=1)
    expected = _float_logits(model, unseen)
    error = _logits(graph, unseen) - expected
    assert np.sqrt((error**2).mean()) < 0.03 * expected.std()


def test_operations_are_fused_and_named_after_their_modules():
    graph = quantize(_random(Residual()), _images((20, 18, 3)))
    got = [(type(op), op.name, op.inputs) for op in graph.operations]
    assert got == [
        (Conv2D, "stem.0", ("input",)),
        (MaxPool2D, "stem.2", ("stem.0",)),
        (Conv2D, "body.0.conv1", ("stem.2",)),
        (Conv2D, "body.0.conv2", ("body.0.conv1",)),
        (Add, "body.0.add", ("body.0.conv2", "stem.2")),
        (Conv2D, "body.1.conv1", ("body.0.add",)),
        (Conv2D, "body.1.conv2", ("body.1.conv1",)),
        (Add, "body.1.add", ("body.1.conv2", "body.0.add")),
        (Mean, "mean", ("body.1.add",)),
        (FullyConnected, "fc", ("mean",)),
    ]
    stem, pool = graph.operations[:2]
    assert (stem.kernel, stem.stride, stem.activation) == ((5, 3), (2, 1), "relu")
    assert stem.padding == Padding(top=2, bottom=2)
    assert (pool.kernel, pool.stride) == ((3, 3), (2, 2))
    assert pool.padding == Padding(top=1, bottom=1, left=1, right=1)
    assert [op.activation for op in graph.operations if isinstance(op, Add)] == ["relu"] * 2
    assert graph.find("body.0.conv2").activation == "none"
    assert graph.tensors["input"].shape == (20, 18, 3)


def test_the_machine_s_quantization_scheme():
    model = _random(Residual())
    graph = quantize(model, _images((20, 18, 3)))
    for operation in graph.weighted():
        weights = graph.constant(operation, "weights").reshape(
            graph.result(operation).shape[-1], -1
        )
        assert weights.dtype == np.int8
        assert (np.abs(weights).max(axis=1) == 127).all()  # symmetric, per channel
    for operation in graph.operations:
        if getattr(operation, "activation", "none") == "relu":
            assert graph.result(operation).zero_point == -128  # no code is spent below zero
    fc = graph.find("fc")
    step = graph.tensors["mean"].scale * graph.constant(fc, "weight_scale").astype(np.float64)
    bias = graph.constant(fc, "bias") * step
    assert (np.abs(bias - model.fc.bias.detach().numpy()) <= step / 2 + 1e-9).all()


def test_progress_is_reported():
    calls = []
    quantize(_random(Flat()), _images((12, 8, 3), 3), progress=lambda *call: calls.append(call))
    assert calls == [
        ("calibrating", 1),
        ("calibrating", 2),
        ("calibrating", 3),
        ("converting", 0),
    ]


def test_a_module_used_twice_gets_two_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(functional.relu(self.conv(x))).mean((2, 3))

    graph = quantize(_random(Twice()), _images((4, 4, 3)))
    assert [op.name for op in graph.operations] == ["conv", "conv_1", "mean"]


def test_dead_channels_and_large_biases_are_legal():
    model = _random(Flat())
    with torch.no_grad():
        model.conv.weight[1] = 0
        model.conv.bias[1] = 3.0
        model.fc.weight[2] = 0
        model.fc.weight[3] *= 1e-7
    images = _images((12, 8, 3))
    graph = quantize(model, images)
    for name in ("conv", "fc"):
        scale = graph.constant(graph.find(name), "weight_scale")
        assert (np.isfinite(scale) & (scale > 0)).all()
    error = _logits(graph, images) - _float_logits(model, images)
    assert np.abs(error).max() < 2 * graph.tensors["fc"].scale + 0.1
    np.testing.assert_allclose(
        _logits(graph, images)[:, 2:4],
        np.broadcast_to(model.fc.bias.detach().numpy()[2:4], (len(images), 2)),
        atol=graph.tensors["fc"].scale,
    )


def test_one_image_is_enough():
    graph = quantize(_random(Flat()), _images((12, 8, 3), 1))
    assert graph.output == "fc"


class Around(nn.Module):
    """A function of the result of a convolution and of its input."""

    def __init__(self, function, **options):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=options.get("dilation", 1), **options)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x), x).mean((2, 3))


def _sum_read_again(y, x):
    z = y.add_(x)
    return z + y


def _read_before_the_sum(y, x):
    z = functional.max_pool2d(y, 1)
    y += x
    return z + y


@pytest.mark.parametrize("function", [_sum_read_again, _read_before_the_sum])
def test_values_may_be_overwritten(function):
    model, images = _random(Around(function)), _images((6, 6, 4))
    error = _logits(quantize(model, images), images) - _float_logits(model, images)
    assert np.abs(error).max() < 0.1


class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.shift = nn.Parameter(torch.ones(4, 6, 6))

    def forward(self, x):
        return self.conv(x) + self.shift


class OverwrittenView(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)
        self.fc = nn.Linear(6 * 6 * 4, 2)

    def forward(self, x):
        y = self.conv(x)
        flat = torch.flatten(y, 1)
        y += x
        return self.fc(flat) + self.fc(torch.flatten(y, 1))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Around(lambda y, _: torch.erf(y)), r"unsupported operator erf \(aten\.erf"),
        (Around(lambda y, _: y * 2), "only a plain product of two tensors"),
        (Around(lambda y, _: y + 1.0), "only a plain sum of two tensors"),
        (Around(lambda y, x: torch.add(y, x, alpha=2)), "only a plain sum of two tensors"),
        (Shifted(), "only a plain sum of two tensors"),
        (Around(lambda y, x: functional.conv2d(x, y[:, :, :1, :1])), "unsupported operator"),
        (Around(lambda y, x: functional.conv2d(x, y)), "its weights are not constant"),
        (Around(lambda y, _: torch.flatten(y, 2)[..., None]), "unsupported operator"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(2)), "only from dimension 1 to the last"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(6, 2)), "only on a flat tensor"),
        (OverwrittenView(), r"unsupported operator add .*: it overwrites a value"),
        (nn.ConvTranspose2d(4, 4, 2, groups=2), "groups 2, dilation"),
        (Around(lambda y, _: y[:, ::2]), "0 to 4 by 2 of axis 1; nearest: step 1"),
        (
            Around(lambda y, _: functional.max_pool2d(y, 2, ceil_mode=True)),
            "max-pool with dilation or ceil_mode",
        ),
        (Around(lambda y, _: y.mean((1,), keepdim=True)), "only the mean over the whole map"),
        (Around(lambda y, _: y.mean((2, 3), keepdim=True) - y), "a pixel minus a map"),
        (
            Around(lambda y, _: functional.avg_pool2d(y, 2, ceil_mode=True)),
            "average-pool with ceil_mode or divisor_override",
        ),
        (
            Around(lambda y, _: functional.avg_pool2d(y, 2, divisor_override=3)),
            "average-pool with ceil_mode or divisor_override",
        ),
        (
            Around(lambda y, _: functional.pad(y, (1, 1, 1, 1), mode="reflect")),
            "padding .* of mode reflect",
        ),
        (Around(lambda y, _: functional.pad(y, (1, 1, 1, 1, 1, 1), value=2.0)), "with 2.0"),
        (Around(lambda y, _: functional.dropout(y, training=True)), "dropout while training"),
        (
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Softmax(1), nn.Linear(144, 2)),
            "it reads a softmax",
        ),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Flatten()), "output is a flattened map of"),
    ],
)
def test_what_the_machine_cannot_do_is_refused_by_name(model, message):
    with pytest.raises(DnaError, match=message):
        quantize(_random(model), _images((6, 6, 4), 2))


class Gated(nn.Module):
    """A mean that a convolution reads: it stays a map of one pixel."""

    def __init__(self):
        super().__init__()
        self.point = nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return torch.flatten(self.point(functional.adaptive_avg_pool2d(x, 1)), 1)


def test_a_mean_that_a_convolution_reads_is_a_map():
    graph = quantize(_random(Gated()), _images((6, 6, 4), 2))
    assert [graph.result(operation).shape for operation in graph.operations] == [
        (1, 1, 4),
        (1, 1, 3),
    ]


class Mobile(nn.Module):
    """What mobile networks are made of: inverted residuals, ReLU6, depthwise convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.body = nn.Sequential(
            nn.Conv2d(8, 24, 1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(inplace=True),
            nn.Conv2d(24, 24, 3, 1, 1, groups=24, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(inplace=True),
            nn.Conv2d(24, 8, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 5))

    def forward(self, x):
        x = functional.relu6(self.stem(x))
        x = functional.avg_pool2d(x + self.body(x), 2)
        return self.classifier(x.mean([2, 3]))


def test_a_mobile_network():
    model, images = _random(Mobile()), _images((20, 18, 3))
    graph = quantize(model, images)
    assert [type(operation) for operation in graph.operations] == [
        *(Conv2D, Conv2D, DepthwiseConv2D, Conv2D, Add, AveragePool2D, Mean, FullyConnected)
    ]
    assert [op.activation for op in graph.operations[:4]] == ["relu6", "relu6", "relu6", "none"]
    expected = _float_logits(model, images)
    error = _logits(graph, images) - expected
    assert np.sqrt((error**2).mean()) < 0.06 * expected.std()


def test_no_image_is_refused():
    with pytest.raises(DnaError, match="no calibration images"):
        quantize(_random(Flat()), [])


def test_images_of_other_shapes_are_refused():
    images = [*_images((12, 8, 3), 2), *_images((12, 9, 3), 1)]
    with pytest.raises(DnaError, match=r"calibration image 3 has shape \[12, 9, 3\]"):
        quantize(_random(Flat()), images)


def test_images_that_are_not_numbers_are_refused():
    images = _images((12, 8, 3), 2)
    images[1][3, 3, 0] = np.nan
    with pytest.raises(DnaError, match="calibration image 2 holds NaN"):
        quantize(_random(Flat()), images)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_numbers_are_refused(value):
    model = _random(Flat())
    model.hidden.weight.data[3, 3] = value
    with pytest.raises(DnaError, match=r"'hidden\.weight' hold NaN or infinity"):
        quantize(model, _images((12, 8, 3), 2))


def test_activations_that_overflow_are_refused():
    model = _random(Flat())
    model.conv.weight.data *= 1e38
    model.hidden.weight.data *= 1e38
    with pytest.raises(DnaError, match="became NaN or infinite"):
        quantize(model, _images((12, 8, 3), 2))
