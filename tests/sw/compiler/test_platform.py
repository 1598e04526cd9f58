import numpy as np
import pytest

from hw.config import PRESETS
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw.compiler import compile_graph
from sw.compiler.platform import Platform
from sw.errors import DnaError
from tests.support.graphs import random_image, random_resnet50
from tests.support.programs import check_program, random_config, random_network

MICRO = PRESETS["micro"]


def test_a_slower_memory_takes_longer_for_the_same_bytes():
    size = 10 * MICRO.dram_bytes_per_cycle
    assert [Platform(MICRO, part).dram_cycles(size) for part in (1, 0.5, 0.3)] == [10, 20, 34]
    assert Platform(MICRO).dram_cycles(size + 1) == 11


@pytest.mark.parametrize("bandwidth", [0, -0.5, 1.01, float("nan")])
def test_a_bandwidth_out_of_range_is_refused(bandwidth):
    with pytest.raises(DnaError, match=f"above 0 and at most 1, not {bandwidth}"):
        Platform(MICRO, bandwidth)


def test_resnet50_is_quicker_on_a_slow_memory_if_it_was_compiled_for_it():
    graph = random_resnet50(np.random.default_rng(0))
    memory = MemoryModel(bandwidth=0.25)
    whatever, fitting = (
        predict(compile_graph(graph, MICRO, part), memory).cycles for part in (1.0, 0.25)
    )
    assert fitting < 0.9 * whatever


@pytest.mark.parametrize("seed", range(6))
def test_the_bits_do_not_depend_on_it(seed):
    rng = np.random.default_rng(seed)
    graph = random_network(rng)
    config = random_config(rng, feature_words=8192)
    image = random_image(rng, graph)
    check_program(graph, config, image, bandwidth=[0.02, 0.1, 0.4][seed % 3])
