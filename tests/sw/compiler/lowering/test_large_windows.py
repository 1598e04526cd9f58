"""Windows that no instruction holds, where there is one of them only."""

import numpy as np
import pytest

from hw.config import PRESETS
from sim.functional import FunctionalModel
from sim.verify.interpreter import interpret_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding

NANO = PRESETS["nano"]


def weights(rng, *shape):
    return Weights(
        values=rng.integers(-128, 128, shape).astype(np.int8),
        bias=rng.integers(-500, 500, shape[0]).astype(np.int32),
        scale=rng.uniform(0.001, 0.01, shape[0]).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("shape", "kernel", "padding"),
    [
        ((21, 1, 6), (21, 1), Padding()),
        ((3, 19, 5), (3, 19), Padding()),
        ((18, 2, 4), (20, 3), Padding(1, 1, 1, 0)),
        ((17, 2, 3), (18, 2), Padding(top=2)),
        ((18, 3, 3), (17, 2), Padding()),
    ],
)
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_window_over_all_is_one_flat_pixel(shape, kernel, padding, depthwise):
    rng = np.random.default_rng(shape[0])
    stride = (7, 7)  # so that the next window would begin behind the end
    builder = GraphBuilder("input", shape, 0.5, 3)
    window, output = Window(kernel, stride, padding), Output(0.4, -2, "relu")
    if depthwise:
        held = weights(rng, shape[2], *kernel)
        builder.depthwise_conv2d("large", "input", held, output, window)
    else:
        builder.conv2d("large", "input", weights(rng, 7, *kernel, shape[2]), output, window)
    graph = builder.finish("large")
    assert graph.tensors["large"].shape[:2] == (1, 1)
    pixels = rng.integers(-128, 128, shape, dtype=np.int8)
    expected = FunctionalModel(graph).run_all(pixels)
    result = interpret_program(compile_graph(graph, NANO), pixels, expected)
    assert result.values > 0
    assert (result.mismatches, result.logits) == (0, 0)


def test_more_than_one_of_them_is_refused():
    rng = np.random.default_rng(0)
    builder = GraphBuilder("input", (21, 2, 3), 0.5, 3)
    builder.conv2d("large", "input", weights(rng, 2, 18, 1, 3), Output(0.4, 1))
    with pytest.raises(DnaError, match="kernel height 18 is too large"):
        compile_graph(builder.finish("large"), NANO)
