import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sw.errors import DnaError
from sw.frontends.onnx import import_file
from sw.frontends.onnx.node import Node
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
from tests.support.onnx_models import FORMS, save_float, save_quantized


@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_both_forms_and_types_give_the_same_operations(tmp_path, form, kind):
    imported = import_file(save_quantized(tmp_path, form, kind))
    graph = imported.graph
    kinds = [type(operation) for operation in graph.operations]
    assert sorted(kinds, key=str) == sorted(
        [Conv2D, MaxPool2D, DepthwiseConv2D, Conv2D, Add, Mean, FullyConnected], key=str
    )
    first, pool = graph.operations[:2]
    assert (first.padding, first.stride) == (Padding(1, 0, 0, 1), (2, 2))
    assert pool.stride == (1, 2)
    assert graph.tensors[graph.input].shape == (17, 14, 3)
    assert set(imported.tensors) >= {operation.output for operation in graph.operations}


def test_uint8_and_int8_differ_by_the_zero_point_alone(tmp_path):
    one, other = (
        import_file(save_quantized(tmp_path, "QDQ", kind)).graph for kind in ("QUInt8", "QInt8")
    )
    for a, b in zip(one.tensors.values(), other.tensors.values(), strict=True):
        assert a.shape == b.shape
        assert a.scale == pytest.approx(b.scale, rel=0.02)
        assert abs(a.zero_point - b.zero_point) <= 1


