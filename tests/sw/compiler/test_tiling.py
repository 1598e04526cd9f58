import dataclasses

import numpy as np
import pytest

import sw.compiler
from hw.config import PRESETS
from sim.cycles import layer_times, predict
from sw.compiler import compile_graph
from sw.compiler.lowering import Convolution, lower
from sw.compiler.machine import Machine
from sw.compiler.tiling import (
    choose_splits,
    drain_cycles,
    needs_pitch,
    pitch_residue,
    splits,
    tile,
)
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Padding
from tests.support.graphs import random_resnet50
from tests.support.programs import random_config, random_network

SMALL = PRESETS["small"]


def convolutions(graph, config):
    return [layer for layer in lower(graph, config) if isinstance(layer, Convolution)]


@pytest.mark.parametrize("seed", range(30))
def test_tiles_cover_every_pixel_and_channel(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    for layer in convolutions(random_network(rng), config):
        for split in splits(config):
            pixels = int(rng.integers(1, 300))
            tiling = tile(Machine(config), layer, pixels, split)
            covered = (tiling.pixel_tiles - 1) * tiling.tile_pixels + tiling.last_pixels
            assert covered == pixels
            assert 0 < tiling.last_pixels <= tiling.tile_pixels <= config.accumulation_depth
            group = config.modules >> split
            assert 0 <= tiling.channel_tiles * group - layer.computed.words < group
            assert 0 <= (tiling.passes << split) - layer.slices < 1 << split
            assert tiling.entered >= tiling.channel_tiles * tiling.passes * pixels
            assert tiling.cycles > tiling.entered


def test_splits_are_the_powers_of_two_up_to_all_modules():
    assert [1 << split for split in splits(SMALL)] == [1, 2, 4]


def test_few_output_channels_share_the_reduction():
    """With one word of output only k = G keeps all modules busy."""
    builder = GraphBuilder("input", (16, 16, 64), 0.02, 0)
    rng = np.random.default_rng(0)
    builder.conv2d(
        "y",
        "input",
        Weights(
            rng.integers(-9, 9, (16, 1, 1, 64)).astype(np.int8),
            np.zeros(16, np.int32),
            np.full(16, 0.01, np.float32),
        ),
        Output(0.02, 0),
    )
    layers = convolutions(builder.finish("y"), SMALL)
    assert choose_splits(Machine(SMALL), layers) == {0: 2}


def test_resnet50_keeps_the_modules_busy():
    """The estimate of design section 4: at least 90 % on every preset that holds it whole."""
    graph = random_resnet50(np.random.default_rng(0))
    for name in ("micro", "small", "f100"):
        config = PRESETS[name]
        layers = convolutions(graph, config)
        chosen = choose_splits(Machine(config), layers)
        cycles = sum(
            tile(
                Machine(config),
                layer,
                layer.computed.height * layer.computed.width,
                chosen[layer.number],
            ).cycles
            for layer in layers
        )
        assert sum(layer.macs for layer in layers) / config.macs / cycles > 0.9


def test_readers_of_one_tensor_agree_on_its_pitch():
    """Two kernels with different widths cannot both have their pitch."""
    builder = GraphBuilder("input", (12, 12, 16), 0.02, 0)
    rng = np.random.default_rng(0)

    def conv(name, x, kernel):
        inputs = builder.tensor(x).shape[2]
        return builder.conv2d(
            name,
            x,
            Weights(
                rng.integers(-9, 9, (16, *kernel, inputs)).astype(np.int8),
                np.zeros(16, np.int32),
                np.full(16, 0.01, np.float32),
            ),
            Output(0.02, 0),
            Window(kernel, padding=Padding(1, 1, 1, 1)),
        )

    conv("x", "input", (1, 1))
    conv("a", "x", (3, 3))
    conv("b", "x", (2, 2))
    conv("c", "b", (3, 3))
    config = dataclasses.replace(SMALL, accumulation_depth=64)
    layers = convolutions(builder.finish("c"), config)
    chosen = choose_splits(Machine(config), layers)
    bound = [
        pitch_residue(config, layer)
        for layer in layers[1:3]
        if needs_pitch(layer, chosen[layer.number])
    ]
    assert len(set(bound)) == 1
    assert needs_pitch(layers[3], chosen[3])


@pytest.mark.parametrize(
    ("group_words", "pixel_words", "residual", "cycles"),
    [
        (8, 8, False, 2),
        (8, 8, True, 2),  # one half of the banks, then the other
        (4, 8, True, 2),  # the same half for each pixel
        (4, 8, False, 1),
        (4, 4, True, 1),  # pixels begin in one half and the other by turns
        (2, 2, True, 1),
        (2, 16, True, 2),
        (1, 1, True, 1),
    ],
)
def test_a_residual_takes_twice_as_long_where_its_banks_are_those_of_the_sum(
    group_words, pixel_words, residual, cycles
):
    assert drain_cycles(PRESETS["f200"], group_words, pixel_words, residual) == cycles


def test_a_machine_that_drains_whole_pixels_reads_and_writes_by_turns():
    config = dataclasses.replace(PRESETS["f200"], lanes=256)
    assert [drain_cycles(config, 8, 8, residual) for residual in (False, True)] == [1, 2]


@pytest.mark.parametrize("name", ["f100", "f200"])
def test_the_estimate_agrees_with_the_cycle_model(name, monkeypatch):
    """Of layers that begin when the one before is over."""
    monkeypatch.setattr(sw.compiler, "overlap", lambda config, plans: plans)
    program = compile_graph(random_resnet50(np.random.default_rng(0)), PRESETS[name])
    times = layer_times(program, predict(program))
    inner = [
        (table.estimated_cycles, time.cycles)
        for table, time in zip(program.layers, times, strict=True)
        if table.kind == "conv" and table.load_bytes == 0
    ]
    assert len(inner) > 40
    estimated, predicted = map(sum, zip(*inner, strict=True))
    assert estimated == pytest.approx(predicted, rel=0.01)
