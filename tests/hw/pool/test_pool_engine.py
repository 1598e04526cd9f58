import dataclasses
import random

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Instruction, Opcode
from hw.microarchitecture import POOL_PREPARATION
from hw.pool.mean import MeanUnit
from hw.pool.pool_engine import PoolEngine
from hw.status import Activity, Fault
from sim.reference import max_pool2d, mean
from sw.operations import Padding
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

NANO = dataclasses.replace(PRESETS["nano"], feature_words=2048)
CONFIGS = {
    "g2": NANO,
    "g4": dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=2),
    "g4u2": dataclasses.replace(NANO, modules=4, lanes=8),
    "g4u4": dataclasses.replace(NANO, modules=4, rows=2, columns=2, lanes=8),
    "g1": dataclasses.replace(NANO, modules=1, rows=8, columns=8, lanes=8),
}
BENCHES = {}
OUT_BASE = 1024


def bench_of(name):
    if name not in BENCHES:
        BENCHES[name] = EngineBench(PoolEngine(CONFIGS[name]))
    return BENCHES[name]


def addresses(base, pitch, height, width, words, step):
    y, x, w = np.ogrid[:height, :width, :words]
    return base + y * pitch + x * step + w


def read(feature, i):
    """The input tensor of instruction ``i``, int8 [height, width, channels]."""
    step = i.fields.get("in_step", i["in_words"])
    extents = i["in_height"], i["in_width"], i["in_words"], step
    place = addresses(i["in_base"], i["in_pitch"], *extents)
    return feature.words[place].reshape(i["in_height"], i["in_width"], -1)


def write(feature, tensor, base, pitch, step):
    height, width, channels = tensor.shape
    words = channels // feature.config.rows
    place = addresses(base, pitch, height, width, words, step)
    feature.words[place] = tensor.reshape(height, width, words, -1)
    feature.written[place] += 1


def expect(feature, i):
    x = read(feature, i)
    if i.opcode is Opcode.MEAN:
        values = [np.uint32(i[name]).view(np.float32) for name in ("multiplier", "offset")]
        write(feature, mean(x, *values)[np.newaxis, np.newaxis], i["out_base"], 0, 0)
        return
    kernel, stride = (i["kernel_height"], i["kernel_width"]), i["stride"]
    # As much at the bottom and right as the last window needs, and cut off what it does not.
    ends = [
        (i[f"out_{side}"] - 1) * stride + size - i[f"in_{side}"] - i[pad]
        for side, size, pad in zip(
            ("height", "width"), kernel, ("pad_top", "pad_left"), strict=True
        )
    ]
    padded = np.pad(
        x,
        ((max(0, i["pad_top"]), max(0, ends[0])), (max(0, i["pad_left"]), max(0, ends[1])), (0, 0)),
        constant_values=-128,
    )[max(0, -i["pad_top"]) :, max(0, -i["pad_left"]) :]
    out = max_pool2d(padded, kernel, (stride, stride), Padding(0, 0, 0, 0))
    place = (i[name] for name in ("out_base", "out_pitch", "out_step"))
    write(feature, out[: i["out_height"], : i["out_width"]], *place)


def pool(**fields):
    steps = {"in_step": fields["in_words"], "out_step": fields["in_words"]} | fields
    defaults = {
        "layer": 4,
        "in_base": 7,
        "in_pitch": fields["in_width"] * steps["in_step"] + 1,
        "in_step": steps["in_step"],
        "kernel_width": fields["kernel_height"],
        "out_base": OUT_BASE,
        "out_pitch": fields["out_width"] * steps["out_step"] + 2,
        "out_step": steps["out_step"],
    }
    return Instruction(Opcode.MAX_POOL, defaults | fields)


def mean_of(height, width, words, multiplier=0.01, offset=3.5, **fields):
    bits = {
        name: int(np.float32(value).view(np.uint32))
        for name, value in (("multiplier", multiplier), ("offset", offset))
    }
    defaults = {
        "layer": 4,
        "in_base": 7,
        "in_pitch": width * words + 1,
        "in_words": words,
        "in_height": height,
        "in_width": width,
        "out_base": OUT_BASE,
    }
    return Instruction(Opcode.MEAN, defaults | bits | fields)


