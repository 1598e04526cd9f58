"""What the emitted TFLite file says, read back with the schema's accessors."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from sim.functional import flatbuffer
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.graphs import random_small_graph

PADDINGS = schema.Padding
SYMMETRIC = Padding(1, 1, 1, 1)


def subgraph(graph, **options):
    return schema.Model.GetRootAsModel(flatbuffer.emit(graph, **options), 0).Subgraphs(0)


def operators(model_bytes):
    model = schema.Model.GetRootAsModel(model_bytes, 0)
    graph = model.Subgraphs(0)
    found = []
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        found.append((model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode(), operator))
    return found


def convolution(size=8, kernel=3, stride=1, padding=Padding()):  # noqa: B008
    builder = GraphBuilder("x", (size, size, 2), 0.1, 3)
    builder.conv2d(
        "y",
        "x",
        Weights(
            np.ones((4, kernel, kernel, 2), np.int8),
            np.arange(4, dtype=np.int32),
            np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        ),
        Output(0.5, -4),
        Window((kernel, kernel), (stride, stride), padding),
    )
    return builder.finish("y")


def pooling(zero_point, lowest=-128):
    builder = GraphBuilder("x", (8, 8, 2), 0.1, zero_point)
    x = "x"
    if lowest == zero_point:
        x = builder.conv2d(
            "relu",
            "x",
            Weights(np.ones((2, 1, 1, 2), np.int8), np.zeros(2, np.int32), np.ones(2, np.float32)),
            Output(0.1, zero_point, "relu"),
        )
    builder.max_pool2d("y", x, Window((3, 3), (2, 2), SYMMETRIC))
    return builder.finish("y")


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "mode"),
    [
        (8, 3, 1, SYMMETRIC, "SAME"),
        (8, 3, 1, Padding(), "VALID"),
        (8, 1, 1, Padding(), "VALID"),
        (8, 1, 2, Padding(), "VALID"),
        (9, 3, 2, SYMMETRIC, "SAME"),  # an odd size needs one pixel in front
        (8, 3, 2, SYMMETRIC, None),  # an even size puts the one it needs behind
        (8, 3, 2, Padding(0, 1, 0, 1), "SAME"),
        (8, 7, 2, Padding(3, 3, 3, 3), None),
        (8, 2, 2, Padding(0, 1, 0, 1), "VALID"),  # the padding behind is never read
        (8, 3, 1, Padding(1, 1, 0, 0), None),
    ],
)
def test_padding_is_a_mode_where_one_fits(size, kernel, stride, padding, mode):
    found = operators(flatbuffer.emit(convolution(size, kernel, stride, padding)))
    codes = [code for code, _ in found]
    conv = [schema.BuiltinOperator.CONV_2D]
    assert codes == (conv if mode else [schema.BuiltinOperator.PAD, *conv])
    options = schema.Conv2DOptions()
    table = found[-1][1].BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    assert options.Padding() == getattr(PADDINGS, mode or "VALID")
    assert (options.StrideH(), options.StrideW()) == (stride, stride)


def test_every_bias_has_zero_points():
    graph = random_small_graph(np.random.default_rng(0))
    emitted = subgraph(graph)
    biases = 0
    for i in range(emitted.TensorsLength()):
        tensor = emitted.Tensors(i)
        if tensor.Name().endswith(b".bias"):
            biases += 1
            quantization = tensor.Quantization()
            assert tensor.Type() == schema.TensorType.INT32
            assert quantization.ZeroPointLength() == quantization.ScaleLength()
            assert not quantization.ZeroPointAsNumpy().any()
    assert biases == len(list(graph.weighted()))


def test_weights_and_quantization_are_the_graphs():
    graph = convolution()
    model = schema.Model.GetRootAsModel(flatbuffer.emit(graph), 0)
    emitted = model.Subgraphs(0)
    by_name = {
        emitted.Tensors(i).Name().decode(): emitted.Tensors(i)
        for i in range(emitted.TensorsLength())
    }
    weights = by_name["y.weights"]
    data = model.Buffers(weights.Buffer()).DataAsNumpy().view(np.int8)
    assert (data == graph.constants["y.weights"].ravel()).all()
    assert weights.Quantization().ScaleAsNumpy().tolist() == [
        float(s) for s in graph.constants["y.weight_scale"]
    ]
    assert by_name["y"].ShapeAsNumpy().tolist() == [1, 6, 6, 4]
    assert by_name["x"].Quantization().ZeroPoint(0) == 3


def test_every_tensor_can_be_an_output():
    graph = random_small_graph(np.random.default_rng(0))
    emitted = subgraph(graph, every_tensor=True)
    names = [
        emitted.Tensors(emitted.Outputs(i)).Name().decode() for i in range(emitted.OutputsLength())
    ]
    assert names == [operation.output for operation in graph.operations]
    assert subgraph(graph).OutputsLength() == 1


def test_max_pool_is_padded_only_where_padding_cannot_win():
    codes = [code for code, _ in operators(flatbuffer.emit(pooling(5, lowest=5)))]
    assert schema.BuiltinOperator.PAD in codes
    codes = [code for code, _ in operators(flatbuffer.emit(pooling(-128)))]
    assert schema.BuiltinOperator.PAD in codes
    with pytest.raises(DnaError, match=r"y: TFLite cannot pad a max-pool .* zero point 5"):
        flatbuffer.emit(pooling(5))