def model(path, nodes, constants=(), shape=(1, 3, 8, 8)):
    """A network from a quantized image ``q`` (float ``x`` again) to ``y``."""
    fixed = [
        numpy_helper.from_array(np.array(0.1, np.float32), "s"),
        numpy_helper.from_array(np.array(3, np.int8), "z"),
        *(numpy_helper.from_array(array, name) for name, array in constants),
    ]
    edge = [
        helper.make_node("QuantizeLinear", ["image", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
    ]
    graph = helper.make_graph(
        edge + nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        fixed,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def node(kind, inputs, output="t", **attributes):
    return helper.make_node(kind, inputs, [output], **attributes)


def out(x="t"):
    return [
        helper.make_node("QuantizeLinear", [x, "s", "z"], ["u"]),
        helper.make_node("DequantizeLinear", ["u", "s", "z"], ["y"]),
    ]


WEIGHTS = np.ones((4, 3, 3, 3), np.int8)


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ([node("Softsign", ["x"]), *out()], (), ["node 2 (Softsign)", "not supported", "nearest"]),
        (
            [node("GlobalAveragePool", ["x"], "m"), node("Add", ["m", "m"]), *out()],
            (),
            ["node 3 (Add)", "float within the network", "QDQ"],
        ),
        (
            [
                node("DequantizeLinear", ["wq", "s", "wz"], "w"),
                node("Conv", ["x", "w"]),
                *out(),
            ],
            (("wq", WEIGHTS), ("wz", np.array(5, np.int8))),
            ["node 3 (Conv)", "zero point"],
        ),
        (
            [
                node("DequantizeLinear", ["wq", "s"], "w"),
                node("Conv", ["x", "w"], dilations=[99, 99]),
                *out(),
            ],
            (("wq", WEIGHTS),),
            ["node 3 (Conv)", "dilations"],
        ),
        (
            [node("Conv", ["x", "w"]), *out()],
            (("w", WEIGHTS.astype(np.float32)),),
            ["node 2 (Conv)", "no int8"],
        ),
    ],
)
def test_refusals_name_the_node_and_the_nearest(tmp_path, nodes, constants, words):
    path = model(tmp_path / "model.onnx", nodes, constants)
    with pytest.raises(DnaError) as caught:
        import_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def conv(bias_scale=0.01, bias_zero=0, **attributes):
    """A convolution with a bias, and its constants."""
    nodes = [
        node("DequantizeLinear", ["wq", "s"], "w"),
        node("DequantizeLinear", ["bq", "bs", "bz"], "b"),
        node("Conv", ["x", "w", "b"], "t", **attributes),
        *out(),
    ]
    constants = (
        ("wq", WEIGHTS),
        ("bq", np.arange(4, dtype=np.int32)),
        ("bs", np.array(bias_scale, np.float32)),
        ("bz", np.array(bias_zero, np.int32)),
    )
    return nodes, constants


def pool(kind="MaxPool", outputs=("t",), **attributes):
    attributes = {"kernel_shape": [2, 2], **attributes}
    return [helper.make_node(kind, ["x"], outputs, **attributes), *out()], ()


def reshaped(*shape, allowzero=None):
    extra = {} if allowzero is None else {"allowzero": allowzero}
    nodes = [node("Reshape", ["x", "shape"], **extra), *out()]
    return nodes, (("shape", np.array(shape, np.int64)),)


def requantized():
    nodes = [
        node("QuantizeLinear", ["x", "other", "z"], "v"),
        node("DequantizeLinear", ["v", "other", "z"], "y"),
    ]
    return nodes, (("other", np.array(0.2, np.float32)),)


def read_with_another_scale():
    nodes = [
        node("MaxPool", ["x"], "t", kernel_shape=[2, 2]),
        node("QuantizeLinear", ["t", "s", "z"], "v"),
        node("DequantizeLinear", ["v", "other", "z"], "y"),
    ]
    return nodes, (("other", np.array(0.2, np.float32)),)


def behind_softmax():
    nodes = [
        node("Flatten", ["x"], "f"),
        node("Softmax", ["f"], "p"),
        node("QuantizeLinear", ["p", "s", "z"], "v"),
        node("DequantizeLinear", ["v", "s", "z"], "r"),
        node("DequantizeLinear", ["wq", "s"], "w"),
        node("MatMul", ["r", "w"]),
        *out(),
    ]
    return nodes, (("wq", np.ones((192, 4), np.int8)),)


def activated(*nodes):
    return [*nodes, node("Relu", ["m"]), *out()], ()


def weights_along_another_axis():
    nodes = [
        node("DequantizeLinear", ["wq", "ws"], "w", axis=1),
        node("Conv", ["x", "w"]),
        *out(),
    ]
    return nodes, (("wq", WEIGHTS[:3]), ("ws", np.full(3, 0.1, np.float32)))


REFUSED = {
    "bias scale": (conv(bias_scale=0.02), ["(Conv)", "bias of another scale"]),
    "bias zero point": (conv(bias_zero=1), ["(Conv)", "with a zero point"]),
    "auto_pad": (conv(auto_pad="SAME_UPPER"), ["(Conv)", "auto_pad SAME_UPPER", "NOTSET"]),
    "kernel": (conv(kernel_shape=[2, 3]), ["(Conv)", "a kernel of [2, 3]"]),
    "groups": (conv(group=2), ["(Conv)", "of 2 groups", "all"]),
    "negative pads": (conv(pads=[-1, 0, 0, 0]), ["(Conv)", "less than nothing"]),
    "weight axis": (weights_along_another_axis(), ["(Conv)", "axis 1"]),
    "dilated maximum": (pool(dilations=[2, 2]), ["(MaxPool)", "dilations"]),
    "order": (pool(storage_order=1), ["(MaxPool)", "storage_order 1"]),
    "ceiling": (pool(ceil_mode=1), ["(MaxPool)", "ceil_mode 1"]),
    "indices": (pool(outputs=("t", "i")), ["(MaxPool)", "output 1, 'i'"]),
    "padding alone": (pool(pads=[2, 0, 0, 0]), ["(MaxPool)", "less padding"]),
    "average ceiling": (pool("AveragePool", ceil_mode=1), ["(AveragePool)", "ceil_mode 1"]),
    "view of a map": (reshaped(1, 24, 8), ["(Reshape)", "[1, 3, 8, 8] to [1, 24, 8]"]),
    "transposing view": (reshaped(1, 8, 8, 3), ["(Reshape)", "Flatten"]),
    "zeros of a view": (reshaped(1, 192, allowzero=1), ["(Reshape)", "allowzero 1"]),
    "no operation": (reshaped(1, 192), ["no operator that the machine would run"]),
    "host's operator inside": (
        activated(node("LogSoftmax", ["x"], "m")),
        ["(LogSoftmax)", "a map"],
    ),
    "a slope for each pixel": (
        ([node("PRelu", ["x", "slope"]), *out()], (("slope", np.ones((8, 8), np.float32)),)),
        ["(PRelu)", "slopes of shape [8, 8]", "one, or [3, 1, 1]"],
    ),
    "an infinite slope": (
        ([node("LeakyRelu", ["x"], alpha=float("inf")), *out()], ()),
        ["(LeakyRelu)", "alpha inf", "a number"],
    ),
    "other scale": (requantized(), ["(QuantizeLinear)", "another scale"]),
    "another reader": (read_with_another_scale(), ["(DequantizeLinear)", "another scale"]),
    "softmax inside": (behind_softmax(), ["(MatMul)", "host computes", "at the end"]),
    "behind a mean": (
        activated(node("GlobalAveragePool", ["x"], "m")),
        ["(Relu)", "does not follow"],
    ),
    "twice": (
        activated(
            node("MaxPool", ["x"], "n", kernel_shape=[2, 2]),
            node("Relu", ["n"], "m"),
        ),
        ["(Relu)", "does not follow"],
    ),
    "another domain": (
        ([helper.make_node("MaxPool", ["x"], ["t"], domain="mine"), *out()], ()),
        ["(mine.MaxPool)", "not supported"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_field_that_nobody_reads_is_a_refusal(tmp_path, what):
    (nodes, constants), words = REFUSED[what]
    path = model(tmp_path / "model.onnx", nodes, constants)
    with pytest.raises(DnaError) as caught:
        import_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_an_attribute_of_tomorrow_is_refused():
    proto = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], shimmer=3)
    seen = Node(7, proto)
    assert seen.attribute("kernel_shape", None) == [2, 2]
    with pytest.raises(DnaError, match=r"node 7 \(MaxPool\): attribute shimmer 3; nearest: no"):
        seen.finish(1)


def test_bounds_behind_a_pooling_are_kept(tmp_path):
    nodes, _ = activated(node("MaxPool", ["x"], "m", kernel_shape=[2, 2]))
    imported = import_file(model(tmp_path / "model.onnx", nodes))
    pooled, bounded = imported.graph.operations
    assert (type(pooled), type(bounded)) == (MaxPool2D, DepthwiseConv2D)
    assert bounded.activation == "relu"
    assert bounded.lo == imported.graph.tensors["input"].zero_point


def test_an_input_may_be_quantized_for_each_reader(tmp_path):
    nodes = [
        node("QuantizeLinear", ["image", "s", "z"], "q2"),
        node("DequantizeLinear", ["q2", "s", "z"], "x2"),
        node("Add", ["x", "x2"]),
        *out(),
    ]
    graph = import_file(model(tmp_path / "model.onnx", nodes)).graph
    assert [operation.inputs for operation in graph.operations] == [("input", "input")]


def test_the_average_s_rule_depends_on_what_padding_counts(tmp_path):
    kinds = []
    for attributes in ({}, {"pads": [1] * 4}, {"pads": [1] * 4, "count_include_pad": 1}):
        nodes, _ = pool("AveragePool", **attributes)
        graph = import_file(model(tmp_path / "model.onnx", nodes)).graph
        kinds.append(type(graph.operations[0]))
    assert kinds == [DepthwiseConv2D, AveragePool2D, DepthwiseConv2D]


def test_a_float_model_is_refused(tmp_path):
    with pytest.raises(DnaError, match="float within the network"):
        import_file(save_float(tmp_path / "float.onnx"))


@pytest.mark.parametrize("what", ["missing", "empty", "text", "truncated"])
def test_damaged_files_are_named_in_one_line(tmp_path, what):
    path = tmp_path / "model.onnx"
    whole = save_float(tmp_path / "float.onnx").read_bytes()
    contents = {"empty": b"", "text": b"no model", "truncated": whole[: len(whole) // 2]}
    if what != "missing":
        path.write_bytes(contents[what])
    with pytest.raises(DnaError) as caught:
        import_file(path)
    assert "\n" not in str(caught.value)
    assert "model.onnx" in str(caught.value)
