"""What is taken of a TFLite file, and what is refused with which words."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite import import_file, import_model, read
from sw.operations import AveragePool2D, Conv2D, DepthwiseConv2D, FullyConnected, MaxPool2D, Padding
from tests.support.tflite_models import CODE, NONE, RELU, RELU6, SAME, VALID, Maker
from tests.support.tflite_random import random_model


def maker(seed=0):
    return Maker(np.random.default_rng(seed))


def imported(content):
    return import_model(read(content, "model"))


def one_line(content):
    """The message with which a model is refused."""
    with pytest.raises(DnaError) as caught:
        imported(content)
    message = str(caught.value)
    assert "\n" not in message
    return message


def kinds(graph):
    return [type(operation) for operation in graph.operations]


def test_padding_in_front_of_convolutions_joins_theirs():
    net = maker()
    x = net.input((1, 8, 7, 3))
    padded = net.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]])
    y = net.conv(net.conv(padded, 4, (3, 3), mode=VALID), 4, (3, 3), (2, 2), SAME)
    done = imported(net.finish(y))
    first, second = done.graph.operations
    assert first.padding == Padding(1, 2, 0, 3)
    assert second.padding == Padding(1, 1, 0, 1)  # 9 rows, 8 columns: the smaller half in front
    assert [step.graph_tensor for step in done.steps] == [None, "conv_2d_1", "conv_2d_2"]


def test_padding_that_something_else_reads_is_done():
    net = maker()
    x = net.input((1, 8, 7, 3))
    padded = net.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]])
    done = imported(net.finish(net.pool(padded, CODE.MAX_POOL_2D, (2, 2), (2, 2))))
    assert kinds(done.graph)[0] is DepthwiseConv2D
    assert done.graph.operations[0].padding == Padding(1, 2, 0, 3)


def test_bounds_of_a_pooling_become_an_operation():
    net = maker()
    x = net.input((1, 8, 8, 3))
    done = imported(net.finish(net.pool(x, CODE.AVERAGE_POOL_2D, (2, 2), (2, 2), act=RELU6)))
    assert kinds(done.graph) in ([AveragePool2D, DepthwiseConv2D], [AveragePool2D])
    assert done.steps[0].graph_tensor == done.graph.output


@pytest.mark.parametrize("edge", ["int8", "uint8", "float32"])
def test_edges_are_the_hosts(edge):
    net = maker()
    x = net.input((1, 4, 4, 3), edge)
    y = net.fully_connected(net.reshape(x, (1, 48)), 5, bias=False)
    done = imported(net.finish(net.dequantize(net.softmax(y))))
    assert kinds(done.graph) == [FullyConnected]
    assert done.graph.tensors["input"].shape == (48,)
    assert done.graph.tensors["input"].zero_point == x.zero_point
    assert not done.graph.constants["fully_connected_" + done.graph.output[-1] + ".bias"].any()


def test_weights_with_one_scale_get_it_for_every_channel():
    net = maker()
    x = net.input((1, 4, 4, 3))
    scale, zero = net.quantization([0.01], [0]), net.quantization([0.01 * x.scale], [0])
    weights = net.constant("w", np.ones((5, 1, 1, 3), np.int8), quantization=scale)
    bias = net.constant("b", np.arange(5, dtype=np.int32), quantization=zero)
    y = net.made((1, 4, 4, 5), 0.1, 0)
    options = {"padding": VALID, "strideH": 1, "strideW": 1}
    net.operator(CODE.CONV_2D, [x.index, weights, bias], y.index, schema.Conv2DOptionsT(**options))
    graph = imported(net.finish(y)).graph
    assert kinds(graph) == [Conv2D]
    assert (graph.constants["conv_2d_0.weight_scale"] == np.float32(0.01)).all()


def unknown(net, x):
    y = net.made(x.shape, 1 / 256, -128)
    net.operator(CODE.EXP, [x.index], y.index, schema.AbsOptionsT())
    return y


def float_island(net, x):
    index = net.tensor("real", x.shape, schema.TensorType.FLOAT32)
    net.operator(CODE.DEQUANTIZE, [x.index], index, schema.DequantizeOptionsT())
    result = net.tensor("sum", x.shape, schema.TensorType.FLOAT32)
    net.operator(CODE.ADD, [index, index], result, schema.AddOptionsT())
    y = net.made(x.shape, 1, 0)
    net.operator(CODE.QUANTIZE, [result], y.index, schema.QuantizeOptionsT())
    return y


def int16(net, x):
    y = net.made(x.shape, x.scale, 0, schema.TensorType.INT16)
    net.operator(CODE.ADD, [x.index, x.index], y.index, schema.AddOptionsT())
    return y


def per_channel(net, x):
    channels = x.shape[3]
    quantization = net.quantization([0.1] * channels, [0] * channels, 3)
    y = net.made(x.shape, 0.1, 0, quantization=quantization)
    net.operator(CODE.ADD, [x.index, x.index], y.index, schema.AddOptionsT())
    return y


def weights_with_a_zero_point(net, x):
    return plain_conv(net, x, zero_point=3)


def no_bias(net, x):
    return plain_conv(net, x, bias=False)


def bias_without_scale(net, x):
    return plain_conv(net, x, bias_scale=False)


def grouped(net, x):
    return plain_conv(net, x, inputs=1)


def computed_weights(net, x):
    y = net.made((1, 1, 1, 1), 0.1, 0)
    net.operator(CODE.CONV_2D, [x.index, x.index, -1], y.index, schema.Conv2DOptionsT())
    return y


def plain_conv(net, x, zero_point=0, bias=True, bias_scale=True, inputs=None):
    weights = net.constant(
        "w",
        np.ones((3, 1, 1, inputs or x.shape[3]), np.int8),
        quantization=net.quantization([0.1], [zero_point]),
    )
    fields = {"quantization": net.quantization([0.1], [0])} if bias_scale else {}
    reads = [x.index, weights]
    if bias:
        reads.append(net.constant("b", np.zeros(3, np.int32), **fields))
    y = net.made((*x.shape[:3], 3), 0.1, 0)
    options = {"padding": VALID, "strideH": 1, "strideW": 1}
    net.operator(CODE.CONV_2D, reads, y.index, schema.Conv2DOptionsT(**options))
    return y


def rank_3(net, x):
    flat = net.reshape(x, (1, x.shape[1], x.shape[2] * x.shape[3]))
    y = net.made(flat.shape, 1, 0)
    options = {"strideH": 1, "strideW": 1, "filterHeight": 1, "filterWidth": 1}
    net.operator(CODE.MAX_POOL_2D, [flat.index], y.index, schema.Pool2DOptionsT(**options))
    return net.reshape(net.add(y, y), (1, *x.shape[1:]))


def mean_of_channels(net, x):
    axes = net.constant("axes", np.array([3], np.int32))
    y = net.made(x.shape[:3], x.scale, 0)
    net.operator(CODE.MEAN, [x.index, axes], y.index, schema.ReducerOptionsT())
    return y


def resized_by_three(net, x):
    return net.resize_bilinear(x, (3, 3), "half")


def pixel_minus_map(net, x):
    return net.add(net.mean(x, keep=True), x, subtract=True)


def softmax_in_the_middle(net, x):
    return net.add(net.softmax(x), x, NONE)


def rescaled_pool(net, x):
    y = net.made(x.shape, 2 * x.scale, x.zero_point)
    options = {"strideH": 1, "strideW": 1, "filterHeight": 1, "filterWidth": 1}
    net.operator(CODE.MAX_POOL_2D, [x.index], y.index, schema.Pool2DOptionsT(**options))
    return y


def far_scales(net, x):
    y = net.made(x.shape, x.scale * 4096, 0)
    net.operator(CODE.ADD, [x.index, x.index], y.index, schema.AddOptionsT())
    return y


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (unknown, ["operator 1 (EXP)", "not supported", "nearest: LOGISTIC"]),
        (float_island, ["operator 2 (ADD)", "FLOAT32", "nearest: full-integer"]),
        (int16, ["operator 1 (ADD)", "INT16", "nearest: INT8"]),
        (per_channel, ["operator 1 (ADD)", "4 scales", "nearest: one for the whole tensor"]),
        (weights_with_a_zero_point, ["operator 1 (CONV_2D)", "zero point", "symmetric"]),
        (no_bias, ["operator 1 (CONV_2D)", "no bias", "zeros"]),
        (bias_without_scale, ["operator 1 (CONV_2D)", "bias without scale"]),
        (grouped, ["operator 1 (CONV_2D)", "1 of 4 channels", "no whole groups"]),
        (computed_weights, ["operator 1 (CONV_2D)", "no constant"]),
        (rank_3, ["operator 2 (MAX_POOL_2D)", "rank 3", "rank 4"]),
        (mean_of_channels, ["operator 1 (MEAN)", "axes [3]", "height and width"]),
        (resized_by_three, ["operator 1 (RESIZE_BILINEAR)", "[5, 6] to [15, 18]", "factors of 2"]),
        (pixel_minus_map, ["operator 2 (SUB)", "a pixel minus a map", "a map minus a pixel"]),
        (softmax_in_the_middle, ["operator 2 (ADD)", "host computes", "edges"]),
        (rescaled_pool, ["operator 1 (MAX_POOL_2D)", "another scale", "the same"]),
        (far_scales, ["operator 1 (ADD)", "ratio", "2^-10"]),
    ],
)
def test_refusals_name_the_operator_and_the_nearest(build, words):
    net = maker()
    x = net.conv(net.input((1, 5, 6, 2)), 4, (1, 1))
    message = one_line(net.finish(build(net, x)))
    assert all(word in message for word in words), message


def test_a_float_model_is_refused():
    net = maker()
    index = net.tensor("x", (1, 4), schema.TensorType.FLOAT32)
    y = net.tensor("y", (1, 4), schema.TensorType.FLOAT32)
    net.operator(CODE.ADD, [index, index], y, schema.AddOptionsT())
    assert "'x' is FLOAT32" in one_line(net.file([index], [y]))


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (1, 4, 3), (1, 4, -1, 3)])
def test_inputs_of_other_shapes_are_refused(shape):
    net = maker()
    x = net.input(shape)
    y = net.made(shape, 1.0, 0)
    net.operator(CODE.ADD, [x.index, x.index], y.index, schema.AddOptionsT())
    assert str(list(shape)) in one_line(net.finish(y))


def test_a_wrong_shape_in_the_file_is_noticed():
    net = maker()
    x = net.input((1, 6, 6, 2))
    y = net.made((1, 5, 5, 2), x.scale, x.zero_point)
    options = {"strideH": 1, "strideW": 1, "filterHeight": 3, "filterWidth": 3, "padding": VALID}
    net.operator(CODE.MAX_POOL_2D, [x.index], y.index, schema.Pool2DOptionsT(**options))
    assert "[1, 5, 5, 2]" in one_line(net.finish(y))


@pytest.mark.parametrize("what", ["empty", "text", "truncated", "missing"])
def test_damaged_files_are_named_in_one_line(tmp_path, what):
    whole = random_model(np.random.default_rng(3))
    contents = {"empty": b"", "text": b"no model, just text", "truncated": whole[: len(whole) // 2]}
    path = tmp_path / "model.tflite"
    if what != "missing":
        path.write_bytes(contents[what])
    with pytest.raises(DnaError) as caught:
        import_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_flipped_bytes_never_give_a_traceback():
    rng = np.random.default_rng(9)
    whole = random_model(rng)
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(8, len(whole), 3):
            damaged[place] ^= int(rng.integers(1, 256))
        try:
            imported(bytes(damaged))
        except DnaError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("bounded", [False, True])
def test_padding_joins_a_max_pool_where_it_wins_no_maximum(bounded):
    net = maker()
    x = net.input((1, 8, 7, 3))
    x = net.conv(x, 4, (3, 3), act=RELU if bounded else NONE)
    padded = net.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    graph = imported(net.finish(net.pool(padded, CODE.MAX_POOL_2D, (3, 3), (2, 2)))).graph
    joined = [Conv2D, MaxPool2D]
    if bounded or graph.tensors["conv_2d_0"].zero_point == -128:
        assert kinds(graph) == joined
        assert graph.operations[1].padding == Padding(1, 1, 1, 1)
    else:
        assert kinds(graph) == [Conv2D, DepthwiseConv2D, MaxPool2D]