def run(name, instructions, pace=lambda: always, seed=0):
    config, bench = CONFIGS[name], bench_of(name)
    rng = np.random.default_rng(seed)
    feature, expected = Feature(config, rng), Feature(config, rng)
    expected.words[:] = feature.words
    for instruction in instructions:
        expect(expected, instruction)
    port_of_reads = reads(bench.dut.features, feature, pace(), nothing=True)
    requests, answers = port_of_reads
    port = writes(bench.dut.results, feature, pace())
    result = bench.run(instructions, [*port_of_reads, *port], chance=pace())
    assert result.fault is None and len(result.done) == len(instructions)
    np.testing.assert_array_equal(feature.words, expected.words)
    np.testing.assert_array_equal(feature.written, expected.written)
    assert result.done[-1] == port[0].cycles[-1] + Pending.AFTER + 1
    assert not answers.words
    return result, requests.cycles, answers.cycles, port[0].cycles


RESNET = {"in_height": 6, "in_width": 6, "kernel_height": 3, "stride": 2, "pad_top": 1}
SHAPES = [
    {**RESNET, "pad_left": 1, "out_height": 3, "out_width": 3, "in_words": 4},
    {**RESNET, "pad_left": 1, "out_height": 3, "out_width": 3, "in_words": 5},
    # The window wider than the input, and wholly outside of it at a corner.
    {"in_height": 1, "in_width": 2, "in_words": 1, "kernel_height": 5, "stride": 1}
    | {"pad_top": 2, "pad_left": 2, "out_height": 1, "out_width": 2},
    {"in_height": 2, "in_width": 2, "in_words": 3, "kernel_height": 2, "stride": 3}
    | {"pad_top": 3, "pad_left": 3, "out_height": 3, "out_width": 3},
    # Several pixels in a read, cut off at the left, at the right, and by the window.
    {**RESNET, "pad_left": 1, "out_height": 3, "out_width": 3, "in_words": 1},
    {**RESNET, "pad_left": 2, "out_height": 3, "out_width": 4, "in_words": 2},
    {**RESNET, "pad_left": -1, "out_height": 2, "out_width": 2, "in_words": 1, "kernel_width": 6},
    # One pixel: a copy.
    {"in_height": 3, "in_width": 3, "in_words": 9, "kernel_height": 1, "stride": 1}
    | {"out_height": 3, "out_width": 3},
    # Some words of a pixel, to every so many.
    {"in_height": 3, "in_width": 3, "in_words": 1, "kernel_height": 1, "stride": 1}
    | {"out_height": 3, "out_width": 3, "in_step": 3, "out_step": 5},
    {**RESNET, "pad_left": 1, "out_height": 3, "out_width": 3, "in_words": 2, "in_step": 3},
    {**RESNET, "pad_left": 1, "out_height": 3, "out_width": 3, "in_words": 5, "out_step": 6},
    # A kernel that is not square, and a stripe that begins inside of the input.
    {"in_height": 5, "in_width": 7, "in_words": 2, "kernel_height": 1, "kernel_width": 3}
    | {"stride": 2, "pad_top": -1, "pad_left": -1, "out_height": 2, "out_width": 2},
]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("shape", range(len(SHAPES)))
def test_max_pool(name, shape):
    run(name, [pool(**SHAPES[shape])], seed=shape)


@pytest.mark.parametrize("name", CONFIGS)
def test_mean(name):
    run(name, [mean_of(3, 4, 5), mean_of(1, 1, 1, 1.0, 0.0), mean_of(7, 7, 4, 1 / 49, -0.25)])


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(3))
def test_random_layers_with_random_stalls(name, seed):
    rng = random.Random(seed)
    instructions = []
    for _ in range(3):
        words, height, width = rng.randint(1, 9), rng.randint(1, 6), rng.randint(1, 6)
        if rng.random() < 0.3:
            scale, offset = 2.0 ** rng.uniform(-8, 1), rng.uniform(-20, 20)
            instructions.append(mean_of(height, width, words, scale, offset))
            continue
        instructions.append(
            pool(
                in_height=height,
                in_width=width,
                in_words=words,
                kernel_height=rng.randint(1, 4),
                kernel_width=rng.randint(1, 4),
                stride=rng.randint(1, 3),
                pad_top=rng.randint(0, 2),
                pad_left=rng.randint(0, 2),
                out_height=rng.randint(1, 4),
                out_width=rng.randint(1, 4),
                in_step=words + max(0, rng.randint(-2, 2)),
                out_step=words + max(0, rng.randint(-2, 2)),
            )
        )
    run(name, instructions, paces(rng), seed)


