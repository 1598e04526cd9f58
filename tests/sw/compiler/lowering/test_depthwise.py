import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sw.compiler import compile_graph
from sw.compiler.layers import Convolution, Depthwise
from sw.compiler.lowering import lower
from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Window
from sw.operations import Padding
from tests.support.graphs import ones, random_image
from tests.support.programs import check_program

NANO = PRESETS["nano"]


def graph_of(shape=(8, 8, 5), kernel=(3, 3), stride=(1, 1), padding=(0, 0, 0, 0), multiplier=1):
    builder = GraphBuilder("input", shape, 1.0, 3)
    name = builder.depthwise_conv2d(
        "each",
        "input",
        ones(shape[2] * multiplier, *kernel),
        Output(1.0, 0),
        Window(kernel, stride, Padding(*padding)),
    )
    return builder.finish(name)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel": (9, 5), "padding": (8, 8, 4, 4)},
        {"stride": (2, 2)},
        {"shape": (3, 384, 1)},
    ],
)
def test_the_engine_takes_what_fits_it(changes):
    graph = graph_of(**changes)
    (layer,) = lower(graph, NANO)
    assert isinstance(layer, Depthwise)
    (without,) = lower(graph, dataclasses.replace(NANO, depthwise_words=0))
    assert isinstance(without, Convolution)


@pytest.mark.parametrize(
    "changes",
    [
        {"multiplier": 2},
        {"kernel": (10, 3), "shape": (12, 8, 5)},
        {"kernel": (2, 2), "padding": (0, 2, 0, 0)},
        {"stride": (1, 2)},
        {"shape": (3, 385, 1)},
        # Weights of more than a third of the feature memory.
        {"shape": (8, 8, 4 * 81)},
    ],
)
def test_what_does_not_fit_it_is_dense(changes):
    (layer,) = lower(graph_of(**changes), NANO)
    assert isinstance(layer, Convolution)


WIDE = dataclasses.replace(NANO, modules=4, lanes=16, depthwise_words=4)
SAME = (1, 1, 1, 1)


@pytest.mark.parametrize(
    ("split", "channels", "width", "stride", "changes"),
    [
        (2, 4, 8, 1, {}),
        (1, 8, 8, 1, {}),
        (2, 12, 8, 1, {}),
        (0, 16, 8, 1, {}),
        (2, 20, 12, 1, {}),
        (1, 24, 6, 1, {}),
        (2, 12, 8, 2, {"padding": (0, 1, 0, 1)}),
        (0, 12, 6, 1, {}),  # no whole number of four pixels
        (0, 12, 9, 3, {}),
        (0, 12, 8, 1, {"padding": (0, 0, 0, 0)}),  # fewer results than pixels
        (0, 12, 8, 1, {"kernel": (5, 5), "padding": (2, 2, 2, 2)}),
        (2, 12, 8, 1, {"kernel": (5, 3), "padding": (2, 2, 1, 1)}),
    ],
)
def test_pixels_of_few_words_share_cycles(split, channels, width, stride, changes):
    fields = {"padding": SAME, **changes}
    graph = graph_of((8, width, channels), stride=(stride, stride), **fields)
    (layer,) = lower(graph, WIDE)
    assert layer.split == split
    (plain,) = lower(graph, NANO)
    assert plain.split == 0
    check_program(graph, WIDE, random_image(np.random.default_rng(channels), graph))


def test_an_addition_behind_it_is_a_layer_of_its_own():
    builder = GraphBuilder("input", (6, 6, 4), 1.0, 3)
    window = Window((3, 3), padding=Padding(1, 1, 1, 1))
    each = builder.depthwise_conv2d("each", "input", ones(4, 3, 3), Output(1.0, 0), window)
    graph = builder.finish(builder.add("sum", each, "input", Output(1.0, 0)))
    assert [layer.kind for layer in lower(graph, NANO)] == ["depthwise", "conv"]
    without = dataclasses.replace(NANO, depthwise_words=0)
    assert [layer.name for layer in lower(graph, without)] == ["each+sum"]


def test_where_its_weights_leave_no_room_all_is_dense():
    """A feature memory that is large enough without the engine is large enough with it."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        channels, side = int(rng.integers(1, 60)), int(rng.integers(3, 20))
        graph = graph_of((side, side, channels), padding=(1, 1, 1, 1))
        found = []
        for engine in (0, 1):
            for words in (64, 128, 256, 512, 1024, 2048):
                config = dataclasses.replace(NANO, feature_words=words, depthwise_words=engine)
                try:
                    program = compile_graph(graph, config)
                except DnaError:
                    continue
                found.append((engine, words))
                uses = {op.opcode for op in read_program(program.code)}
                assert engine or Opcode.DEPTHWISE not in uses
        assert {w for e, w in found if e == 0} <= {w for e, w in found if e == 1}
