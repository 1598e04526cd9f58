"""For every ONNX operator that is accepted, small quantized networks around it, by opset.

A network is a model whose node ``target`` is the operator; :func:`bases` gives those of one
operator in one version of the standard or of ONNX Runtime's own domain.
"""

import dataclasses
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state

from sw.operators import table

TARGET = "target"
OWN = "com.microsoft"
OLDEST = 10
"""The first opset with QuantizeLinear."""
NEWEST = {"QuantizeLinear": 23, "DequantizeLinear": 23}
"""The opsets up to which the fields are those that the importer knows; 20 for all others.

From 21 on ONNX Runtime puts uint8 QuantizeLinear nodes behind int8 views, and then refuses them.
"""


FLOAT_ONLY = {("DepthToSpace", 10), ("Resize", 10)}
"""What ONNX Runtime moves no bytes with."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """What an operator has in the opsets that share it.

    Attributes:
        operator: its name.
        domain: empty, or that of ONNX Runtime.
        opset: the newest that has these fields.
        inputs, attributes: the fields.
    """

    operator: str
    domain: str
    opset: int
    inputs: tuple[str, ...]
    attributes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.domain or 'onnx'}.{self.operator}-{self.opset}"


def operators() -> list[str]:
    """Every operator that the table takes from ONNX."""
    names = (name for row in table.TABLE for name in row.spelling["onnx"].names)
    return sorted({name.split(" ")[0] for name in names})


def schemas() -> list[Schema]:
    """The schemas of the accepted operators, once for each set of fields."""
    taken, found = set(operators()), {}
    history = [item for item in onnx.defs.get_all_schemas_with_history() if item.name in taken]
    for item in sorted(history, key=lambda item: item.since_version):
        newer = [
            other.since_version
            for other in history
            if (other.name, other.domain) == (item.name, item.domain)
            and other.since_version > item.since_version
        ]
        newest = NEWEST.get(item.name, 20)
        opset = min([newest, *(version - 1 for version in newer)])
        there = (item.name, opset) not in FLOAT_ONLY
        if there and item.domain == "" and opset >= OLDEST and item.since_version <= newest:
            schema = _schema(item, opset)
            found[schema.operator, schema.inputs, schema.attributes] = schema
    own = [
        _schema(item, 20)
        for item in onnxruntime_pybind11_state.get_all_operator_schema()
        if item.domain == OWN and item.name in taken
    ]
    return [*found.values(), *own]


def _schema(item: Any, opset: int) -> Schema:
    inputs = tuple(each.name for each in item.inputs)
    return Schema(item.name, item.domain, opset, inputs, tuple(sorted(item.attributes)))


class Network:
    """A quantized network that is put together node by node around the operator of ``schema``."""

    def __init__(self, schema: Schema, shape: tuple[int, ...] = (1, 4, 6, 6)) -> None:
        self.schema, self.shape = schema, shape
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.rng = np.random.default_rng(3)
        self.output_type = TensorProto.FLOAT
        for name, scale, zero_point in (("x", 0.05, 3), ("c", 0.09, -4), ("y", 0.07, -9)):
            self.constants[f"{name}_scale"] = np.array(scale, np.float32)
            self.constants[f"{name}_zero"] = np.array(zero_point, np.int8)

    def constant(self, array: Any, dtype: Any, name: str = "") -> str:
        name = name or f"k{len(self.constants)}"
        self.constants[name] = np.array(array, dtype)
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        domain = self.schema.domain if name == TARGET else ""
        if kind.startswith("Q") and kind not in ("QuantizeLinear", "QLinearConv", "QLinearMatMul"):
            domain = OWN
        made = helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes)
        self.nodes.append(made)
        return output

    def target(self, *inputs: str, **attributes: Any) -> str:
        return self.node(self.schema.operator, *inputs, name=TARGET, **attributes)

    def quantize(self, x: str, which: str, name: str = "") -> str:
        return self.node("QuantizeLinear", x, f"{which}_scale", f"{which}_zero", name=name)

    def dequantize(self, x: str, which: str, name: str = "") -> str:
        return self.node("DequantizeLinear", x, f"{which}_scale", f"{which}_zero", name=name)

    def edge(self, x: str = "image") -> str:
        return self.dequantize(self.quantize(x, "x"), "x")

    def weights(self, *shape: int, axis: int = 0, name: str = "") -> str:
        """Dequantized weights with scales ``w_scale`` for the channels along ``axis``."""
        values = self.rng.integers(-127, 128, shape)
        quantized = self.constant(values, np.int8, "w")
        scale = self.constant(0.004 + 0.001 * np.arange(shape[axis]), np.float32, "w_scale")
        zero = self.constant(np.zeros(shape[axis]), np.int8, "w_zero")
        extra = {"axis": axis} if self.schema.opset >= 13 else {}
        return self.node("DequantizeLinear", quantized, scale, zero, name=name, **extra)

    def bias(self, count: int, which: str = "x", name: str = "") -> str:
        values = self.constant(self.rng.integers(-2000, 2000, count), np.int32, "b")
        scale = self.constants[f"{which}_scale"] * self.constants["w_scale"]
        names = self.constant(scale, np.float32, "b_scale"), self.constant([0] * count, np.int32)
        extra = {"axis": 0} if self.schema.opset >= 13 else {}
        return self.node("DequantizeLinear", values, *names, name=name, **extra)

    def conv(self, x: str, size: int = 3) -> str:
        """A convolution with scales for the whole tensor, so that opset 10 has it, too."""
        values = self.constant(self.rng.integers(-127, 128, (4, 4, size, size)), np.int8)
        weights = self.node("DequantizeLinear", values, self.constant(0.005, np.float32))
        return self.node("Conv", x, weights, pads=[size // 2] * 4)

    def mapped(self, x: str) -> str:
        """A convolution, its result quantized."""
        return self.dequantize(self.quantize(self.conv(x), "c"), "c")

    def pixel(self, x: str) -> str:
        """A global average, quantized: [1, 4, 1, 1]."""
        return self.dequantize(self.quantize(self.node("GlobalAveragePool", x), "c"), "c")

    def flat(self, x: str) -> str:
        return self.node("Flatten", self.pixel(x))

    def dense(self, x: str, inputs: int) -> str:
        values = self.constant(self.rng.integers(-127, 128, (inputs, 5)), np.int8)
        weights = self.node("DequantizeLinear", values, self.constant(0.02, np.float32))
        return self.node("MatMul", x, weights)

    def logits(self) -> str:
        return self.quantize(self.dense(self.flat(self.edge()), 4), "y")

    def end(self, x: str, which: str = "y") -> onnx.ModelProto:
        """The model whose float result ``x`` is quantized."""
        return self.model(self.dequantize(self.quantize(x, which), which))

    def model(self, output: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "base",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(output, self.output_type, [])],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.schema.opset), helper.make_opsetid(OWN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def _convolved(net: Network) -> list[onnx.ModelProto]:
    x = net.edge()
    if net.schema.opset < 13:
        values = net.constant(net.rng.integers(-127, 128, (4, 4, 3, 3)), np.int8)
        weights = net.node("DequantizeLinear", values, net.constant(0.005, np.float32))
        return [net.end(net.target(x, weights, pads=[1] * 4))]
    return [net.end(net.target(x, net.weights(4, 4, 3, 3), net.bias(4), pads=[1] * 4))]


def _widened(net: Network) -> list[onnx.ModelProto]:
    """A transposed convolution."""
    if net.schema.opset < 13:
        values = net.constant(net.rng.integers(-127, 128, (4, 4, 3, 3)), np.int8)
        weights = net.node("DequantizeLinear", values, net.constant(0.005, np.float32))
        return [net.end(net.target(net.edge(), weights, strides=[2, 1]))]
    weights = net.weights(4, 4, 3, 3, axis=1)
    return [net.end(net.target(net.edge(), weights, net.bias(4), strides=[2, 1], pads=[1] * 4))]


def _spread(net: Network) -> list[onnx.ModelProto]:
    return [net.end(net.target(net.edge(), blocksize=2), "x")]


def _gemm(net: Network) -> list[onnx.ModelProto]:
    x = net.flat(net.edge())
    if net.schema.operator == "MatMul":
        return [net.end(net.target(x, net.weights(4, 4, axis=1)))]
    weights = net.weights(4, 4)
    return [net.end(net.target(x, weights, net.bias(4, "c"), transB=1))]


def _joined(net: Network) -> list[onnx.ModelProto]:
    x = net.edge()
    if net.schema.operator == "Concat":
        return [net.end(net.target(x, net.mapped(x), axis=1))]
    return [net.end(net.target(x, net.mapped(x)))]


def _part(net: Network) -> list[onnx.ModelProto]:
    """Some channels."""
    if net.schema.operator == "Slice":
        bounds = [net.constant([value], np.int64) for value in (1, 3, 1, 1)]
        return [net.end(net.target(net.edge(), *bounds), "x")]
    by_attribute = "split" in net.schema.attributes
    sizes = [] if by_attribute else [net.constant([1, 3], np.int64)]
    x = net.target(net.edge(), *sizes, axis=1, **({"split": [1, 3]} if by_attribute else {}))
    net.nodes[-1].output.append("rest")
    return [net.end(x, "x")]


def _resized(net: Network) -> list[onnx.ModelProto]:
    made = []
    for mode, coordinates, rounding in (
        ("nearest", "asymmetric", "floor"),
        ("linear", "half_pixel", "round_prefer_floor"),
    ):
        each = Network(net.schema, net.shape)
        scales = each.constant([1, 1, 2, 2], np.float32)
        extra = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
        made.append(each.end(each.target(each.edge(), "", scales, mode=mode, **extra), "x"))
    return made


def _pool(net: Network) -> list[onnx.ModelProto]:
    which = "x" if net.schema.operator == "MaxPool" else "y"
    padded = Network(net.schema, net.shape)
    window = {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]}
    return [
        net.end(net.target(net.edge(), kernel_shape=[2, 2]), which),
        padded.end(padded.target(padded.edge(), **window), "x"),
    ]


def _reduce(net: Network) -> list[onnx.ModelProto]:
    if net.schema.operator == "GlobalAveragePool":
        return [net.end(net.target(net.edge()))]
    if "axes" in net.schema.attributes:
        return [net.end(net.target(net.edge(), axes=[2, 3]))]
    return [net.end(net.target(net.edge(), net.constant([2, 3], np.int64)))]


def _pad(net: Network) -> list[onnx.ModelProto]:
    amounts = [0, 0, 1, 2, 0, 0, 0, 1]
    if "pads" in net.schema.attributes:
        return [net.end(net.target(net.edge(), pads=amounts), "x")]
    return [net.end(net.target(net.edge(), net.constant(amounts, np.int64)), "x")]


def _activated(net: Network) -> list[onnx.ModelProto]:
    x = net.conv(net.edge())
    if net.schema.operator == "Relu":
        return [net.end(net.target(x))]
    if "min" in net.schema.attributes:
        return [net.end(net.target(x, min=0.0, max=6.0))]
    return [net.end(net.target(x, net.constant(0, np.float32), net.constant(6, np.float32)))]


def _applied(net: Network) -> list[onnx.ModelProto]:
    """A function of a map."""
    x, kind = net.edge(), net.schema.operator
    if net.schema.domain:
        net.nodes.pop()
        u = net.target(net.nodes[-1].output[0], "x_scale", "x_zero", "y_scale", "y_zero")
        return [net.model(net.dequantize(u, "y"))]
    given = [net.constant(np.linspace(-0.41, 0.93, 4).reshape(4, 1, 1), np.float32)]
    return [net.end(net.target(x, *(given if kind == "PRelu" else [])))]


def _hosted_or_applied(net: Network) -> list[onnx.ModelProto]:
    return [*_applied(Network(net.schema, net.shape)), *_hosted(net)]


def _divided(net: Network) -> list[onnx.ModelProto]:
    """By a number, and a number by a map."""
    x = net.edge()
    made = [net.end(net.target(x, net.constant(1.7, np.float32)))]
    other = Network(net.schema, net.shape)
    x = other.edge()
    return [*made, other.end(other.target(other.constant([0.3], np.float32), x))]


def _viewed(net: Network) -> list[onnx.ModelProto]:
    kind, x = net.schema.operator, net.edge()
    by_attribute = "axes" in net.schema.attributes
    axes = {"axes": [2, 3]} if by_attribute else {}
    given = [] if by_attribute else [net.constant([2, 3], np.int64)]
    if kind == "Squeeze":
        return [net.end(net.dense(net.target(net.pixel(x), *given, **axes), 4))]
    if kind == "Unsqueeze":
        return [net.end(net.conv(net.target(net.flat(x), *given, **axes), 1))]
    given = [net.constant([1, -1], np.int64)] if kind == "Reshape" else []
    return [net.end(net.dense(net.target(net.mapped(x), *given), 4 * 36))]


def _transposed(net: Network) -> list[onnx.ModelProto]:
    first = net.end(net.conv(net.target(net.edge(), perm=[0, 3, 1, 2])))
    other = Network(net.schema, net.shape)
    x = other.target(other.mapped(other.node("Transpose", other.edge(), perm=[0, 3, 1, 2])))
    other.nodes[-1].attribute.extend([helper.make_attribute("perm", [0, 2, 3, 1])])
    return [first, other.end(other.dense(other.node("Flatten", x), 4 * 36))]


def _same(net: Network) -> list[onnx.ModelProto]:
    return [net.end(net.conv(net.target(net.edge())))]


def _quantized(net: Network) -> list[onnx.ModelProto]:
    """One network for each place in which the node may stand."""
    places = ["input", "output"]
    if net.schema.operator == "DequantizeLinear" and net.schema.opset >= 13:
        places += ["weights", "bias"]
    made = []
    for place in places:
        each = Network(net.schema, net.shape)
        own = {what: TARGET if what == place else "" for what in ("input", "output")}
        first, second = (own, {}) if net.schema.operator == "QuantizeLinear" else ({}, own)
        x = each.quantize("image", "x", first.get("input", ""))
        x = each.dequantize(x, "x", second.get("input", ""))
        if net.schema.opset < 13:
            t = each.conv(x)
        else:
            weights = each.weights(4, 4, 3, 3, name=TARGET if place == "weights" else "")
            bias = each.bias(4, name=TARGET if place == "bias" else "")
            t = each.node("Conv", x, weights, bias)
        u = each.quantize(t, "y", first.get("output", ""))
        made.append(each.model(each.dequantize(u, "y", second.get("output", ""))))
    return made


def _hosted(net: Network) -> list[onnx.ModelProto]:
    u, parameters = net.logits(), ("y_scale", "y_zero", "p_scale", "p_zero")
    if not net.schema.domain:
        extra = {"axis": 1} if net.schema.operator == "ArgMax" else {}
        if extra:
            net.output_type = TensorProto.INT64
        return [net.model(net.target(net.dequantize(u, "y"), **extra))]
    net.constant(1 / 256, np.float32, "p_scale")
    net.constant(-128, np.int8, "p_zero")
    extra = {"opset": 13} if net.schema.operator == "QLinearSoftmax" else {}
    return [net.model(net.dequantize(net.target(u, *parameters, **extra), "p"))]


def _constant(net: Network) -> list[onnx.ModelProto]:
    value = numpy_helper.from_array(np.array(0.05, np.float32))
    net.constants["x_scale"] = np.array(0.05, np.float32)
    scale = net.target(value=value)
    x = net.node("QuantizeLinear", "image", scale, "x_zero")
    made = [net.end(net.conv(net.node("DequantizeLinear", x, "x_scale", "x_zero")))]
    other = Network(net.schema, net.shape)
    shape = other.target(value=numpy_helper.from_array(np.array([1, -1])))
    x = other.node("Reshape", other.mapped(other.edge()), shape)
    return [*made, other.end(other.dense(x, 4 * 36))]


def _integer(net: Network) -> list[onnx.ModelProto]:
    """The QOperator form."""
    kind, first = net.schema.operator, ("x_scale", "x_zero")
    q, last = net.quantize("image", "x"), ("y_scale", "y_zero")
    if kind in ("QLinearAdd", "QLinearMul"):
        c = net.quantize(net.conv(net.dequantize(q, "x")), "c")
        u = net.target(q, *first, c, "c_scale", "c_zero", *last)
    elif kind == "QLinearGlobalAveragePool":
        u = net.target(q, *first, *last)
    elif kind == "QLinearAveragePool":
        u = net.target(q, *first, *last, kernel_shape=[2, 2])
    elif kind == "QLinearConv":
        net.weights(4, 4, 3, 3)
        net.nodes.pop()
        net.constant(net.rng.integers(-2000, 2000, 4), np.int32, "b")
        u = net.target(q, *first, "w", "w_scale", "w_zero", *last, "b", pads=[1] * 4)
    else:
        pooled = net.node("QLinearGlobalAveragePool", q, *first, "c_scale", "c_zero")
        flat = net.node("Flatten", pooled)
        net.weights(4, 4, axis=1)
        net.nodes.pop()
        operands = (flat, "c_scale", "c_zero", "w", "w_scale", "w_zero")
        if kind == "QLinearMatMul":
            u = net.target(*operands, *last)
        else:
            net.constant(net.rng.integers(-200, 200, 4), np.int32, "b")
            u = net.target(*operands, "b", *last, transB=1)
    return [net.model(net.dequantize(u, "y"))]


BASES = {
    **dict.fromkeys(("Conv",), _convolved),
    "ConvTranspose": _widened,
    "DepthToSpace": _spread,
    **dict.fromkeys(("Gemm", "MatMul"), _gemm),
    **dict.fromkeys(("Add", "Sub", "Mul", "Max", "Min", "Concat"), _joined),
    **dict.fromkeys(("Slice", "Split"), _part),
    "Resize": _resized,
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "ReduceMean"), _reduce),
    **dict.fromkeys(("Pad",), _pad),
    **dict.fromkeys(("Relu", "Clip"), _activated),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _viewed),
    **dict.fromkeys(("Transpose",), _transposed),
    **dict.fromkeys(("Identity", "Dropout"), _same),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _quantized),
    **dict.fromkeys(("Softmax", "LogSoftmax", "ArgMax", "QLinearSoftmax"), _hosted),
    **dict.fromkeys(("Sigmoid", "QLinearSigmoid"), _hosted_or_applied),
    "Div": _divided,
    **dict.fromkeys(
        (
            *("Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "PRelu"),
            "QLinearLeakyRelu",
        ),
        _applied,
    ),
    **dict.fromkeys(("Constant",), _constant),
    **dict.fromkeys(
        (
            *("QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul"),
            *("QLinearAveragePool", "QLinearGlobalAveragePool"),
        ),
        _integer,
    ),
}
"""What makes the networks of an operator."""


def bases(schema: Schema) -> list[onnx.ModelProto]:
    """The networks of a schema."""
    shape = (1, 6, 6, 4) if schema.operator == "Transpose" else (1, 4, 6, 6)
    return BASES[schema.operator](Network(schema, shape))


def settle(model: onnx.ModelProto) -> bool:
    """Give the output of a model the shape that it has; whether ONNX Runtime runs the model."""
    kind, runs = model.graph.output[0].type.tensor_type, True
    kind.ClearField("shape")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    image = np.random.default_rng(0).normal(0, 2, shape).astype(np.float32)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        shape = list(session.run(None, {"image": image})[0].shape)
    except Exception:  # its exceptions have no class of their own
        runs = False
    kind.shape.Clear()
    for size in shape:
        kind.shape.dim.add().dim_value = size
    return runs