@pytest.mark.parametrize("name", CONFIGS)
def test_rate(name):
    config = CONFIGS[name]
    for words in (1, 2, 4):
        result, asked, _, _ = run(name, [pool(**SHAPES[0] | {"in_words": words})])
        together = max(1, config.post_words // words)
        count = 9 * 3 * -(-3 // together) * -(-words // config.post_words)
        first = 3 + POOL_PREPARATION + 1
        assert asked == list(range(first, first + count))
        assert result.activity[Activity.BUSY] >= count
    # 49 pixels, or the channels of the post_words words before them; or 9 pixels.
    words = 4 * config.post_words
    for side in (7, 3):
        *_, cycles = run(name, [mean_of(side, side, words, 1 / side**2, 0.0)])
        assert len(cycles) == 4
        computes = config.lanes + MeanUnit.PIPELINE + 2
        assert set(np.diff(cycles)) == {max(side * side, computes)}


@pytest.mark.parametrize("name", CONFIGS)
def test_latency(name):
    """A register stands behind the answers, another one in front of the write port."""
    side = {"in_height": 2, "in_width": 2, "in_words": 1}
    copy = pool(**side, kernel_height=1, stride=1, out_height=2, out_width=2, in_step=2)
    _, _, answered, written = run(name, [copy])
    assert written == [cycle + 2 for cycle in answered]
    _, _, answered, written = run(name, [mean_of(2, 2, 1)])
    assert written == [answered[-1] + 1 + CONFIGS[name].lanes + MeanUnit.PIPELINE + 2]


@pytest.mark.parametrize("stopped", range(3))
def test_activity_while_the_feature_memory_does_nothing(stopped):
    bench, rng = bench_of("g2"), np.random.default_rng(0)
    feature = Feature(NANO, rng)
    choice = [always] * 3
    choice[stopped] = never
    models = reads(bench.dut.features, feature, choice[0], nothing=True)
    models[1].chance = choice[1]
    result = bench.run(
        [pool(**SHAPES[0])],
        [*models, *writes(bench.dut.results, feature, choice[2])],
        cycles=200,
    )
    assert not result.done
    assert result.activity[Activity.WAIT_FEATURE] > 150


POOL_FAULTS = [
    *(
        {name: 0}
        for name in (
            "in_words",
            "in_step",
            "in_height",
            "in_width",
            "kernel_height",
            "kernel_width",
            "stride",
            "out_height",
            "out_width",
        )
    ),
    {"in_base": 2048},
    {"out_base": 2048},
    {"out_step": SHAPES[0]["in_words"] - 1},
]
MEAN_FAULTS = [
    {"in_words": 0},
    {"in_height": 0},
    {"in_width": 0},
    {"in_base": 2048},
    {"out_base": 2048},
    {"in_height": 64, "in_width": 33},
    {"multiplier": 0},
    {"multiplier": 0xBF800000},
    {"multiplier": 0x7F800000},
    {"multiplier": 0x00000001},
    {"offset": 0x00000001},
    {"offset": 0xFF800000},
]


@pytest.mark.parametrize(
    "instruction",
    [
        Instruction(base.opcode, {**base.fields, **changes})
        for base, faults in ((pool(**SHAPES[0]), POOL_FAULTS), (mean_of(2, 2, 2), MEAN_FAULTS))
        for changes in faults
    ],
)
def test_faults(instruction):
    bench = bench_of("g2")
    feature = Feature(NANO, np.random.default_rng(0))
    result = bench.run(
        [instruction],
        [
            *reads(bench.dut.features, feature, always),
            *writes(bench.dut.results, feature, always),
        ],
    )
    assert result.fault == (Fault.BAD_FIELD, 4)
    assert not feature.written.any() and not result.done
