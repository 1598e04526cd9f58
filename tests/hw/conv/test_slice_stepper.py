import numpy as np
import pytest

from hw.config import DnaConfig
from hw.conv.slice_stepper import SliceStepper
from tests.hw.support.layers import Layer
from tests.hw.support.streams import StreamBench

CONFIG = DnaConfig(
    name="test",
    modules=4,
    rows=4,
    columns=4,
    lanes=4,
    accumulation_depth=8,
    dram_bytes_per_cycle=8,
    feature_words=1024,
    weight_fifo_words=4,
)


@pytest.fixture(scope="module")
def bench():
    return StreamBench(SliceStepper(CONFIG))


def passes_of(layer):
    """Every pass: the lanes that have a slice, and the flags."""
    kernel_height, kernel_width = layer.weights.shape[:2]
    slices = [
        {"offset": ky * layer.pitch + kx * layer.in_words + word, "y": ky, "x": kx}
        for ky in range(kernel_height)
        for kx in range(kernel_width)
        for word in range(layer.in_words)
    ]
    tiles = layer.channel_tiles * layer.pixel_tiles
    for tile in range(tiles):
        for number in range(layer.passes):
            final = number == layer.passes - 1
            yield (
                slices[number << layer.split :][: 1 << layer.split],
                {
                    "first": int(number == 0),
                    "final": int(final),
                    "shorter": int(tile % layer.pixel_tiles == layer.pixel_tiles - 1),
                    "closes": int(final and tile == tiles - 1),
                },
            )


def run(bench, layers, **options):
    expected = [item for layer in layers for item in passes_of(layer)]
    instructions = [
        {"opcode": layer.instruction.opcode.value, **layer.instruction.fields} for layer in layers
    ]
    seen = bench.run(
        send={"instructions": instructions}, receive={"passes": len(expected)}, **options
    )
    for result, (lanes, flags) in zip(seen["passes"].words, expected, strict=True):
        enabled = [lane for lane in result["lanes"] if lane.pop("enable")]
        assert enabled == result["lanes"][: len(enabled)] == lanes
        assert {name: result[name] for name in flags} == flags
    return seen


@pytest.mark.parametrize("seed", range(6))
def test_random_layers(bench, seed):
    rng = np.random.default_rng(seed)
    layers = [Layer.random(CONFIG, rng) for _ in range(3)]
    run(bench, layers, pace={"passes": [1, 0.5, 0.2][seed % 3]}, seed=seed)


@pytest.mark.parametrize("split", range(3))
def test_a_pass_every_k_and_a_cycle(bench, split):
    given = {"kernel_height": 3, "kernel_width": 3, "in_channels": 8}
    layer = Layer.random(CONFIG, np.random.default_rng(split), split=split, **given)
    cycles = run(bench, [layer])["passes"].cycles
    k = 1 << split
    assert cycles == [1 + (k + 1) * (number + 1) for number in range(len(cycles))]
