import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.depthwise.depthwise_engine import DepthwiseEngine
from hw.isa import Instruction, Opcode
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL
from hw.status import Activity, Fault
from sim.reference import requantize
from tests.hw.support.engines import (
    EngineBench,
    Feature,
    Pending,
    always,
    never,
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
    words, rows = config.depthwise_words >> i["split"], config.rows
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
        "split": 0,
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
    {"kernel_height": 9, "kernel_width": 7, "pad_top": 3, "pad_left": 3, "stride": 2}
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
        height, width = rng.randint(1, DEPTHWISE_KERNEL), rng.randint(1, DEPTHWISE_KERNEL)
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


JOINT = [
    (name, split, stride, padding)
    for name, splits in (("g4d2", (1,)), ("g4d4", (1, 2)))
    for split in splits
    for stride in (1, 2)
    for padding in range(3)
]


@pytest.mark.parametrize(("name", "split", "stride", "padding"), JOINT)
def test_neighbouring_pixels_that_share_the_words_of_a_cycle(name, split, stride, padding):
    rng = random.Random(f"{name}{split}{stride}{padding}")
    group = CONFIGS[name].depthwise_words >> split
    instructions = []
    for number, (times, height) in enumerate(((1, 3), (3, 5))):
        width = (1 << split) * rng.randint(1, 3)
        instructions.append(
            depthwise(
                split=split,
                in_words=times * group,
                in_height=rng.randint(1, 7),
                in_width=width,
                out_width=width // stride,
                out_height=rng.randint(1, 5),
                stride=stride,
                kernel_height=height,
                kernel_width=3 if padding == 2 else rng.randint(padding + 1, 3),
                pad_top=rng.randrange(height),
                pad_left=padding,
                parameters=512 + number * 768,
                out_base=3000 + number * 256,
            )
        )
    run(name, instructions, paces(rng))


def test_pixels_that_share_cycles_take_a_cycle_each_time():
    """Narrow rows are as quick as wide ones of as many words."""
    fields = {**SAME, "in_height": 12, "in_words": 3, "out_height": 12, "split": 2}
    _, asked, written = run("g4d4", [depthwise(**fields, in_width=24, out_width=24)])
    assert len(asked) == 3 * (12 * 6 + 17) and len(written) == 3 * 12 * 6
    assert asked == list(range(asked[0], asked[0] + len(asked)))


@pytest.mark.parametrize("name", CONFIGS)
def test_rate(name):
    """Groups without a gap: a pixel a cycle, and the parameters between them."""
    config = CONFIGS[name]
    words, groups, side = config.depthwise_words, 3, 12
    fields = {**SAME, "in_height": side, "in_width": side, "out_height": side, "out_width": side}
    result, asked, written = run(name, [depthwise(**fields, in_words=groups * words)])
    assert len(asked) == groups * (side * side + 17) and len(written) == groups * side * side
    assert asked == list(range(asked[0], asked[0] + len(asked)))
    assert written[-1] - asked[-1] < side + 50
    assert result.activity[Activity.WAIT_FEATURE] < 10


@pytest.mark.parametrize("stopped", range(3))
def test_activity_while_the_feature_memory_does_nothing(stopped):
    bench = bench_of("g2")
    feature = Feature(NANO, np.random.default_rng(0))
    choice = [always] * 3
    choice[stopped] = never
    models = reads(bench.dut.features, feature, choice[0])
    models[1].chance = choice[1]
    result = bench.run(
        [depthwise(**SHAPES[0])],
        [*models, *writes(bench.dut.results, feature, choice[2])],
        cycles=400,
    )
    assert not result.done
    assert result.activity[Activity.WAIT_FEATURE] > 250


FAULTS = [
    *(
        {name: 0}
        for name in ("in_words", "in_height", "in_width", "stride", "out_height", "out_width")
    ),
    {"kernel_height": 0, "pad_top": 0},
    {"kernel_width": 0, "pad_left": 0},
    *({name: 4096} for name in ("in_base", "out_base", "parameters")),
    {"kernel_height": DEPTHWISE_KERNEL + 1},
    {"kernel_width": DEPTHWISE_KERNEL + 1},
    {"pad_top": 3},
    {"pad_left": 3},
    {"pad_top": -1},
    {"pad_left": -1},
    {"in_width": DEPTHWISE_COLUMNS + 1},
    {"split": 1},
]

JOINED = {**SAME, "in_height": 4, "in_width": 8, "in_words": 3, "out_height": 4, "out_width": 8}
UNFIT = [
    {"split": 3},
    {"split": 1},  # three words are no odd multiple of two
    {"in_words": 4},
    {"in_words": 2},
    {"in_width": 6, "out_width": 6},
    {"out_width": 7},
    {"out_width": 4},
    {"stride": 2},
    {"in_width": 12, "stride": 3, "out_width": 4},
    {"kernel_width": 4},
]


@pytest.mark.parametrize(
    ("name", "fields"),
    [("g2", SHAPES[0] | changes) for changes in FAULTS]
    + [("g4d4", JOINED | {"split": 2} | changes) for changes in UNFIT],
)
def test_faults(name, fields):
    bench = bench_of(name)
    feature = Feature(CONFIGS[name], np.random.default_rng(0))
    result = bench.run(
        [depthwise(**fields)],
        [
            *reads(bench.dut.features, feature, always),
            *writes(bench.dut.results, feature, always),
        ],
    )
    assert result.fault == (Fault.BAD_FIELD, 4)
    assert not feature.written.any() and not result.done
