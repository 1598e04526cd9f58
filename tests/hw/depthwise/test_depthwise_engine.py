import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.depthwise.depthwise_engine import DepthwiseEngine
from hw.isa import Instruction, Opcode
from sim.reference import requantize
from tests.hw.support.engines import (
    EngineBench,
    Feature,
    Pending,
    always,
    paces,
    reads,
    writes,
)

NANO = dataclasses.replace(PRESETS["nano"], feature_words=4096)
CONFIGS = {
    "g2": NANO,
    "g4r2": dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=2),
    "g4d2": dataclasses.replace(NANO, modules=4, lanes=8, depthwise_words=2),
    "g4d4": dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=8, depthwise_words=4),
    "g4u4": dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=8),
}
BENCHES = {}
PARAMETERS, OUT_BASE = 1024, 2048


def bench_of(name):
    if name not in BENCHES:
        BENCHES[name] = EngineBench(DepthwiseEngine(CONFIGS[name]))
    return BENCHES[name]


def draw_parameters(feature, i, rng):
    """Weights [channels, height, width], bias and scale; writes them as the machine reads them."""
    config = feature.config
    words, rows = config.depthwise_words, config.rows
    groups = -(-i["in_words"] // words)
    channels = groups * words * rows
    height, width = i["kernel_height"], i["kernel_width"]
    weights = rng.integers(-128, 128, (channels, height, width)).astype(np.int8)
    bias = rng.integers(-(2**14), 2**14, channels).astype(np.int32)
    scale = (2.0 ** rng.uniform(-12, -6, channels)).astype(np.float32)
    at = i["parameters"]
    for group in range(groups):
        mine = slice(group * words * rows, (group + 1) * words * rows)
        rows_of = []
        for top in range(0, height, 3):
            for left in range(0, width, 3):
                for y in range(top, top + 3):
                    for x in range(left, left + 3):
                        inside = y < height and x < width
                        row = weights[mine, y, x] if inside else rng.integers(0, 1, words * rows)
                        rows_of.append(row.astype(np.int8))
        for values in (bias[mine], scale[mine]):
            rows_of += list(values.view(np.int8).reshape(-1, 4).T)
        for row in rows_of:
            feature.words[at : at + words] = row.reshape(words, rows)
            at += words
    return weights, bias, scale


def expect(feature, i, weights, bias, scale):
    height, width, words = i["in_height"], i["in_width"], i["in_words"]
    channels = words * feature.config.rows
    y, x, w = np.ogrid[:height, :width, :words]
    source = i["in_base"] + y * i["in_pitch"] + x * words + w
    seen = feature.words[source].reshape(height, width, channels).astype(np.int64)
    y, x, w = np.ogrid[: i["out_height"], : i["out_width"], :words]
    target = i["out_base"] + y * i["out_pitch"] + x * words + w
    sums = np.zeros((i["out_height"], i["out_width"], channels), np.int64)
    for oy in range(i["out_height"]):
        for ox in range(i["out_width"]):
            for ky in range(i["kernel_height"]):
                for kx in range(i["kernel_width"]):
                    iy = oy * i["stride"] - i["pad_top"] + ky
                    ix = ox * i["stride"] - i["pad_left"] + kx
                    inside = 0 <= iy < height and 0 <= ix < width
                    pixel = seen[iy, ix] if inside else i["in_zero_point"]
                    sums[oy, ox] += pixel * weights[:channels, ky, kx].astype(np.int64)
    accumulators = (sums + bias[:channels]).astype(np.int32)
    result = requantize(accumulators, scale[:channels], i["zero_point"], i["lo"], i["hi"])
    feature.words[target] = result.reshape(*target.shape, -1)
    feature.written[target] += 1


def depthwise(**fields):
    defaults = {
        "layer": 4,
        "in_base": 7,
        "in_pitch": fields["in_width"] * fields["in_words"] + 1,
        "kernel_width": fields["kernel_height"],
        "stride": 1,
        "out_base": OUT_BASE,
        "out_pitch": fields["out_width"] * fields["in_words"] + 2,
        "parameters": PARAMETERS,
        "in_zero_point": -5,
        "zero_point": 3,
        "lo": -100,
        "hi": 120,
    }
    return Instruction(Opcode.DEPTHWISE, defaults | fields)


def run(name, instructions, pace=lambda: always, seed=0):
    config, bench = CONFIGS[name], bench_of(name)
    rng = np.random.default_rng(seed)
    feature, expected = Feature(config, rng), Feature(config, rng)
    parameters = [draw_parameters(feature, i, rng) for i in instructions]
    expected.words[:] = feature.words
    for instruction, values in zip(instructions, parameters, strict=True):
        expect(expected, instruction, *values)
    port_of_reads = reads(bench.dut.features, feature, pace())
    port = writes(bench.dut.results, feature, pace())
    result = bench.run(instructions, [*port_of_reads, *port], chance=pace())
    assert result.fault is None and len(result.done) == len(instructions)
    np.testing.assert_array_equal(feature.words, expected.words)
    np.testing.assert_array_equal(feature.written, expected.written)
    assert result.done[-1] >= port[0].cycles[-1] + Pending.AFTER + 1
    assert not port_of_reads[1].words
    return result, port_of_reads[0].cycles, port[0].cycles


SAME = {"pad_top": 1, "pad_left": 1, "kernel_height": 3}
SHAPES = [
    {**SAME, "in_height": 5, "in_width": 6, "in_words": 3, "out_height": 5, "out_width": 6},
    {**SAME, "in_height": 6, "in_width": 6, "in_words": 4, "out_height": 3, "out_width": 3}
    | {"stride": 2, "pad_top": 0, "pad_left": 0},
    {**SAME, "in_height": 1, "in_width": 1, "in_words": 9, "out_height": 1, "out_width": 1},
    {**SAME, "in_height": 2, "in_width": 3, "in_words": 2, "out_height": 2, "out_width": 3},
    # Larger windows, whose ends are out of the input on all sides.
    {"kernel_height": 5, "pad_top": 2, "pad_left": 2}
    | {"in_height": 6, "in_width": 7, "in_words": 2, "out_height": 6, "out_width": 7},
    {"kernel_height": 7, "pad_top": 3, "pad_left": 3, "stride": 2}
    | {"in_height": 9, "in_width": 5, "in_words": 1, "out_height": 5, "out_width": 3},
    # Rows that no window needs, between them and at the end; windows all of padding at the end.
    {"kernel_height": 1, "stride": 3}
    | {"in_height": 13, "in_width": 4, "in_words": 2, "out_height": 2, "out_width": 2},
    {"kernel_height": 2, "kernel_width": 4, "stride": 3, "pad_top": 1}
    | {"in_height": 4, "in_width": 4, "in_words": 3, "out_height": 4, "out_width": 3},
]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_windows(name, shape):
    run(name, [depthwise(**SHAPES[shape])], seed=shape)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_random_layers_with_random_stalls(name, seed):
    rng = random.Random(seed)
    instructions = []
    for number in range(3):
        height, width = rng.randint(1, 7), rng.randint(1, 7)
        instructions.append(
            depthwise(
                in_height=rng.randint(1, 12),
                in_width=rng.randint(1, 6),
                in_words=rng.randint(1, 4),
                kernel_height=height,
                kernel_width=width,
                stride=rng.randint(1, 4),
                pad_top=rng.randrange(height),
                pad_left=rng.randrange(width),
                out_height=rng.randint(1, 5),
                out_width=rng.randint(1, 5),
                in_zero_point=rng.randint(-128, 127),
                parameters=512 + number * 768,
                out_base=3000 + number * 256,
            )
        )
    run(name, instructions, paces(rng), seed)
