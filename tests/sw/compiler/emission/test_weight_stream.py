import dataclasses
import itertools
import struct

import numpy as np
import pytest

from sw.compiler.candidates.tiles import all_links
from sw.compiler.choice import Links
from sw.compiler.emission.weight_stream import tag, weight_stream
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from tests.support.programs import random_config, random_network


def convolutions(rng, config):
    """Those of a random network that has some."""
    layers = []
    while not layers:
        network = lower(random_network(rng), config)
        layers = [layer for layer in network if isinstance(layer, Convolution)]
    return layers


@pytest.mark.parametrize("seed", range(12))
def test_every_byte_is_where_the_machine_looks(seed):
    """Written from docs/machine.md, one byte at a time."""
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    layers = convolutions(rng, config)
    layer = layers[int(rng.integers(len(layers)))]
    wide = config.modules * config.columns
    for links in all_links(config, layer):
        stream = weight_stream(config, layer, links)
        k, group = 1 << links.split, config.modules >> links.split
        number = layer.number + 1
        table = b"" if layer.table is None else layer.table.values.tobytes().ljust(wide, b"\0")
        tagged = struct.pack("<HH", number, number ^ 0xFFFF).ljust(wide, b"\0")
        assert stream.header == tagged + table
        words = layer.computed.words
        assert len(stream.blocks) == -(-links.neighbours * words // group)
        passes = -(-layer.slices // k)
        parameter_bytes = max(1, 8 // k) * wide
        for block in stream.blocks:
            assert len(block) == parameter_bytes + passes * config.rows * wide
        for _ in range(40):
            t = int(rng.integers(len(stream.blocks)))
            p, r = int(rng.integers(passes)), int(rng.integers(config.rows))
            m, c = int(rng.integers(config.modules)), int(rng.integers(config.columns))
            offset = parameter_bytes + (p * config.rows + r) * wide + m * config.columns + c
            got = struct.unpack_from("b", stream.blocks[t], offset)[0]
            word = t * group + m // k
            channel = word % words * config.columns + c if word < links.neighbours * words else None
            assert got == expected_weight(layer, config, p * k + m % k, r, channel)
            j = int(rng.integers(group * config.columns))
            word, column = divmod(j, config.columns)
            word += t * group
            channel = word % words * config.columns + column
            bias, scale = struct.unpack_from("<if", stream.blocks[t], 8 * j)
            if channel < layer.computed.channels and word < links.neighbours * words:
                folded = int(layer.bias[channel]) - layer.zero_point * int(
                    layer.weights[channel].astype(int).sum()
                )
                assert bias == (folded + 2**31) % 2**32 - 2**31
                assert np.float32(scale) == layer.multiplier[channel]
            else:
                assert (bias, scale) == (0, 0)


def expected_weight(layer, config, k_slice, row, channel):
    if channel is None or channel >= layer.computed.channels or k_slice >= layer.slices:
        return 0
    tap, word = divmod(k_slice, layer.source.words)
    y, x = divmod(tap, layer.window.kernel_width)
    depth = word * config.rows + row
    return layer.weights[channel, y, x, depth] if depth < layer.source.channels else 0


def test_the_bias_wraps():
    rng = np.random.default_rng(3)
    config = random_config(rng)
    layer = convolutions(rng, config)[0]
    extreme = dataclasses.replace(
        layer,
        zero_point=-128,
        bias=np.full_like(layer.bias, 2**31 - 1),
        weights=np.full_like(layer.weights, 127),
    )
    block = weight_stream(config, extreme, Links()).blocks[0]
    bias = struct.unpack_from("<i", block)[0]
    assert bias == (2**31 - 1 + 128 * 127 * layer.weights[0].size + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("pixel_tiles", [1, 2, 3])
def test_blocks_are_sent_for_every_pixel_tile(pixel_tiles):
    rng = np.random.default_rng(5)
    config = random_config(rng)
    layer = convolutions(rng, config)[0]
    stream = weight_stream(config, layer, Links())
    sent = b"".join(
        stream.content[start : start + length] for start, length in stream.ranges(pixel_tiles)
    )
    assert sent == stream.header + b"".join(block * pixel_tiles for block in stream.blocks)
    if pixel_tiles == 1:
        assert len(stream.ranges(1)) == 1


def test_tags_are_never_0_and_differ_from_layer_to_layer():
    tags = [tag(layer) for layer in range(70000)]
    assert min(tags) == 1 and max(tags) < 1 << 16
    assert all(a != b for a, b in itertools.pairwise(tags))
