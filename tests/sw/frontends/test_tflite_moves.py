"""TFLite: what moves values and computes nothing, what the host does, what LiteRT refuses.

Every network that is taken has LiteRT's bits.
"""

import itertools

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from harness.cli import main
from sw.errors import DnaError
from sw.frontends.tflite import import_file, import_model, read
from sw.frontends.tflite.file.operator import TABLES
from sw.frontends.tflite.operators.values.axes import Axes
from sw.operators import FRONTENDS, table
from tests.support.tflite_models import CODE, VALID, Maker
from tests.sweeps.import_sweep import compared

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Channels in front, and behind again."""


def maker():
    return Maker(np.random.default_rng(2))


def taken(net, y):
    """The imported network, which has LiteRT's bits."""
    imported, values, mismatches = compared(net.finish(y), np.random.default_rng(0))
    assert values > 0
    assert mismatches == 0
    return imported


def refused(net, y):
    with pytest.raises(DnaError) as caught:
        import_model(read(net.finish(y), "model"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 3, 2, 1), (3, 0, 1, 2), (0, 1, 3, 2)])
def test_a_transpose_that_moves_extents_of_one_is_a_view(order):
    net = maker()
    x = net.mean(net.conv(net.input((1, 5, 6, 3)), 4, (1, 1)), keep=True)
    imported = taken(net, net.fully_connected(net.transpose(x, order), 5))
    assert len(imported.graph.operations) == 3
    assert imported.notes == ()


def test_a_map_of_one_channel_may_turn():
    net = maker()
    x = net.conv(net.input((1, 5, 6, 3)), 1, (1, 1))
    taken(net, net.fully_connected(net.transpose(x, FIRST), 5))


@pytest.mark.parametrize(
    "moves",
    [
        lambda net, x: net.transpose(net.transpose(x, FIRST), LAST),
        lambda net, x: net.transpose(net.transpose(x, (0, 2, 1, 3)), (0, 2, 1, 3)),
        lambda net, x: net.transpose(
            net.reshape(net.transpose(x, FIRST), (1, 4, 30, 1)), (0, 3, 2, 1)
        ),
        lambda net, x: net.reshape(
            net.transpose(net.transpose(net.reshape(x, (5, 6, 4)), (2, 0, 1)), (1, 2, 0)),
            (1, 5, 6, 4),
        ),
    ],
    ids=["inverse", "twice", "with a reshape between", "as three axes"],
)
def test_transposes_that_undo_each_other_are_views(moves):
    net = maker()
    y = moves(net, net.conv(net.input((1, 5, 6, 3)), 4, (1, 1)))
    if y.shape == (1, 1, 30, 4):
        y = net.reshape(y, (1, 5, 6, 4))
    imported = taken(net, net.conv(y, 3, (3, 3)))
    assert len(imported.graph.operations) == 2
    assert imported.notes == ()


@pytest.mark.parametrize("edge", ["int8", "uint8", "float32"])
def test_a_transpose_of_the_input_is_the_hosts(edge):
    net = maker()
    x = net.transpose(net.input((1, 3, 5, 6), edge), LAST)
    imported = taken(net, net.conv(x, 4, (3, 3)))
    assert imported.graph.tensors["input"].shape == (5, 6, 3)
    (note,) = imported.notes
    assert "(TRANSPOSE) is left to the host" in note
    assert "[5, 6, 3]" in note


def test_so_it_is_in_front_of_the_quantization():
    net = maker()
    x = net.tensor("real", (1, 18, 5), schema.TensorType.FLOAT32)
    shape = net.constant("shape", np.array((1, 3, 6, 5), np.int32))
    order = net.constant("order", np.array((0, 2, 3, 1), np.int32))
    inner = net.tensor("inner", (1, 3, 6, 5), schema.TensorType.FLOAT32)
    turned = net.tensor("turned", (1, 6, 5, 3), schema.TensorType.FLOAT32)
    net.operator(CODE.RESHAPE, [x, shape], inner, schema.ReshapeOptionsT())
    net.operator(CODE.TRANSPOSE, [inner, order], turned, schema.TransposeOptionsT())
    y = net.made((1, 6, 5, 3), 0.1, 3)
    net.operator(CODE.QUANTIZE, [turned], y.index, schema.QuantizeOptionsT())
    net.source = net.conv(y, 4, (1, 1))
    content = net.file([x], [net.source.index])
    imported, values, mismatches = compared(content, np.random.default_rng(0))
    assert values > 0
    assert mismatches == 0
    assert imported.graph.tensors["input"].shape == (6, 5, 3)


@pytest.mark.parametrize("behind", [False, True])
def test_at_the_end_it_is_the_hosts(behind):
    net = maker()
    x = net.transpose(net.conv(net.input((1, 5, 6, 3)), 4, (1, 1)), FIRST)
    imported = taken(net, net.dequantize(x) if behind else x)
    assert imported.graph.output == "conv_2d_0"
    (note,) = imported.notes
    assert "operator 1 (TRANSPOSE) is left to the host; the artifact ends with 'tensor3'" in note


