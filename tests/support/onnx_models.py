"""Small ONNX networks, and ONNX Runtime's static quantization of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

SHAPE = (1, 3, 17, 14)
FORMS = [(form, kind) for form in ("QDQ", "QOperator") for kind in ("QUInt8", "QInt8")]


class _Images(CalibrationDataReader):
    def __init__(self) -> None:
        self.left = 8

    def get_next(self):
        self.left -= 1
        if self.left < 0:
            return None
        noise = np.random.default_rng(self.left).normal(0, 1, SHAPE)
        return {"image": noise.astype(np.float32)}


class FloatNetwork:
    """Collects nodes from the input ``image`` on; each method returns the name of a result."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = np.random.default_rng(seed)
        self.initializers: list[Any] = []
        self.nodes: list[Any] = []

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"k{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(array, dtype), name))
        return name

    def weights(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        return self.constant(self.rng.normal(0, 1, shape) / np.sqrt(fan_in))

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def conv(
        self, x: str, out: int, into: int, kernel: int, groups: int = 1, **attributes: Any
    ) -> str:
        weights = self.weights(out, into // groups, kernel, kernel), self.weights(out)
        return self.node("Conv", x, *weights, group=groups, **attributes)

    def save(self, output: str, path: Path, shape: tuple[int, ...] | None = None) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
        return path


def save_float(path: Path, *, flatten_map: bool = False) -> Path:
    """Two strides, a residual addition, depthwise convolution, max-pool and a classifier.

    ``flatten_map`` leaves the average out, so that the classifier sees a map.
    """
    net = FloatNetwork()
    x = net.node("Relu", net.conv("image", 8, 3, 3, strides=[2, 2], pads=[1, 0, 0, 1]))
    x = net.node("MaxPool", x, kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 1, 1])
    y = net.conv(x, 8, 8, 3, groups=8, pads=[1, 1, 1, 1])
    x = net.node("Relu", net.node("Add", y, net.conv(x, 8, 8, 1)))
    size = 8
    if flatten_map:
        size = 8 * 8 * 4
    else:
        x = net.node("GlobalAveragePool", x)
    x = net.node("Flatten", x, axis=1)
    logits = net.node("Gemm", x, net.weights(10, size), net.weights(10), transB=1)
    return net.save(logits, path, (1, 10))


def _kinds(form: str) -> list[str]:
    """What the quantizer takes by itself, and in the QDQ form more."""
    kinds = {*QLinearOpsRegistry, *QDQRegistry}
    return sorted(kinds | set(MORE)) if form == "QDQ" else sorted(kinds)


def quantized(
    float_file: Path, form: str, kind: str, *, symmetric: bool = False, **extra: Any
) -> Path:
    """A float network, quantized, beside it.

    Args:
        symmetric: activations have the zero point 0 (of int8), and so keep what bounds them.
        extra: more options of the quantizer.
    """
    path = float_file.with_name(f"{float_file.stem}-{form}-{kind}.onnx")
    quantize_static(
        float_file,
        path,
        _Images(),
        quant_format=QuantFormat[form],
        per_channel=True,
        activation_type=QuantType[kind],
        weight_type=QuantType.QInt8,
        op_types_to_quantize=_kinds(form),
        extra_options={"ActivationSymmetric": symmetric, **extra},
    )
    return path


def save_quantized(folder: Path, form: str, kind: str, *, flatten_map: bool = False) -> Path:
    """The network of :func:`save_float`, quantized."""
    return quantized(save_float(folder / "float.onnx", flatten_map=flatten_map), form, kind)


def _classified(net: FloatNetwork, x: str) -> str:
    flat = net.node("Flatten", net.node("GlobalAveragePool", x))
    return net.node("Gemm", flat, net.weights(5, 8), net.weights(5), transB=1)


def _cut(net: FloatNetwork, x: str) -> str:
    """Rows of what is put together of parts of the channels in another order."""
    sizes = net.constant([3, 5], np.int64)
    net.nodes.append(helper.make_node("Split", [x, sizes], ["first", "rest"], axis=1))
    joint = net.node("Concat", "rest", "first", axis=1)
    bounds = [net.constant([value], np.int64) for value in (2, 9, 2)]
    return net.conv(net.node("Slice", joint, *bounds), 4, 8, 1)


def _resized(net: FloatNetwork, x: str, mode: str, coordinates: str) -> str:
    scales = net.constant([1, 1, 2, 2])
    extra = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        extra["nearest_mode"] = "floor"
    return net.node("Resize", x, "", scales, **extra)


def _slopes(channels: int) -> np.ndarray:
    return np.linspace(-0.2, 0.7, channels).reshape(-1, 1, 1)


EXAMPLES: dict[str, Callable[[FloatNetwork, str], str]] = {
    "convolution": lambda net, x: net.conv(x, 4, 8, 3, strides=[2, 1], pads=[1, 0, 2, 1]),
    "depthwise convolution": lambda net, x: net.conv(x, 16, 8, 3, 8, strides=[1, 2]),
    "grouped convolution": lambda net, x: net.conv(x, 6, 8, 3, 2, pads=[1, 0, 1, 1]),
    "transposed convolution": lambda net, x: net.conv(
        net.node(
            "ConvTranspose",
            x,
            net.weights(8, 4, 3, 2),
            net.weights(4),
            strides=[2, 1],
            pads=[1, 0, 0, 1],
        ),
        4,
        4,
        1,
    ),
    "fully connected": _classified,
    "addition": lambda net, x: net.node("Add", x, net.conv(x, 8, 8, 1)),
    "interleaving": lambda net, x: net.conv(
        net.node("DepthToSpace", x, blocksize=2, mode="CRD"), 4, 2, 3
    ),
    "multiplication": lambda net, x: net.node("Mul", x, net.conv(x, 8, 8, 1)),
    "function": lambda net, x: net.conv(
        net.node("LeakyRelu", net.node("Mul", x, net.node("Sigmoid", x)), alpha=0.1), 4, 8, 1
    ),
    "parametric ReLU": lambda net, x: net.node("PRelu", x, net.constant(_slopes(8))),
    "extremum": lambda net, x: net.conv(
        net.node("Max", x, net.node("Min", x, net.conv(x, 8, 8, 1))), 4, 8, 1
    ),
    "concatenation": lambda net, x: net.conv(
        net.node("Concat", x, net.conv(x, 5, 8, 1), axis=1), 4, 13, 1
    ),
    "slice": lambda net, x: _cut(net, x),
    "nearest resize": lambda net, x: net.conv(_resized(net, x, "nearest", "asymmetric"), 4, 8, 1),
    "bilinear resize": lambda net, x: net.conv(_resized(net, x, "linear", "half_pixel"), 4, 8, 1),
    "max-pool": lambda net, x: net.node("MaxPool", x, kernel_shape=[3, 2], strides=[2, 1]),
    "average-pool": lambda net, x: net.node("AveragePool", x, kernel_shape=[3, 2], strides=[1, 2]),
    "mean": lambda net, x: net.node("GlobalAveragePool", x),
    "padding": lambda net, x: net.conv(
        net.node("Pad", x, net.constant([0, 0, 1, 2, 0, 0, 0, 1], np.int64)), 4, 8, 3
    ),
    "activation": lambda net, x: net.conv(
        net.node("Clip", net.conv(x, 4, 8, 1), net.constant(0), net.constant(6)), 4, 4, 1
    ),
    "view": lambda net, x: net.node(
        "Gemm", net.node("Flatten", x), net.weights(5, 8 * 15 * 12), net.weights(5), transB=1
    ),
    "quantization": lambda net, x: net.conv(x, 4, 8, 1),
    "softmax": lambda net, x: net.node("Softmax", _classified(net, x)),
}
"""An operator of each row of the table, behind a convolution with 8 channels and what it needs."""


FLOAT_ALONE = (
    *("transposed convolution", "extremum", "concatenation", "slice", "parametric ReLU"),
    "bilinear resize",
)
"""What ONNX Runtime's quantizer leaves float in the QOperator form, or has an operator for that is
not read or not taken."""
MORE = ("Sub", "Div", "Max", "Min", "PRelu", "Tanh", "HardSwish", "HardSigmoid", "Elu")
"""What it quantizes if it is asked to."""


def save_example(folder: Path, name: str, form: str, kind: str = "QUInt8") -> Path:
    """A quantized network with the operator ``name`` of the table."""
    net = FloatNetwork()
    output = EXAMPLES[name](net, net.conv("image", 8, 3, 3))
    path = net.save(output, folder / f"{name}.onnx".replace(" ", "-"))
    return quantized(path, form, kind, symmetric=name == "activation")
