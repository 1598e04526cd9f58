import numpy as np
import pytest

from hw.config import DnaConfig
from hw.status import Activity, Fault
from tests.hw.support.convolution_bench import ConvolutionBench, check
from tests.hw.support.layers import Layer


def config(modules, rows, depth=8):
    return DnaConfig(
        name="test",
        modules=modules,
        rows=rows,
        columns=rows,
        lanes=rows,
        accumulation_depth=depth,
        dram_bytes_per_cycle=8,
        feature_words=1024,
        weight_fifo_words=4,
    )


@pytest.fixture(scope="module", params=[(2, 4), (4, 2)], ids=str)
def bench(request):
    return ConvolutionBench(config(*request.param))


def layers_of(config, seed, given):
    """Layers one after the other in feature memory."""
    rng = np.random.default_rng(seed)
    layers = []
    for options in given:
        base = layers[-1].end + int(rng.integers(config.modules)) if layers else 1
        layers.append(Layer.random(config, rng, base=base, **options))
    return layers


SMALL = {"out_channels": 9}
PACES = [
    {},
    {"weights": 0.4},
    {"pixels": 0.3, "parameters": 0.5},
    {"weights": 0.7, "pixels": 0.6, "parameters": 0.6, "instructions": 0.3},
]


@pytest.mark.parametrize("seed", range(4))
def test_random_layers_at_random_paces(bench, seed):
    check(bench, layers_of(bench.config, seed, [SMALL] * 3), pace=PACES[seed % 4], seed=seed)


@pytest.mark.parametrize("kernel", [(1, 1), (5, 2)], ids=str)
def test_every_split(bench, kernel):
    """Instructions that follow each other with other splits, all in flight together."""
    height, width = kernel
    splits = [*range(bench.config.modules.bit_length()), 0]
    given = [
        {
            "kernel_height": height,
            "kernel_width": width,
            "height": 5,
            "width": 4,
            "in_channels": 3,
            "split": split,
            "out_channels": 5,
            "stride": 1 + split % 2,
            "column_stride": split % 3,
        }
        for split in splits
    ]
    check(bench, layers_of(bench.config, 1, given))


def test_single_pixels(bench):
    """A classifier: each pass is one pixel, and the tree may still hold the one before."""
    one = {"kernel_height": 1, "kernel_width": 1, "height": 1, "width": 1, "pads": (0, 0, 0, 0)}
    splits = range(bench.config.modules.bit_length())
    given = [{**one, "split": split, "in_channels": 7, "out_channels": 10} for split in splits]
    check(bench, layers_of(bench.config, 2, given * 2))


@pytest.fixture(scope="module", params=[(2, 4), (4, 4)], ids=str)
def deep_bench(request):
    return ConvolutionBench(config(*request.param, depth=32))


def test_the_array_never_idles_in_a_layer_whose_passes_hide_the_weights(deep_bench):
    """Passes are as long as their weights take to load, and no longer."""
    config = deep_bench.config
    pixels = config.rows * config.modules * config.columns // config.dram_bytes_per_cycle
    for split in range(config.modules.bit_length()):
        shape = {"height": 2, "width": pixels // 2, "tile_pixels": pixels}
        kernel = {
            "kernel_height": 3,
            "kernel_width": 3,
            "pads": (1, 1, 1, 1),
            "stride": 1,
            "column_stride": 0,
            "neighbours": 1,
        }
        channels = {"in_channels": 8, "out_channels": 4}
        given = [{**shape, **kernel, **channels, "split": split}]
        (layer,) = layers_of(config, 3, given)
        run = check(deep_bench, [layer])
        # Header, parameters and the first weights come before the first pixel. Then nothing
        # stands in the way of the last one.
        row = config.modules * config.columns // config.dram_bytes_per_cycle
        judged = 5  # the instruction, and the header
        start = judged + row * (1 + max(1, 8 >> split) + config.rows)
        assert run.activity == {
            **run.activity,
            Activity.BUSY: layer.pixels * layer.passes,
        }
        assert run.activity[Activity.WAIT_WEIGHTS] <= start
        assert run.cycles <= start + layer.pixels * layer.passes


def test_instructions_follow_each_other_with_two_lost_cycles(deep_bench):
    config = deep_bench.config
    shape = {"height": 5, "width": 6, "tile_pixels": 30, "kernel_height": 3, "kernel_width": 1}
    rest = {
        "pads": (1, 0, 1, 0),
        "stride": 1,
        "column_stride": 0,
        "neighbours": 1,
        "in_channels": 8,
        "out_channels": 4,
    }
    splits = [0, 1, 1]
    layers = layers_of(config, 4, [{**shape, **rest, "split": split} for split in splits])
    run = check(deep_bench, layers)
    starts = np.diff([run.done[0], *run.done[1:]])
    for layer, cycles in zip(layers[1:], starts, strict=True):
        assert cycles == layer.pixels * layer.passes + 2


@pytest.mark.parametrize(
    ("cause", "pace"),
    [
        (Activity.WAIT_WEIGHTS, {"weights": 0.3}),
        (Activity.WAIT_ACCUMULATION, {"pixels": 0.3}),
    ],
)
def test_every_cycle_has_its_cause(bench, cause, pace):
    shape = {"height": 4, "width": 6, "kernel_height": 1, "kernel_width": 1, "pads": (0, 0, 0, 0)}
    rest = {
        "in_channels": 2,
        "out_channels": 17,
        "stride": 1,
        "column_stride": 0,
        "neighbours": 1,
        "split": 0,
        "tile_pixels": 8,
    }
    run = check(bench, layers_of(bench.config, 5, [shape | rest]), pace=pace)
    counts = {**run.activity}
    del counts[Activity.IDLE]
    assert sum(counts.values()) == run.cycles
    del counts[Activity.BUSY]
    assert counts[cause] == max(counts.values())


def test_a_bad_header_is_a_fault(bench):
    (layer,) = layers_of(bench.config, 6, [{"tag": 0x4321}])
    stream = bytearray(layer.stream)
    stream[2] ^= 1
    run = bench.run([layer], stream=bytes(stream), patience=60)
    assert run.fault == (Fault.WEIGHT_HEADER, 0x4321)
    assert not any(run.pixels) and not run.parameters


def test_a_bad_instruction_is_a_fault(bench):
    (layer,) = layers_of(bench.config, 7, [SMALL])
    fields = dict(layer.instruction.fields)
    fields["split"] = 4
    code = type(layer.instruction)(layer.instruction.opcode, fields).encode()
    run = bench.run([layer], instructions=[code], patience=60)
    assert run.fault == (Fault.BAD_SPLIT, fields["layer"])
    assert not any(run.pixels) and not run.parameters