def test_elsewhere_it_is_refused():
    net = maker()
    x = net.transpose(net.conv(net.input((1, 6, 6, 3)), 6, (1, 1)), FIRST)
    message = refused(net, net.conv(x, 4, (1, 1)))
    assert "operator 2 (CONV_2D)" in message
    assert "operator 1 (TRANSPOSE)" in message
    assert "nearest: TRANSPOSE of the network's input" in message


def logistic(net, x):
    return net.function(x, "logistic")


@pytest.mark.parametrize(
    ("tail", "first"),
    [
        *itertools.product(["softmax", "log_softmax", "arg_max"], [False, True]),
        ("logistic", True),  # of int8 it is the machine's
    ],
)
def test_what_is_behind_the_logits_is_the_hosts(tail, first):
    net = maker()
    x = net.fully_connected(net.input((1, 9)), 5)
    if first:
        real = net.dequantize(x)
        kind = schema.TensorType.FLOAT32
        x = logistic(net, real) if tail == "logistic" else getattr(net, tail)(real)
        if tail != "arg_max":
            net.tensors[x.index].type, net.tensors[x.index].quantization = kind, None
    else:
        x = getattr(net, tail)(x)
    imported = taken(net, x)
    (note,) = imported.notes
    assert f"({tail.upper()}) is left to the host; the artifact ends with" in note


def test_within_the_network_it_is_refused():
    net = maker()
    x = net.log_softmax(net.conv(net.input((1, 5, 6, 3)), 4, (1, 1)))
    message = refused(net, net.pool(x, CODE.MAX_POOL_2D, (2, 2), (2, 2), VALID))
    assert "by operator 1 (LOG_SOFTMAX)" in message
    assert "LOG_SOFTMAX, ARG_MAX at the edges" in message


def damaged(tmp_path):
    """A file that LiteRT refuses: a scale of a bias belongs to a dimension that there is not."""
    net = maker()
    y = net.conv(net.input((1, 5, 6, 3)), 4, (1, 1))
    for tensor in net.tensors:
        if tensor.name.startswith("bias"):
            tensor.quantization.quantizedDimension = 3
            tensor.quantization.scale = np.full(4, 0.1, np.float32)
            tensor.quantization.zeroPoint = np.zeros(4, np.int64)
    path = tmp_path / "refused.tflite"
    path.write_bytes(net.finish(y))
    return path


def test_what_litert_refuses_is_refused_in_its_words(tmp_path):
    path = damaged(tmp_path)
    with pytest.raises(DnaError) as caught:
        import_file(path)
    assert str(caught.value) == (
        f"{path}: LiteRT refuses the file: quantized_dimension must be in range [0, 1). Was 3"
    )


@pytest.mark.parametrize("command", ["import", "compare"])
def test_so_it_is_in_one_line_everywhere(command, tmp_path, monkeypatch, capfd):
    arguments = ["-o", str(tmp_path / "x.dna")] if command == "import" else ["--jobs", "1"]
    monkeypatch.setattr("sys.argv", ["dna", command, str(damaged(tmp_path)), *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert "LiteRT refuses the file: quantized_dimension" in captured.err


def test_every_operator_has_its_table_of_options():
    assert "tflite" in FRONTENDS
    names = {name for row in table.TABLE for name in row.spelling["tflite"].names}
    without = {"PRELU", "LOGISTIC", "TANH", "ELU", "RELU", "RELU6", "RELU_N1_TO_1"}
    assert {name for name in names if "(" not in name} - without == set(TABLES)
    assert all(hasattr(schema.BuiltinOptions, name) for name in TABLES.values())


def test_axes_follow_numpy():
    """Of random shapes, orders and reshapes: where they say that a value lies, it is."""
    rng = np.random.default_rng(0)
    lost = 0
    for _ in range(300):
        shape = tuple(rng.choice([1, 2, 3, 4, 6], 4))
        values, axes = np.arange(np.prod(shape)).reshape(shape), Axes.of(shape)
        for _ in range(4):
            if rng.integers(2):
                order = rng.permutation(values.ndim)
                values, axes = values.transpose(order), axes.transposed(order)
                continue
            factors = [n for n in values.shape for n in ([2, n // 2] if n in (4, 6) else [n])]
            cut = int(rng.integers(1, len(factors) + 1))
            wanted = (int(np.prod(factors[:cut])), *factors[cut:])
            values, reshaped = values.reshape(wanted), axes.reshaped(wanted)
            if reshaped is None:
                lost += 1
                break
            axes = reshaped
        else:
            places = sum(
                np.arange(n).reshape([-1] + [1] * (len(axes.extents) - i - 1)) * step
                for i, (n, step) in enumerate(zip(axes.extents, axes.steps, strict=True))
            )
            assert np.array_equal(places, values)
            assert axes.in_order == bool((values.reshape(-1) == np.arange(values.size)).all())
    assert 0 < lost < 200
