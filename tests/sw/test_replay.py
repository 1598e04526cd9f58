"""A graph that was read must be what the builder makes: everything else is refused by name."""

import dataclasses

import msgspec
import numpy as np
import pytest

from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Window
from sw.operations import Lookup, Operation, Padding, Scalar
from sw.replay import REPLAYS, check_graph
from tests.support.graphs import ones
from tests.support.programs import random_network


def network() -> Graph:
    """Each operation once."""
    builder = GraphBuilder("input", (6, 6, 4), 0.5, 3)
    relu = Output(0.25, -128, "relu")
    window = Window((3, 3), (1, 1), Padding(1, 1, 1, 1))
    builder.conv2d("conv", "input", ones(4, 3, 3, 4), relu, window)
    builder.depthwise_conv2d("depthwise", "conv", ones(4, 3, 3), relu, window)
    builder.add("sum", "conv", "depthwise", Output(0.5, 1))
    table = np.arange(256, dtype=np.uint8).view(np.int8)
    parts = {"name": "function", "inputs": ("sum",), "output": "function"}
    leaky = Lookup(**parts, function="leaky_relu", alpha=0.5)
    builder.lookup(leaky, table, Output(0.5, 1))
    parts = {"name": "less", "inputs": ("sum",), "output": "less"}
    less = Lookup(**parts, function="sub", constant=Scalar(3, 0.5, 1, (1,)))
    builder.lookup(less, table, Output(0.5, 1))
    builder.add("difference", "sum", "function", Output(0.5, 1), subtract=True)
    builder.extremum("smaller", "difference", "sum", Output(0.5, 1), largest=False)
    builder.mean("rows", "smaller", Output(0.5, 1), keep_dims=True, axes=(1,))
    builder.slice_channels("row", "rows", 2, 1, 0)
    builder.concatenate("rows again", ["row", "rows"], 0)
    builder.multiply("product", "sum", "function", Output(2.0, 1))
    builder.concatenate("joint", ["function", "sum"])
    builder.slice_channels("part", "joint", 3, 4)
    builder.resize_nearest("resized", "part", (2, 1))
    builder.interleave("turns", ["part", "part"], (1, 2))
    builder.max_pool2d("largest", "product", Window((2, 2), (2, 2)))
    builder.average_pool2d("average", "largest", Window((2, 2)))
    builder.mean("mean", "average", Output(0.5, 2))
    builder.fully_connected("logits", "mean", ones(5, 4), Output(0.1, 0))
    return builder.finish("logits")


def changed(graph: Graph, name: str, **fields) -> Graph:
    graph.operations = [
        msgspec.structs.replace(operation, **fields) if operation.name == name else operation
        for operation in graph.operations
    ]
    return graph


def test_every_operation_is_replayed():
    check_graph(network())
    assert set(REPLAYS) == set(Operation.__args__)
    assert {type(operation) for operation in network().operations} == set(REPLAYS)


@pytest.mark.parametrize("seed", range(20))
def test_random_networks_pass(seed):
    graph = random_network(np.random.default_rng(seed))
    check_graph(graph)
    # As it is read from a file.
    plain = msgspec.json.decode(msgspec.json.encode([graph.tensors, graph.operations]))
    tensors, operations = plain
    parts = {"input": graph.input, "output": graph.output, "constants": graph.constants}
    check_graph(
        msgspec.convert({**parts, "tensors": tensors, "operations": operations}, type=Graph)
    )


FIELDS = [
    ("conv", "inputs", ("conv",), "'conv' is read before it is written"),
    ("conv", "inputs", ("input", "input"), "has 2 inputs, not 1"),
    ("conv", "inputs", (), "has 0 inputs, not 1"),
    ("conv", "inputs", ("mean",), "'mean' is read before it is written"),
    ("conv", "output", "sum", "output is 'sum', not 'conv'"),
    ("conv", "kernel", (3, 2), "a window of"),
    ("conv", "stride", (0, 1), "must be at least 1"),
    ("conv", "stride", (1, 2**40), "is more than"),
    ("conv", "padding", Padding(1, 1, 1, -1), "less than nothing"),
    ("conv", "padding", Padding(1, 1, 1, 2**31), "is more than"),
    ("conv", "padding", Padding(1, 1, 1, 2), "cannot join shapes|the tensor is|multiplier is"),
    ("conv", "activation", "none", "lo is -128|activation"),
    ("conv", "lo", -127, "lo is -127, not -128"),
    ("conv", "hi", 10**30, "hi is 1000000"),
    ("depthwise", "stride", (2, 2), "cannot join shapes"),
    ("depthwise", "inputs", ("conv", "conv"), "has 2 inputs, not 1"),
    ("sum", "inputs", ("conv",), "has 1 inputs, not 2"),
    ("sum", "inputs", ("conv", "input"), "multipliers is|cannot join"),
    ("sum", "multipliers", (1, 1), "multipliers is"),
    ("sum", "shift", 70, "shift is 70, not"),
    ("function", "function", "arg_max", "is no function"),
    ("function", "alpha", float("nan"), "is no function"),
    ("function", "output", "sum", "is called 'sum' where it ends"),
    ("less", "constant", None, "is no function"),
    ("less", "constant", Scalar(300, 0.5, 1, (1,)), "is not int8"),
    ("less", "constant", Scalar(3, 0.0, 1, (1,)), "is not a positive normal"),
    ("less", "constant", Scalar(3, 0.5, 1, (2,)), "a constant of shape"),
    ("product", "multiplier", 0.5, "multiplier is 0.5, not"),
    ("joint", "inputs", ("sum",), "nothing to join"),
    ("joint", "inputs", (), "has 0 inputs"),
    ("joint", "inputs", ("function", "conv"), "another scale"),
    ("part", "begin", 5, "channels 5 to 9 are not among 8"),
    ("part", "count", 0, "are not among"),
    ("resized", "factor", (0, 1), "a factor of"),
    ("turns", "factor", (2, 2), "2 maps for 4 places"),
    ("turns", "inputs", ("part", "joint"), "another shape"),
    ("turns", "factor", (2, 1), "the tensor is"),
    ("largest", "kernel", (0, 0), "sees nothing"),
    ("largest", "kernel", (9, 9), "does not fit"),
    ("average", "kernel", (2**20, 1), "does not fit"),
    ("mean", "multiplier", 0.1, "multiplier is 0.1, not"),
    ("mean", "offset", float("nan"), "offset is nan, not"),
    ("logits", "inputs", ("average",), r"weights|the tensor is"),
    ("logits", "hi", 5, "hi is 5, not 127"),
]


