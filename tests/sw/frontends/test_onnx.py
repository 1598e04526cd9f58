import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sw.errors import DnaError
from sw.frontends.onnx import import_file
from sw.operations import Add, Conv2D, DepthwiseConv2D, FullyConnected, MaxPool2D, Mean, Padding
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
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
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
        ([node("Sigmoid", ["x"]), *out()], (), ["node 2 (Sigmoid)", "not supported", "nearest"]),
        (
            [node("MaxPool", ["x"], "m", kernel_shape=[2, 2]), node("Add", ["m", "m"]), *out()],
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
                node("Conv", ["x", "w"], dilations=[2, 2]),
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
