import dataclasses

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa.accesses import parameter_rows
from sw.compiler.emission.depthwise_parameters import depthwise_parameters
from sw.compiler.layers import Depthwise, Plane, Window


@pytest.mark.parametrize(("height", "width"), [(3, 3), (1, 1), (5, 3), (2, 7), (7, 7)])
@pytest.mark.parametrize(("words", "split"), [(1, 0), (2, 0), (2, 1)])
def test_every_byte_is_where_the_machine_reads_it(height, width, words, split):
    config = dataclasses.replace(PRESETS["nano"], modules=4, lanes=8, depthwise_words=words)
    rng, channels, zero_point = np.random.default_rng(height), 14, -3
    plane = Plane("x", 9, 9, channels, -(-channels // config.rows))
    weights = rng.integers(-128, 128, (channels, height, width)).astype(np.int8)
    bias = rng.integers(-(2**31), 2**31, channels).astype(np.int32)
    scale = rng.uniform(0, 1, channels).astype(np.float32)
    layer = Depthwise(
        number=0,
        operations=("depthwise",),
        source=plane,
        target=plane,
        window=Window(height, width),
        zero_point=zero_point,
        macs=0,
        weights=weights,
        bias=bias,
        multiplier=scale,
        fields={},
        split=split,
    )
    words >>= split
    content = depthwise_parameters(config, layer)
    groups = -(-plane.words // words)
    assert content.shape == (groups, parameter_rows(height, width), words * config.rows)
    for channel in range(groups * words * config.rows):
        group, lane = divmod(channel, words * config.rows)
        column = [int(byte) for byte in content[group, :, lane]]
        if channel >= channels:
            assert not any(column)
            continue
        taps = [
            int(weights[channel, y, x]) if y < height and x < width else 0
            for top in range(0, height, 3)
            for left in range(0, width, 3)
            for y in range(top, top + 3)
            for x in range(left, left + 3)
        ]
        assert column[:-8] == taps
        said = np.array(column[-8:], np.int8)
        folded = int(bias[channel]) - zero_point * sum(taps)
        assert said[:4].view(np.int32)[0] == (folded + 2**31) % 2**32 - 2**31
        assert said[4:].view(np.float32)[0] == scale[channel]
