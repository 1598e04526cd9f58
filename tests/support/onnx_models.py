"""Small ONNX networks, and ONNX Runtime's static quantization of them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

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


def save_float(path: Path, *, flatten_map: bool = False) -> Path:
    """Two strides, a residual addition, depthwise convolution, max-pool and a classifier.

    ``flatten_map`` leaves the average out, so that the classifier sees a map.
    """
    rng = np.random.default_rng(1)
    initializers, nodes = [], []

    def weights(name, *shape):
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        values = (rng.normal(0, 1, shape) / np.sqrt(fan_in)).astype(np.float32)
        initializers.append(numpy_helper.from_array(values, name))
        return name

    def conv(x, y, out, into, kernel, groups=1, **attributes):
        inputs = [x, weights(f"{y}.w", out, into // groups, kernel, kernel), weights(f"{y}.b", out)]
        nodes.append(helper.make_node("Conv", inputs, [y], group=groups, **attributes))
        return y

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    x = node("Relu", [conv("image", "c1", 8, 3, 3, strides=[2, 2], pads=[1, 0, 0, 1])], "r1")
    x = node("MaxPool", [x], "m1", kernel_shape=[3, 3], strides=[1, 2], pads=[1, 1, 1, 1])
    y = conv(x, "c2", 8, 8, 3, groups=8, pads=[1, 1, 1, 1])
    x = node("Relu", [node("Add", [y, conv(x, "c3", 8, 8, 1)], "a")], "r2")
    size = 8
    if flatten_map:
        size = 8 * 8 * 4
    else:
        x = node("GlobalAveragePool", [x], "g")
    x = node("Flatten", [x], "f", axis=1)
    node("Gemm", [x, weights("fc.w", 10, size), weights("fc.b", 10)], "logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 10))],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def save_quantized(folder: Path, form: str, kind: str, *, flatten_map: bool = False) -> Path:
    """The network of :func:`save_float`, quantized."""
    path = folder / f"{form}-{kind}.onnx"
    quantize_static(
        save_float(folder / "float.onnx", flatten_map=flatten_map),
        path,
        _Images(),
        quant_format=QuantFormat[form],
        per_channel=True,
        activation_type=QuantType[kind],
        weight_type=QuantType.QInt8,
    )
    return path
