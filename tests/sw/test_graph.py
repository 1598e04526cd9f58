import pytest

from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Window
from sw.operations import Padding
from tests.support.graphs import ones


def test_shapes_macs_and_order():
    b = GraphBuilder("image", (9, 8, 3), 0.5, 0)
    out = Output(0.5, 3)
    window = Window((3, 3), (2, 2), Padding(1, 1, 0, 1))
    x = b.conv2d("conv", "image", ones(4, 3, 3, 3), Output(0.5, 3, "relu"), window)
    y = b.max_pool2d("pool", x, Window((3, 2), (2, 1), Padding(1, 1, 0, 0)))
    z = b.conv2d("point", y, ones(4, 1, 1, 4), out)
    s = b.add("sum", y, z, Output(0.75, 0, "relu"))
    m = b.mean("mean", s, out)
    graph = b.finish(b.fully_connected("classes", m, ones(6, 4), out))
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


def test_a_part_takes_what_it_needs_from_outside():
    b = GraphBuilder("image", (9, 8, 3), 0.5, 0)
    out = Output(0.5, 3)
    x = b.conv2d("conv", "image", ones(4, 3, 3, 3), out)
    y = b.conv2d("conv.2", x, ones(4, 1, 1, 4), out)
    s = b.add("sum", x, y, Output(0.75, 0))
    graph = b.finish(b.mean("mean", s, out))
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