@pytest.mark.parametrize(("name", "field", "value", "message"), FIELDS)
def test_a_field_that_does_not_follow_is_refused(name, field, value, message):
    graph = changed(network(), name, **{field: value})
    if (name, field, value) == ("conv", "activation", "none"):
        graph = changed(network(), "sum", activation="relu")
    with pytest.raises(DnaError, match=message):
        check_graph(graph)


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("input", "shape", (6, 6, 5), "conv: weights"),
        ("input", "shape", (6, 6), "conv: input 'input' has shape"),
        ("input", "shape", (2**20, 2**20, 4), "more than 2147483647 values"),
        ("input", "shape", (), "is empty"),
        ("input", "shape", (6, -6, 4), "is empty"),
        ("input", "zero_point", 128, "zero point 128 is not in"),
        ("input", "zero_point", 10**400, "zero point 1000"),
        ("input", "scale", 0.0, "is not a positive normal float32"),
        ("input", "scale", 1e300, "is not a positive normal float32"),
        ("input", "scale", float("nan"), "is not a positive normal float32"),
        ("input", "scale", 0.75, "conv.multiplier is not what follows"),
        ("conv", "shape", (6, 6, 8), "conv: the tensor is"),
        ("mean", "shape", (1, 1, 4), "mean: the tensor is|logits"),
        ("largest", "scale", 0.75, "largest: the tensor is"),
        ("logits", "name", "x", "tensor 'logits' is called 'x'"),
    ],
)
def test_a_tensor_that_does_not_follow_is_refused(name, field, value, message):
    graph = network()
    graph.tensors[name] = msgspec.structs.replace(graph.tensors[name], **{field: value})
    if (name, field) == ("mean", "shape"):
        graph.tensors[name] = msgspec.structs.replace(graph.tensors[name], shape=(2, 2, 1))
    with pytest.raises(DnaError, match=message):
        check_graph(graph)


@dataclasses.dataclass
class Constant:
    key: str
    change: object
    message: str


@pytest.mark.parametrize(
    "constant",
    [
        Constant("conv.weights", lambda array: array[:-1], "bias must be int32"),
        Constant("conv.weights", lambda array: array[0, 0, 0, 0], "are none"),
        Constant("conv.weights", lambda array: array[:0], "are none"),
        Constant("conv.weights", lambda array: array.reshape(4, 3, 12), "do not fit"),
        Constant("conv.weights", lambda array: array.astype(np.int16), "must be int8"),
        Constant("depthwise.weights", lambda array: array.reshape(4, 9), "do not fit"),
        Constant("logits.weights", lambda array: array.T, "do not fit"),
        Constant("conv.bias", lambda array: array[:, None], "bias must be int32"),
        Constant("conv.bias", lambda array: array.astype(np.int64), "bias must be int32"),
        Constant("conv.weight_scale", lambda array: array * np.nan, "is not a positive normal"),
        Constant("conv.weight_scale", lambda array: array * 2, "multiplier is not what follows"),
        Constant("conv.multiplier", lambda array: array * 2, "multiplier is not what follows"),
        Constant("conv.multiplier", lambda array: array[:, None], "multiplier is not what follows"),
        Constant("conv.multiplier", lambda array: array.view(np.int32), "is not what follows"),
        Constant("conv.bias", lambda _: None, "there is no constant 'conv.bias'"),
        Constant("conv.multiplier", lambda _: None, "a constant too many or too few"),
    ],
)
def test_a_constant_that_does_not_fit_is_refused(constant):
    graph = network()
    array = constant.change(graph.constants.pop(constant.key))
    if array is not None:
        graph.constants[constant.key] = np.array(array)
    with pytest.raises(DnaError, match=constant.message):
        check_graph(graph)


def test_what_is_too_many_or_missing_is_refused():
    graph = network()
    graph.constants["more"] = np.zeros(1, np.int8)
    with pytest.raises(DnaError, match="a constant too many or too few: 'more'"):
        check_graph(graph)
    graph = network()
    graph.tensors["more"] = msgspec.structs.replace(graph.tensors["conv"], name="more")
    with pytest.raises(DnaError, match="a tensor too many or too few: 'more'"):
        check_graph(graph)
    for name in ("input", "output"):
        graph = network()
        setattr(graph, name, "nothing")
        with pytest.raises(DnaError, match="'nothing'"):
            check_graph(graph)
    graph = network()
    graph.operations.append(graph.operations[0])
    with pytest.raises(DnaError, match="two operations are called 'conv'"):
        check_graph(graph)
    graph = network()
    del graph.operations[1]
    with pytest.raises(DnaError, match="'depthwise'"):
        check_graph(graph)
