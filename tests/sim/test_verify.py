"""Layers through the real datapath; faults are planted in weights and expected values."""

import dataclasses
import functools

import numpy as np
import pytest

from hw.config import PRESETS
from sim import streams, verify
from sim.reference import ReferenceModel
from sim.rtl.engine import Engine
from sim.rtl.vcd import Waves
from sim.verify import choose, layers_of, open_path, verify_layer, verify_layers
from sw.errors import DnaError
from sw.graph import GraphBuilder, Padding
from tests.graphs import random_image, random_small_graph

NANO = PRESETS["nano"]


@functools.cache
def network(seed=4):
    rng = np.random.default_rng(seed)
    graph = random_small_graph(rng)
    return graph, ReferenceModel(graph).run_all(random_image(rng, graph))


def layers(pattern="*"):
    graph, tensors = network()
    return layers_of(graph, choose(graph, pattern), tensors)


@pytest.fixture(scope="module")
def engine():
    return open_path("cxxrtl", NANO)


def test_every_layer_of_a_network(engine):
    chosen = layers()
    assert len(chosen) == 13
    for layer in chosen:
        result = verify_layer(engine, NANO, layer)
        assert result.passed and result.first is None
        assert result.values == layer.expected.size
        assert result.shape == layer.expected.shape
        used = NANO.rows * NANO.columns * result.cycles
        assert result.utilization == result.macs / used
        assert 0 < result.utilization < 1


def test_pysim_agrees_to_the_cycle(engine):
    pysim = open_path("pysim", NANO)
    for name in ("logits", "block3.conv2"):
        (layer,) = layers(name)
        slow, fast = verify_layer(pysim, NANO, layer), verify_layer(engine, NANO, layer)
        assert slow.passed
        assert dataclasses.replace(slow, seconds=0) == dataclasses.replace(fast, seconds=0)


def test_extremes_wrap_as_the_contract_says(engine):
    """|acc| beyond int32 and 2^24, all weights -128, an asymmetric kernel, stride and padding."""
    builder = GraphBuilder("x", (5, 6, 3), 1.0, 127)
    bias = np.array([2**31 - 1, -(2**31), 2**24 + 1, -(2**24) - 1, 0], np.int32)
    builder.conv2d(
        "y",
        "x",
        weights=np.full((5, 2, 3, 3), -128, np.int8),
        bias=bias,
        weight_scale=np.geomspace(1e-9, 1e-2, 5).astype(np.float32),
        scale=0.5,
        zero_point=-100,
        stride=(1, 2),
        padding=Padding(0, 1, 2, 1),
    )
    graph = builder.finish("y")
    image = np.random.default_rng(1).choice(np.array([-128, 127], np.int8), (5, 6, 3))
    tensors = ReferenceModel(graph).run_all(image)
    (layer,) = layers_of(graph, choose(graph, "*"), tensors)
    assert len(np.unique(layer.expected)) > 3
    assert verify_layer(engine, NANO, layer).passed


def test_a_wrong_expected_value_is_found(engine):
    (layer,) = layers("block1.conv2")
    expected = layer.expected.copy()
    expected[2, 1, 3] ^= 1
    result = verify_layer(engine, NANO, dataclasses.replace(layer, expected=expected))
    assert (result.mismatches, result.passed) == (1, False)
    assert result.first is not None
    assert result.first.where == (2, 1, 3)
    assert result.first.expected == expected[2, 1, 3]
    assert result.first.got == layer.expected[2, 1, 3]
    assert result.first.window[0] <= result.first.cycle < result.first.window[1] <= result.cycles


def test_a_wrong_weight_is_found_in_its_channel(engine):
    (layer,) = layers("block1.conv1")
    weights = layer.weights.copy()
    weights[1] = -weights[1]
    result = verify_layer(engine, NANO, dataclasses.replace(layer, weights=weights))
    assert 1 <= result.mismatches <= layer.expected[..., 0].size
    assert result.first is not None and result.first.where[2] == 1


def test_the_first_mismatch_is_the_first_in_time(engine):
    (layer,) = layers("conv1")
    wrong = dataclasses.replace(layer, expected=layer.expected ^ 1)
    result = verify_layer(engine, NANO, wrong)
    assert result.mismatches == result.values
    assert result.first is not None and result.first.where == (0, 0, 0)


def test_chunks_change_nothing_but_cycles(engine, monkeypatch):
    (layer,) = layers("conv1")
    whole = verify_layer(engine, NANO, layer)
    monkeypatch.setattr(streams, "CHUNK_BYTES", 1)
    parts = verify_layer(engine, NANO, layer)
    assert parts.passed and parts.values == whole.values
    assert parts.cycles > whole.cycles


def test_waves_of_a_layer_in_chunks(engine, monkeypatch, tmp_path):
    (layer,) = layers("conv1")
    monkeypatch.setattr(streams, "CHUNK_BYTES", 1)
    cycles = verify_layer(engine, NANO, layer).cycles
    window = Waves(tmp_path / "w.vcd", cycles - 20, cycles - 5)
    assert verify_layer(engine, NANO, layer, window).passed
    assert (tmp_path / "w.vcd").read_text().count("\n#") >= 15
    late = Waves(tmp_path / "w.vcd", cycles, cycles + 5)
    with pytest.raises(DnaError, match=rf"conv1 ends after {cycles} cycles"):
        verify_layer(engine, NANO, layer, late)


def test_a_halt_of_the_hardware_is_told_and_fails(engine):
    class Halting(Engine):
        def _run(self, *_):
            return 77, "deadlock"

    (layer,) = layers("logits")
    result = verify_layer(Halting(engine.ports), NANO, layer)
    assert not result.passed and result.values == 0
    assert result.error is not None and "outputs: word 0 of" in result.error


@pytest.mark.parametrize("jobs", [1, 2])
def test_layers_in_processes(jobs):
    chosen = layers("block*")
    results = list(verify_layers("cxxrtl", NANO, chosen, jobs))
    assert sorted(result.name for result in results) == sorted(layer.name for layer in chosen)
    assert all(result.passed for result in results)


def test_closing_stops_the_processes():
    running = verify_layers("cxxrtl", NANO, layers("block*"), 2)
    assert next(running).passed
    running.close()
    assert not verify.multiprocessing.active_children()


def test_unknown_layers_name_near_ones():
    graph, _ = network()
    with pytest.raises(DnaError, match=r"matches 'blok1\.conv'.*block1\.conv1"):
        choose(graph, "blok1.conv")
    with pytest.raises(DnaError, match="no convolution or classifier layer matches 'mean'"):
        choose(graph, "mean")
    assert [op.name for op in choose(graph, "*.shortcut")] == ["block1.shortcut", "block3.shortcut"]
