"""Functions of a value in ONNX files: ONNX Runtime's bits, in LiteRT and on the machine too."""

import numpy as np
import onnxruntime
import pytest

from hw.config import PRESETS
from sim.compare.engines import Comparer
from sim.compare.onnx import OnnxMeasurer, faults
from sim.quantization import quantize
from sw import artifact
from sw.errors import DnaError
from sw.frontends.onnx import import_file
from sw.operations import DepthwiseConv2D, Lookup, Multiply
from tests.support.onnx_models import FloatNetwork, quantized
from tests.support.programs import check_program, noise


def silu(net, x):
    return net.node("Mul", x, net.node("Sigmoid", x))


def prelu(net, x, count=8):
    slopes = np.linspace(-0.3, 1.4 if count == 8 else 0.2, count)
    return net.node("PRelu", x, net.constant(slopes.reshape(-1, 1, 1)))


def hard_swish(net, x):
    """As exporters wrote it before there was an operator."""
    shifted = net.node("Add", x, net.constant(3.0))
    bounded = net.node("Clip", shifted, net.constant(0.0), net.constant(6.0))
    return net.node("Mul", x, net.node("Div", bounded, net.constant(6.0)))


def number(kind, value, *, first=False, behind=None):
    """An operator of a map and a number."""

    def made(net, x):
        operands = [x, net.constant(value)]
        x = net.node(kind, *(operands[::-1] if first else operands))
        return x if behind is None else net.node(behind, x)

    return made, {Lookup}


FUNCTIONS = {
    "Add 3": number("Add", 3.0),
    "3 Add": number("Add", [[[3.0]]], first=True, behind="Relu"),
    "Sub": number("Sub", [0.4]),
    "1 Sub": number("Sub", 1.0, first=True),
    "Mul": number("Mul", -1.7, behind="Relu"),
    "Div": number("Div", 6.0),
    "Max": number("Max", 0.1, first=True),
    "Min": number("Min", 0.2),
    "hard swish in parts": (hard_swish, {Lookup, Multiply}),
    "Sigmoid": (lambda net, x: net.node("Sigmoid", x), {Lookup}),
    "Tanh": (lambda net, x: net.node("Tanh", x), {Lookup}),
    "HardSwish": (lambda net, x: net.node("HardSwish", x), {Lookup}),
    "HardSigmoid": (lambda net, x: net.node("HardSigmoid", x, alpha=0.2), {Lookup}),
    "LeakyRelu": (lambda net, x: net.node("LeakyRelu", x, alpha=0.3), {Lookup}),
    "Elu": (lambda net, x: net.node("Elu", x, alpha=1.5), {Lookup}),
    "SiLU": (silu, {Lookup, Multiply}),
    "PRelu": (prelu, {DepthwiseConv2D}),
    "PRelu of one slope": (lambda net, x: prelu(net, x, 1), {Lookup}),
    "squeeze and excite": (
        lambda net, x: net.node(
            "Mul",
            x,
            net.node("Sigmoid", net.conv(net.node("GlobalAveragePool", x), 8, 8, 1)),
        ),
        {Lookup, Multiply},
    ),
}


@pytest.mark.parametrize("kind", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_value_is_onnx_runtime_s(tmp_path, name, kind):
    function, kinds = FUNCTIONS[name]
    net = FloatNetwork()
    x = net.conv(function(net, net.conv("image", 8, 3, 3)), 4, 8, 1)
    path = quantized(net.save(x, tmp_path / "f.onnx", (1, 4, 15, 12)), "QDQ", kind)
    imported = import_file(path)
    graph = imported.graph
    assert {type(operation) for operation in graph.operations} >= kinds
    image = noise(np.random.default_rng(0), graph)
    measurer = OnnxMeasurer(path, imported)
    measured = measurer.measure([image])
    assert faults(measured, measurer.whole([image], measured)) == []
    assert sum(row.differing for row in measured if row.kind == "Lookup") == 0
    assert sum(row.mismatches for row in Comparer(graph).image(image)) == 0
    check_program(graph, PRESETS["nano"], image)


def test_a_leaky_relu_of_bytes(tmp_path):
    """The quantizer's QOperator form has an operator of its own."""
    net = FloatNetwork()
    x = net.node("LeakyRelu", net.conv("image", 8, 3, 3), alpha=0.2)
    path = net.save(net.conv(x, 4, 8, 1), tmp_path / "f.onnx", (1, 4, 15, 12))
    path = quantized(path, "QOperator", "QUInt8")
    imported = import_file(path)
    assert any(isinstance(operation, Lookup) for operation in imported.graph.operations)
    network = artifact.make(imported.graph, model="f", framework="onnx", preprocessing=None)
    given = np.random.default_rng(1).normal(size=(17, 14, 3)).astype(np.float32)
    pixels = quantize(given, network.manifest.input)
    source = network.manifest.input
    real = ((pixels.astype(np.float32) - source.zero_point) * source.scale).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (right,) = session.run(None, {"image": real.transpose(2, 0, 1)[np.newaxis]})
    rows = Comparer(imported.graph).image(pixels)
    assert sum(row.mismatches for row in rows) == 0
    assert right.shape == (1, 4, 15, 12)


def test_a_number_for_each_channel_is_refused(tmp_path):
    net = FloatNetwork()
    x = net.node("Div", net.conv("image", 8, 3, 3), net.constant(np.ones((8, 1, 1))))
    path = net.save(net.conv(x, 4, 8, 1), tmp_path / "f.onnx", (1, 4, 15, 12))
    with pytest.raises(DnaError, match="it divides by something else; nearest: by one number"):
        import_file(quantized(path, "QDQ", "QInt8"))


@pytest.mark.parametrize(
    ("slopes", "words"),
    [
        (np.ones((8, 15, 12)), "slopes of shape"),
        (np.ones((15, 1)), "slopes of shape"),
    ],
)
def test_slopes_of_another_shape_are_refused(tmp_path, slopes, words):
    net = FloatNetwork()
    x = net.node("PRelu", net.conv("image", 8, 3, 3), net.constant(slopes))
    path = net.save(net.conv(x, 4, 8, 1), tmp_path / "f.onnx", (1, 4, 15, 12))
    with pytest.raises(DnaError, match=words):
        import_file(quantized(path, "QDQ", "QInt8"))
