"""ONNX files that were imported wrong, refused without need, or ended in a traceback."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sim.compare.onnx import OnnxMeasurer, faults
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.frontends.onnx import import_file
from sw.operations import Add, Conv2D, FullyConnected
from tests.support.onnx_models import FloatNetwork, quantized, save_float

RNG = np.random.default_rng(5)
CONSTANTS = {
    "s": np.array(0.1, np.float32),
    "z": np.array(3, np.int8),
    "zu": np.array(131, np.uint8),
    "wide": np.array(0.2, np.float32),
    "wq": RNG.integers(-127, 128, (4, 4, 3, 3)).astype(np.int8),
    "mq": RNG.integers(-127, 128, (4 * 36, 5)).astype(np.int8),
    "pq": RNG.integers(-127, 128, (4, 5)).astype(np.int8),
    "ws": np.array(0.003, np.float32),
    "row": np.array([1, -1]),
    "w0": np.array(0, np.int8),
    "map": np.array([1, 4, 4, 9]),
    "ratio": np.array(0.5, np.float32),
    "first": np.array([1]),
    "behind": np.array([4]),
    "rows": np.array([2]),
    "double": np.array([1, 1, 2, 2], np.float32),
    "yes": np.array(True),
}


def node(kind, inputs, output, domain="", **attributes):
    return helper.make_node(kind, inputs.split(), output.split(), domain=domain, **attributes)


def quantize(x, output, scale="s", zero="z"):
    return node("QuantizeLinear", f"{x} {scale} {zero}", output)


def dequantize(x, output, scale="s", zero="z"):
    return node("DequantizeLinear", f"{x} {scale} {zero}", output)


def pair(x, output):
    """Quantized and float again."""
    return [quantize(x, f"{output}_q"), dequantize(f"{output}_q", output)]


EDGE = pair("image", "x")
WEIGHTS = [node("DequantizeLinear", "wq ws", "w")]
CONV = [*EDGE, *WEIGHTS, node("Conv", "x w", "c", pads=[1] * 4)]
LOGITS = [
    *EDGE,
    node("GlobalAveragePool", "x", "g"),
    *pair("g", "h"),
    node("Flatten", "h", "f"),
    node("DequantizeLinear", "pq ws", "m"),
    node("MatMul", "f m", "l"),
    *pair("l", "logits"),
]


def save(path, nodes, output="y", shape=(1, 4, 6, 6), kind=TensorProto.FLOAT, rank=4, result=1):
    """A file with the input ``image``; what it does not use of the constants is left out."""
    used = {name for each in nodes for name in each.input}
    made = {name for each in nodes for name in each.output}
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("image", kind, shape)],
        [helper.make_tensor_value_info(output, result, [None] * rank)],
        [
            numpy_helper.from_array(array, name)
            for name, array in CONSTANTS.items()
            if name in used - made
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def taken(path):
    """The file imported, held to ONNX Runtime operation by operation and as a whole."""
    imported = import_file(path)
    source = imported.graph.tensors[imported.graph.input]
    images = [RNG.integers(-128, 128, source.shape, dtype=np.int8) for _ in range(2)]
    measurer = OnnxMeasurer(path, imported)
    measured = measurer.measure(images)
    whole = measurer.whole(images, measured)
    assert faults(measured, whole) == []
    assert whole.values > 0
    return imported


def kinds(imported):
    return [type(operation) for operation in imported.graph.operations]


CONSTANT_FORMS = {
    "value_float": ("s", {"value_float": 0.1}),
    "value_floats": ("s", {"value_floats": [0.1]}),
    "value_ints": ("row", {"value_ints": [1, -1]}),
    "value": ("row", {"value": numpy_helper.from_array(np.array([1, -1]))}),
}


@pytest.mark.parametrize("form", CONSTANT_FORMS)
def test_constants_in_every_form(tmp_path, form):
    name, attributes = CONSTANT_FORMS[form]
    constant = helper.make_node("Constant", [], [name], **attributes)
    nodes = [constant, *CONV, *pair("c", "d"), node("Reshape", "d row", "y")]
    assert kinds(taken(save(tmp_path / "m.onnx", nodes, rank=2))) == [Conv2D]


def test_a_constant_of_text_is_refused(tmp_path):
    constant = helper.make_node("Constant", [], ["s"], value_string="0.1")
    with pytest.raises(DnaError, match=r"\(Constant\): attribute value_string"):
        import_file(save(tmp_path / "m.onnx", [constant, *CONV, *pair("c", "y")]))


def test_what_is_read_raw_and_through_relu_is_computed_twice(tmp_path):
    nodes = [
        *CONV,
        *pair("c", "raw"),
        node("Relu", "c", "r"),
        *pair("r", "bounded"),
        node("Add", "raw bounded", "a"),
        *pair("a", "y"),
    ]
    imported = taken(save(tmp_path / "m.onnx", nodes))
    assert kinds(imported) == [Conv2D, Conv2D, Add]
    assert [op.activation for op in imported.graph.operations] == ["none", "relu", "none"]


def test_what_is_quantized_with_two_scales_is_computed_twice(tmp_path):
    nodes = [
        *CONV,
        *pair("c", "raw"),
        quantize("c", "v", "wide"),
        dequantize("v", "other", "wide"),
        node("Add", "raw other", "a"),
        *pair("a", "y"),
    ]
    imported = taken(save(tmp_path / "m.onnx", nodes))
    scales = [imported.graph.tensors[name].scale for name in ("conv_3", "conv_3_2")]
    assert scales == [np.float32(0.1), np.float32(0.2)]


@pytest.mark.parametrize("readers", ["image", "x_q", "c"])
def test_equal_pairs_for_each_reader_are_one_tensor(tmp_path, readers):
    again = {
        "image": [quantize("image", "e"), dequantize("e", "other")],
        "x_q": [dequantize("x_q", "other")],
        "c": [*pair("c", "other")],
    }[readers]
    nodes = [*CONV, *pair("c", "d"), *again, node("Add", "d other", "a"), *pair("a", "y")]
    assert kinds(taken(save(tmp_path / "m.onnx", nodes))) == [Conv2D, Add]


@pytest.mark.parametrize("layers", ["none", "identity", "view"])
def test_a_network_without_an_operator_is_refused(tmp_path, layers):
    middle = {"none": [], "identity": [node("Identity", "x", "i")]}.get(
        layers, [node("Flatten", "x", "i")]
    )
    nodes = [*EDGE, *middle, quantize("i" if middle else "x", "v"), dequantize("v", "y")]
    with pytest.raises(DnaError, match="no operator that the machine would run"):
        import_file(save(tmp_path / "m.onnx", nodes))


@pytest.mark.parametrize("flat", [False, True])
def test_an_output_in_another_order_is_said_to_be(tmp_path, flat):
    last = [node("Flatten", "d", "y")] if flat else [node("Identity", "d", "y")]
    path = save(tmp_path / "m.onnx", [*CONV, *pair("c", "d"), *last], rank=2 if flat else 4)
    (note,) = taken(path).notes
    assert "[6, 6, 4], height, width, channels" in note
    assert ("[1, 144]" if flat else "[1, 4, 6, 6]") in note


@pytest.mark.parametrize("kind", ["INT8", "UINT8"])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_bytes_come_in_and_go_out(tmp_path, kind, form):
    zero = "z" if kind == "INT8" else "zu"
    if form == "QDQ":
        nodes = [
            dequantize("image", "x", zero=zero),
            *WEIGHTS,
            node("Conv", "x w", "c"),
            quantize("c", "y", zero=zero),
        ]
    else:
        nodes = [node("QLinearConv", f"image s {zero} wq ws w0 s {zero}", "y")]
    code = getattr(TensorProto, kind)
    imported = taken(save(tmp_path / "m.onnx", nodes, kind=code, result=code))
    assert imported.graph.tensors["input"].zero_point == 3


def test_an_input_of_other_integers_is_named(tmp_path):
    path = save(tmp_path / "m.onnx", [dequantize("image", "y")], kind=TensorProto.INT32)
    with pytest.raises(DnaError, match="input is INT32; nearest: a float input with a Quantize"):
        import_file(path)


@pytest.mark.parametrize("where", ["in front", "behind", "of bytes"])
def test_an_input_with_channels_last_as_tensorflow_exports_it(tmp_path, where):
    """A network of three sizes, so that no order is taken for another."""
    turn = [0, 3, 1, 2]
    nodes, code = {
        "in front": ([node("Transpose", "image", "t", perm=turn), *pair("t", "x")], 1),
        "behind": ([*pair("image", "u"), node("Transpose", "u", "x", perm=turn)], 1),
        "of bytes": (
            [dequantize("image", "u"), node("Transpose", "u", "x", perm=turn)],
            TensorProto.INT8,
        ),
    }[where]
    nodes += [*WEIGHTS, node("Conv", "x w", "c", pads=[1] * 4), *pair("c", "d")]
    nodes += [node("Transpose", "d", "n", perm=[0, 2, 3, 1]), node("Flatten", "n", "f")]
    nodes += [node("DequantizeLinear", "mq ws", "m"), node("MatMul", "f m", "l"), *pair("l", "y")]
    path = save(tmp_path / "m.onnx", nodes, shape=(1, 9, 4, 4), kind=code, rank=2)
    imported = taken(path)
    assert kinds(imported) == [Conv2D, FullyConnected]
    assert imported.graph.tensors["input"].shape == (9, 4, 4)
    assert imported.input_last


def test_a_transpose_that_moves_anything_else_is_refused(tmp_path):
    nodes = [
        *CONV,
        *pair("c", "d"),
        node("Transpose", "d", "t", perm=[0, 1, 3, 2]),
        *pair("t", "y"),
    ]
    with pytest.raises(DnaError, match=r"\(Transpose\): perm \[0, 1, 3, 2\]"):
        import_file(save(tmp_path / "m.onnx", nodes))


@pytest.mark.parametrize("kind", ["Identity", "Dropout"])
@pytest.mark.parametrize("where", ["image", "x", "c", "w", "d"])
def test_identity_and_dropout_are_the_tensor_itself(tmp_path, kind, where):
    nodes = [
        *CONV,
        *pair("c", "d"),
        node("MaxPool", "d", "p", kernel_shape=[2, 2]),
        *pair("p", "y"),
    ]
    for index, each in enumerate(nodes):
        if where in each.input:
            each = onnx.NodeProto.FromString(each.SerializeToString())
            each.input[list(each.input).index(where)] = "same"
            nodes[index:] = [node(kind, where, "same"), each, *nodes[index + 1 :]]
            break
    assert Conv2D in kinds(taken(save(tmp_path / "m.onnx", nodes)))


HOSTED = {
    "Softmax": {"axis": -1},
    "LogSoftmax": {"axis": 1},
    "Sigmoid": {},
    "ArgMax": {"axis": 1},
    "QLinearSigmoid": None,
    "QLinearSoftmax": None,
}


@pytest.mark.parametrize("kind", HOSTED)
def test_what_the_host_does_behind_the_logits_is_said(tmp_path, kind):
    attributes, result = HOSTED[kind], TensorProto.INT64 if kind == "ArgMax" else TensorProto.FLOAT
    if attributes is None:
        extra = {"opset": 13} if kind == "QLinearSoftmax" else {}
        integer = node(kind, "logits_q s z s z", "p", "com.microsoft", **extra)
        nodes = [*LOGITS[:-1], integer, dequantize("p", "y")]
    else:
        nodes = [*LOGITS, node(kind, "logits", "y", **attributes)]
    imported = taken(save(tmp_path / "m.onnx", nodes, rank=2, result=result))
    (note,) = imported.notes
    assert f"({kind}) is left to the host" in note
    assert imported.graph.tensors[imported.graph.output].shape == (5,)


def test_several_steps_of_the_host(tmp_path):
    nodes = [*LOGITS, node("Softmax", "logits", "p"), *pair("p", "v")]
    nodes += [node("ArgMax", "v", "y", axis=-1)]
    imported = taken(save(tmp_path / "m.onnx", nodes, rank=2, result=TensorProto.INT64))
    assert len(imported.notes) == 2
    assert [end.border for end in imported.ends] == ["logits"]


RELU = [node("Relu", "g", "r"), *pair("r", "y")]
CONV_END = [*WEIGHTS, node("Conv", "x w", "c"), *pair("c", "y")]
REFUSED = {
    "argmax over rows": [*LOGITS, node("ArgMax", "logits", "y")],
    "softmax over rows": [*LOGITS, node("Softmax", "logits", "y", axis=0)],
    "softmax of a map": [*CONV, *pair("c", "d"), node("Softmax", "d", "y")],
    "relu behind a mean": [*EDGE, node("GlobalAveragePool", "x", "g"), *RELU],
    "relu behind a mean of axes": [*EDGE, node("ReduceMean", "x", "g", axes=[2, 3]), *RELU],
    "relu behind identity behind a mean": [
        *EDGE,
        node("GlobalAveragePool", "x", "i"),
        node("Identity", "i", "g"),
        *RELU,
    ],
    "dequantize with another scale": [
        quantize("image", "q"),
        dequantize("q", "x", "wide"),
        *CONV_END,
    ],
    "dequantize with another zero point": [
        quantize("image", "q"),
        dequantize("q", "x", zero="w0"),
        *CONV_END,
    ],
    "reshape of a map": [*CONV, *pair("c", "d"), node("Reshape", "d map", "y")],
    "training": [*CONV, *pair("c", "d"), node("Dropout", "d ratio yes", "y")],
    "float result": [
        *LOGITS[:4],
        node("Flatten", "h_q", "fq"),
        node("QGemm", "fq s z pq ws w0", "y", "com.microsoft"),
    ],
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_wrong_is_refused_in_one_line(tmp_path, what):
    with pytest.raises(DnaError) as caught:
        import_file(save(tmp_path / "m.onnx", REFUSED[what]))
    assert "\n" not in str(caught.value)
    assert "node " in str(caught.value)
    assert "nearest" in str(caught.value)


def test_onnx_runtime_s_dedicated_pairs_weights_with_pairs_and_softmax(tmp_path):
    net = FloatNetwork()
    x = net.node("Relu", net.conv("image", 8, 3, 3))
    y = net.node("Add", net.conv(x, 8, 8, 1), x)
    flat = net.node("Flatten", net.node("GlobalAveragePool", net.node("Add", y, x)))
    logits = net.node("Gemm", flat, net.weights(5, 8), net.weights(5), transB=1)
    path = net.save(net.node("Softmax", logits), tmp_path / "f.onnx", (1, 5))
    for extra in ({}, {"DedicatedQDQPair": True}, {"AddQDQPairToWeight": True}):
        imported = taken(quantized(path, "QDQ", "QUInt8", **extra))
        assert "(Softmax) is left to the host" in imported.notes[0]


def test_a_file_whose_order_is_taken_for_another_is_caught(tmp_path):
    """The second net by itself: what the importer says of the end is wrong."""
    import dataclasses

    nodes = [*CONV, *pair("c", "d"), node("Flatten", "d", "y")]
    path = save(tmp_path / "m.onnx", nodes, rank=2)
    imported = import_file(path)
    (end,) = imported.ends
    other = dataclasses.replace(end, value=dataclasses.replace(end.value, last=True))
    wrong = dataclasses.replace(imported, ends=(other,))
    image = RNG.integers(-128, 128, (6, 6, 4), dtype=np.int8)
    measurer = OnnxMeasurer(path, wrong)
    measured = measurer.measure([image])
    (fault,) = faults(measured, measurer.whole([image], measured))
    assert fault.startswith("the whole network:")
    flat = ReferenceModel(imported.graph).run_all(image)["conv_3"].transpose(2, 0, 1).reshape(-1)
    (file,) = measurer._file.run(["y"], measurer._fed(image))
    assert (measurer._steps(file, "conv_3")[0] == flat).all()


def test_several_outputs(tmp_path):
    """A map, what is pooled of it, and a view of that, which is no output more."""
    nodes = [*CONV, *pair("c", "d"), node("MaxPool", "d", "p", kernel_shape=[2, 2], strides=[2, 2])]
    path = save(tmp_path / "m.onnx", [*nodes, *pair("p", "y"), node("Flatten", "y", "v")])
    model = onnx.load(path)
    for name, rank in (("d", 4), ("v", 2)):
        form = helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
        model.graph.output.append(form)
    onnx.save(model, path)
    imported = taken(path)
    assert [end.border for end in imported.ends] == ["y", "d"]
    assert imported.graph.outputs == tuple(end.value.name for end in imported.ends)
    assert len(imported.graph.others) == 1


def test_functions_are_refused(tmp_path):
    path = save_float(tmp_path / "m.onnx")
    model = onnx.load(path)
    made = helper.make_function("mine", "F", ["a"], ["b"], [node("Relu", "a", "b")], [])
    made.opset_import.extend([helper.make_opsetid("", 17)])
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(model, path)
    with pytest.raises(DnaError, match="functions or sparse constants"):
        import_file(path)


MOVES = {
    "DepthToSpace": ("", {"blocksize": 2}),
    "MaxPool": ("", {"kernel_shape": [2, 2]}),
    "Slice": (" first behind rows", {}),
    "Resize": (
        "  double",
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ),
}


def moved(kind, x, output):
    more, attributes = MOVES[kind]
    inputs = [x, *more.split(" ")[1:]]
    return helper.make_node(kind, inputs, [output], **attributes)


@pytest.mark.parametrize("second", [kind for kind in MOVES if kind != "DepthToSpace"])
@pytest.mark.parametrize("first", MOVES)
def test_what_moves_values_may_stay_float(tmp_path, first, second):
    """Two of them between a DequantizeLinear and a QuantizeLinear of another scale."""
    nodes = [
        *EDGE,
        moved(first, "x", "m"),
        moved(second, "m", "n"),
        *(quantize("n", "q", "wide"), dequantize("q", "r", "wide")),
        *(node("Relu", "r", "a"), *pair("a", "y")),
    ]
    assert taken(save(tmp_path / "m.onnx", nodes)).graph.operations[-1].function == "table"
