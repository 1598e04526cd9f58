"""Functions of a value: LiteRT's tables hold wherever the value stands."""

from typing import get_args

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from sim.compare.engines import Comparer
from sim.functional.litert import LiteRT
from sw.errors import DnaError
from sw.frontends.tflite import import_model, read
from sw.frontends.tflite.functions.tables import function_table, squares_by_the_rule
from sw.graph_builder import GraphBuilder, Output
from sw.numerics import Function
from sw.operations import Scalar
from tests.support.tflite_models import CODE, Maker


@pytest.mark.parametrize("kind", get_args(Function))
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 5, 7, 13), (1, 300)])
def test_a_result_hangs_on_nothing_but_its_value(kind, shape):
    rng = np.random.default_rng(len(kind) + len(shape))
    for _ in range(3):
        net = Maker(rng)
        x = net.input(shape)
        y = net.function(x, kind)
        options = net.operators[-1].builtinOptions
        alpha = float(np.float32(options.alpha)) if kind == "leaky_relu" else 0.0
        table = function_table(kind, (x.scale, x.zero_point), (y.scale, y.zero_point), alpha)
        image = rng.integers(-128, 128, shape).astype(np.int8)
        (found,) = LiteRT(net.finish(y)).run(image)
        np.testing.assert_array_equal(found, table[image[0].view(np.uint8)])


def test_a_table_is_what_the_function_says():
    """Within a step of exact arithmetic, by the byte of the value read as unsigned."""
    x = np.arange(256, dtype=np.uint8).view(np.int8)
    real = 0.04 * (x.astype(float) - 3)
    table = function_table("logistic", (0.04, 3), (1 / 256, -128))
    assert np.abs(table - (256 / (1 + np.exp(-real)) - 128)).max() <= 1
    table = function_table("leaky_relu", (0.04, 3), (0.02, -5), 0.25)
    assert (
        np.abs(table - np.clip(np.where(real < 0, real / 4, real) / 0.02 - 5, -128, 127)).max() <= 1
    )


def test_numbers_that_litert_cannot_take_are_an_error():
    with pytest.raises(DnaError, match="LOGISTIC: zero point -131"):
        function_table("logistic", (0.04, 3), (1 / 256, -131))
    with pytest.raises(DnaError, match="SUB: ratio of input to output scale"):
        function_table("sub", (0.04, 3), (50.0, 3), 0.0, Scalar(1, 0.5, 0))


SQUARE = (1.673978567123413, -128), (229.23179626464844, -128)
"""Scales and zero points with which the square of 134 steps lies half way, but for a rounding."""


def test_a_square_that_litert_rounds_in_another_way_is_refused():
    net = Maker(np.random.default_rng(0))
    x = net.source = net.made((1, 16, 16, 1), *SQUARE[0])
    y = net.made(x.shape, *SQUARE[1])
    net.operator(CODE.MUL, [x.index, x.index], y.index, schema.MulOptionsT())
    assert not squares_by_the_rule(*SQUARE, "none", unsigned=False)
    with pytest.raises(DnaError, match="a value times itself"):
        import_model(read(net.finish(y), "a file"))
    assert squares_by_the_rule((0.0937, 3), (1.0173, -7), "relu", unsigned=False)


def test_a_square_of_the_graph_is_the_rule_s_in_its_flatbuffer_too():
    builder = GraphBuilder("input", (16, 16, 1), *SQUARE[0])
    graph = builder.finish(builder.multiply("square", "input", "input", Output(*SQUARE[1])))
    pixels = np.arange(-128, 128, dtype=np.int8).reshape(16, 16, 1)
    assert sum(row.mismatches for row in Comparer(graph).image(pixels)) == 0
