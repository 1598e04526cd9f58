"""The streams of a layer, read back by a plain model of the hardware."""

import numpy as np
import pytest

from hw.config import PRESETS
from sim import streams
from sim.reference import ReferenceModel, requantize
from sim.streams import LayerStreams, layer_of
from tests.graphs import random_image, random_small_graph

NANO = PRESETS["nano"]


@pytest.fixture(scope="module")
def layers():
    rng = np.random.default_rng(11)
    graph = random_small_graph(rng)
    tensors = ReferenceModel(graph).run_all(random_image(rng, graph))
    return [
        layer_of(graph, op, tensors[op.inputs[0]], tensors[op.output]) for op in graph.weighted()
    ]


def replay(layer, chunk, laid_out):
    """What the streams of a chunk compute: int8 [pixels of the tile, C] for each tile."""
    rows, columns = NANO.rows, NANO.columns
    weights = chunk.inputs["weights"].view(np.int8).reshape(-1, rows, columns).astype(int)
    pixels = chunk.inputs["activations"]
    parameters = chunk.inputs["parameters"].copy()
    bias = parameters[:, :4].copy().view(np.int32).reshape(-1, columns)
    scale = parameters[:, 4:].copy().view(np.float32).reshape(-1, columns)
    sums, at, tile, start = [], 0, 0, 0
    for number, word in enumerate(pixels):
        flags = word[rows]
        product = word[:rows].view(np.int8).astype(int) @ weights[at]
        first, last, final = flags & 1, flags & 2, flags & 4
        if first:
            sums.append(product)
        else:
            sums[number - start] += product
        if last:
            at += 1
            start = number + 1
            if final:
                acc = (np.array(sums) + bias[tile]).astype(np.int32)
                yield requantize(
                    acc,
                    scale[tile],
                    laid_out.statics["zero_point"],
                    laid_out.statics["lo"],
                    laid_out.statics["hi"],
                )
                tile, sums = tile + 1, []
    assert at == len(weights) and tile == len(bias)


@pytest.mark.parametrize("limit", [1, 2000, streams.CHUNK_BYTES])
def test_streams_compute_the_layer(layers, limit, monkeypatch):
    monkeypatch.setattr(streams, "CHUNK_BYTES", limit)
    for layer in layers:
        laid_out = LayerStreams(NANO, layer)
        got = np.zeros((layer.expected[..., 0].size, layer.expected.shape[2]), np.int8)
        written = np.zeros(got.shape, int)
        for chunk in laid_out.chunks():
            words = chunk.inputs["activations"].nbytes
            assert words <= limit or len(chunk.tiles) == 1
            for tile, values in zip(chunk.tiles, replay(layer, chunk, laid_out), strict=True):
                assert len(tile.pixels) <= NANO.accumulation_depth
                place = np.ix_(tile.pixels, tile.channels)
                got[place] = values[:, : len(tile.channels)]
                written[place] += 1
            assert chunk.output_words == sum(len(tile.pixels) for tile in chunk.tiles)
        assert (written == 1).all()
        np.testing.assert_array_equal(got.reshape(layer.expected.shape), layer.expected)


def test_macs_are_those_of_the_graph():
    graph = random_small_graph(np.random.default_rng(3))
    for op in graph.weighted():
        source, target = graph.operands(op)[0], graph.result(op)
        layer = layer_of(
            graph, op, np.zeros(source.shape, np.int8), np.zeros(target.shape, np.int8)
        )
        assert layer.macs == graph.macs(op)
