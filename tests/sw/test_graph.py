import numpy as np
import pytest

from sw.errors import DnaError
from sw.graph import GraphBuilder, Padding


def weights(*shape, scale=0.01):
    channels = shape[0]
    return {
        "weights": np.ones(shape, np.int8),
        "bias": np.zeros(channels, np.int32),
        "weight_scale": np.full(channels, scale, np.float32),
    }


def builder():
    return GraphBuilder("image", (9, 8, 3), 0.5, 0)


def test_shapes_macs_and_order():
    b = builder()
    out = {"scale": 0.5, "zero_point": 3}
    x = b.conv2d("conv", "image", **weights(4, 3, 3, 3), stride=(2, 2), **out,
                 padding=Padding(1, 1, 0, 1), activation="relu")  # fmt: skip
    y = b.max_pool2d("pool", x, kernel=(3, 2), stride=(2, 1), padding=Padding(1, 1, 0, 0))
    z = b.conv2d("point", y, **weights(4, 1, 1, 4), **out)
    s = b.add("sum", y, z, scale=0.75, zero_point=0, activation="relu")
    m = b.mean("mean", s, **out)
    graph = b.finish(b.fully_connected("classes", m, **weights(6, 4), **out))
    shapes = [graph.result(operation).shape for operation in graph.operations]
    assert shapes == [(5, 4, 4), (3, 3, 4), (3, 3, 4), (3, 3, 4), (4,), (6,)]
    macs = [graph.macs(operation) for operation in graph.operations]
    assert macs == [5 * 4 * 4 * 27, 0, 9 * 4 * 4, 0, 0, 24]
    assert [operation.name for operation in graph.weighted()] == ["conv", "point", "classes"]
    assert graph.result(graph.find("pool")).zero_point == 3
    assert (graph.find("conv").lo, graph.find("conv").hi) == (3, 127)
    assert [tensor.name for tensor in graph.operands(graph.find("sum"))] == ["pool", "point"]
    with pytest.raises(DnaError, match="no operation 'nothing'"):
        graph.find("nothing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.ones((4, 3, 3, 2), np.int8)}, r"do not fit 3 input channels"),
        ({"weights": np.ones((4, 27), np.int8)}, r"do not fit 3 input channels"),
        ({"weights": np.ones((4, 3, 3, 3), np.int16)}, r"weights must be int8 \[4, 3, 3, 3\]"),
        ({"weights": np.ones((4, 11, 3, 3), np.int8)}, r"kernel of 11 does not fit .* of 9"),
        ({"bias": np.zeros(4, np.int64)}, r"bias must be int32 \[4\], not int64"),
        ({"bias": np.zeros(5, np.int32)}, r"bias must be int32 \[4\], not int32 \[5\]"),
        ({"weight_scale": np.zeros(4, np.float32)}, r"scale 0\.0 is not a positive normal"),
        ({"weight_scale": np.full(4, np.inf, np.float32)}, r"scale inf is not"),
        ({"scale": 0.0}, r"scale 0\.0 is not a positive normal"),
        ({"scale": float("nan")}, r"scale nan is not a positive normal"),
        ({"zero_point": 128}, r"zero point 128 is not in -128\.\.127"),
        ({"stride": (0, 1)}, r"stride \(0, 1\) must be at least 1"),
    ],
)
def test_what_the_contract_does_not_allow_is_named(changes, message):
    arguments = {**weights(4, 3, 3, 3), "scale": 0.5, "zero_point": 0, **changes}
    with pytest.raises(DnaError, match=f"^conv7.*{message}"):
        builder().conv2d("conv7", "image", **arguments)


def test_operations_that_do_not_fit_together():
    b = builder()
    out = {"scale": 0.5, "zero_point": 0}
    x = b.conv2d("conv", "image", **weights(4, 3, 3, 3), **out)
    for call, message in [
        (lambda: b.conv2d("conv", "image", **weights(4, 3, 3, 3), **out), "two operations are"),
        (lambda: b.add("sum", "image", x, **out), r"cannot add shapes \(9, 8, 3\) and \(7, 6, 4\)"),
        (lambda: b.add("sum", x, x, scale=1e-6, zero_point=0), "ratio of input to output scale"),
        (lambda: b.mean("mean", "nothing", **out), "'nothing' is read before it is written"),
        (lambda: b.fully_connected("fc", x, **weights(4, 4), **out), r"do not fit an input of"),
    ]:
        with pytest.raises(DnaError, match=message):
            call()
    m = b.mean("mean", x, **out)
    with pytest.raises(DnaError, match=r"'mean' has shape \(4,\), not \(height"):
        b.max_pool2d("pool", m, kernel=(1, 1), stride=(1, 1))


def test_a_part_takes_what_it_needs_from_outside():
    b = builder()
    out = {"scale": 0.5, "zero_point": 3}
    x = b.conv2d("conv", "image", **weights(4, 3, 3, 3), **out)
    y = b.conv2d("conv.2", x, **weights(4, 1, 1, 4), **out)
    s = b.add("sum", x, y, scale=0.75, zero_point=0)
    graph = b.finish(b.mean("mean", s, **out))
    assert graph.sources == ["image"]
    part = graph.part(["conv.2", "sum"])
    assert (part.input, part.output, part.sources) == ("conv", "sum", ["conv"])
    assert list(part.tensors) == ["conv", "conv.2", "sum"]
    assert {name.rpartition(".")[0] for name in part.constants} == {"conv.2"}
    assert part.constant(part.operations[0], "weights") is graph.constants["conv.2.weights"]
    assert graph.part(["sum"]).sources == ["conv", "conv.2"]
    assert graph.part(["sum"]).constants == {}
    with pytest.raises(DnaError, match="no operation 'other'"):
        graph.part(["other"])
