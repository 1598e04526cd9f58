"""Which functions of a value become tables, and where they are computed."""

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Join, Opcode, TablePlace, read_program
from sim.reference import ReferenceModel, look_up
from sw.compiler.lowering.pointwise import pointwise
from sw.graph_builder import Output
from sw.operations import Lookup
from tests.support.programs import check_program, noise
from tests.sw.compiler.lowering.test_lowering import Net, operations

NANO = PRESETS["nano"]


class Functions(Net):
    """A net with any tables for functions, whatever they are called."""

    def function(self, name, x):
        table = np.random.default_rng(len(name)).integers(-128, 128, 256).astype(np.int8)
        function = Lookup(name=name, inputs=(x,), output=name, function="quantize")
        return self.builder.lookup(function, table, Output(0.05, len(name) - 9))

    def multiply(self, name, a, b):
        return self.builder.multiply(name, a, b, Output(0.1, 2))

    def checked(self, output):
        """The layers, once they have computed the right values."""
        graph = self.builder.finish(output)
        check_program(graph, NANO, noise(np.random.default_rng(1), graph))
        return self.lower(output)


def test_a_value_times_a_function_of_it_is_one_table_behind_its_convolution():
    net = Functions()
    x = net.conv("conv", "input", 5)
    (layer,) = net.checked(net.multiply("silu", net.function("gate", x), x))
    assert layer.operations == ("conv", "gate", "silu")
    assert layer.table.place is TablePlace.FRONT and layer.residual is None


def test_a_table_stands_in_front_of_an_addition_or_behind_it():
    net = Functions((8, 8, 5))
    x = net.function("inner", net.conv("conv", "input", 5))
    front = net.add("sum", x, "input")
    y = net.add("next sum", net.conv("second conv", front, 5), front)
    first, second = net.checked(net.function("outer", y))
    assert first.operations == ("conv", "inner", "sum")
    assert first.table.place is TablePlace.FRONT
    assert first.residual.fields["term_zero_point"] == len("inner") - 9
    assert second.operations == ("second conv", "next sum", "outer")
    assert second.table.place is TablePlace.BEHIND


def test_there_is_one_table_in_a_layer():
    net = Functions((8, 8, 5))
    x = net.function("inner", net.conv("conv", "input", 5))
    layers = net.checked(net.function("outer", net.add("sum", x, "input")))
    assert operations(layers) == [("conv", "inner", "sum"), ("outer",)]


@pytest.mark.parametrize("reader", ["a convolution", "the end"])
def test_what_something_else_reads_is_written_and_the_function_a_layer_of_its_own(reader):
    net = Functions()
    x = net.conv("conv", "input", 5)
    y = net.function("outer", net.function("inner", x))
    if reader == "a convolution":
        y = net.conv("reader", net.add("sum", y, x), 3)
    else:
        y = net.add("sum", y, x)
    layers = net.checked(y)
    assert operations(layers)[:2] == [("conv",), ("inner", "outer", "sum")]
    chain = layers[1].table.values
    graph = net.builder.finish(y)
    tensors = ReferenceModel(graph).run_all(noise(np.random.default_rng(2), graph))
    np.testing.assert_array_equal(look_up(tensors[x], chain), tensors["outer"])


def test_a_function_that_is_read_elsewhere_is_within_the_product_too():
    net = Functions()
    x = net.conv("conv", "input", 5)
    gate = net.function("gate", x)
    total = net.add("sum", net.multiply("product", x, gate), gate)
    layers = net.checked(net.conv("reader", total, 3))
    assert operations(layers) == [("conv",), ("gate",), ("gate", "product", "sum"), ("reader",)]


def test_a_product_of_two_maps_is_no_table():
    net = Functions((8, 8, 5))
    y = net.multiply("product", net.conv("conv", "input", 5), "input")
    assert pointwise(net.builder.finish(y)) == ({}, set())
    layer = net.lower(y)[-1]
    assert layer.operations == ("product",)
    assert layer.residual.fields["join"] is Join.PRODUCT


def test_the_instructions_and_the_stream_of_a_table():
    net = Functions()
    x = net.conv("conv", "input", 5)
    graph = net.builder.finish(net.function("gate", x))
    program = check_program(graph, NANO, noise(np.random.default_rng(1), graph))
    said = [(op.opcode, op["table"]) for op in read_program(program.code) if "table" in op.fields]
    assert set(said) == {(Opcode.CONV, 1), (Opcode.POST, TablePlace.FRONT)}
    wide = NANO.modules * NANO.columns
    table = graph.constants["gate.table"].tobytes()
    assert program.weights[wide : wide + len(table)] == table
