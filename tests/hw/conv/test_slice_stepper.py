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
    """Every pass: what each module sees, None if nothing, and the flags."""
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
            lanes = slices[number << layer.split :][: 1 << layer.split]
            group = tile // layer.pixel_tiles * layer.group_words
            yield (
                [share(layer, lanes, group, module) for module in range(CONFIG.modules)],
                {
                    "first": int(number == 0),
                    "final": int(final),
                    "shorter": int(tile % layer.pixel_tiles == layer.pixel_tiles - 1),
                    "closes": int(final and tile == tiles - 1),
                },
            )


def share(layer, lanes, first_word, module):
    """What a module sees in a pass over these slices, if its tile begins with that word."""
    group, lane = divmod(module, 1 << layer.split)
    neighbour = (first_word + group) // layer.out_words if layer.neighbours > 1 else 0
    if lane >= len(lanes) or neighbour >= layer.neighbours:
        return None
    slice_ = lanes[lane]
    column = neighbour * layer.strides[1]
    offset = slice_["offset"] + column * layer.in_words
    return {"offset": offset, "y": slice_["y"], "x": slice_["x"] + column}


def run(bench, layers, **options):
    expected = [item for layer in layers for item in passes_of(layer)]
    instructions = [
        {"opcode": layer.instruction.opcode.value, **layer.instruction.fields} for layer in layers
    ]
    seen = bench.run(
        send={"instructions": instructions}, receive={"passes": len(expected)}, **options
    )
    for result, (shares, flags) in zip(seen["passes"].words, expected, strict=True):
        assert [share if share.pop("enable") else None for share in result["shares"]] == shares
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
    layer = Layer.random(CONFIG, np.random.default_rng(split), split=split, neighbours=1, **given)
    cycles = run(bench, [layer])["passes"].cycles
    k = 1 << split
    assert cycles == [1 + (k + 1) * (number + 1) for number in range(len(cycles))]


def test_neighbours_are_given_out_before_the_first_pass_of_a_channel_tile(bench):
    """A group a cycle, beside what is done anyway: it takes g - 1 cycles more."""
    given = {"kernel_height": 1, "kernel_width": 1, "in_channels": 4, "out_channels": 12}
    layer = Layer.random(
        CONFIG,
        np.random.default_rng(0),
        split=0,
        neighbours=4,
        width=4,
        column_stride=1,
        pads=(0, 0, 0, 0),
        tile_pixels=8,
        height=1,
        **given,
    )
    groups = CONFIG.modules
    cycles = run(bench, [layer])["passes"].cycles
    assert cycles == [3 + (groups - 1) + number * (groups - 1 + 2) for number in range(3)]
