import numpy as np
import pytest

from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.frontends.tflite.functions.prelu import VALUES, prelu, prelu_tables
from sw.graph_builder import GraphBuilder, Output
from sw.operations import Add, Extremum

X, Y = (0.04, 11), (0.05, -7)


def built(slopes, scale):
    """A graph of a PRELU over all values of each channel, and what LiteRT gives."""
    slopes = np.array(slopes, np.int8)
    tables = prelu_tables(X, Y, slopes, (scale, 0))
    builder = GraphBuilder("x", (16, 16, len(slopes)), *X)
    return builder.finish(prelu(builder, "y", "x", Output(*Y), tables)), tables


@pytest.mark.parametrize(
    ("slopes", "scale", "joined"),
    [
        ([0, 1, 5, 64, 127, -3, -128], 1 / 127, Extremum),
        ([100, 127, -90, 13], 2 / 127, Add),
    ],
)
def test_every_value_of_every_channel_is_that_of_litert(slopes, scale, joined):
    graph, tables = built(slopes, scale)
    image = np.broadcast_to(VALUES.reshape(16, 16, 1), (16, 16, len(slopes))).copy()
    got = ReferenceModel(graph).run_all(image)["y"]
    np.testing.assert_array_equal(got.reshape(256, -1), tables)
    assert isinstance(graph.operations[-1], joined)


def test_what_no_line_has_is_refused():
    tables = np.random.default_rng(0).integers(-128, 128, (256, 2)).astype(np.int8)
    builder = GraphBuilder("x", (4, 4, 2), *X)
    with pytest.raises(DnaError, match="y: no line has the steps of channel 0"):
        prelu(builder, "y", "x", Output(*Y), tables)
