"""UINT8 networks: LiteRT's bits, whatever the zero points of their weights."""

import numpy as np
import pytest

from hw.config import PRESETS
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.frontends.tflite import import_model, read
from sw.operations import Conv2D, DepthwiseConv2D
from tests.support.programs import noise
from tests.support.tflite_models import CODE, RELU6, VALID, Maker
from tests.support.tflite_random import random_model
from tests.support.unsigned_models import unsigned
from tests.sweeps.import_sweep import compared


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    content = unsigned(random_model(rng), rng)
    try:
        _, values, mismatches = compared(content, rng)
    except DnaError as error:
        words = ("rounding is another", "UINT8 with padding", "half way", "INT8 to INT8")
        words += ("LiteRT refuses", "UINT8 slopes", "UINT8 that are more than int8")
        if not any(word in str(error) for word in words):
            raise
        return
    assert values > 0
    assert mismatches == 0


def network(seed=0, zero_point=None):
    """A convolution, a depthwise one, a sum, an average and a classifier."""
    rng = np.random.default_rng(seed)
    net = Maker(rng)
    x = net.conv(net.input((1, 8, 8, 3)), 6, (3, 3), act=RELU6)
    y = net.depthwise(x, 1, (3, 3))
    z = net.conv(net.add(y, x), 7, (1, 1))
    content = net.finish(
        net.fully_connected(net.pool(z, CODE.AVERAGE_POOL_2D, (4, 4), (4, 4), VALID), 5)
    )
    return unsigned(content, rng, zero_point=zero_point)


@pytest.mark.parametrize("zero_point", [None, 0, 255, 1])
def test_a_whole_network(zero_point):
    rng = np.random.default_rng(1)
    for seed in range(3):
        imported, values, mismatches = compared(network(seed, zero_point), rng)
        assert (values > 0, mismatches) == (True, 0)
        assert any(operation.name.endswith(".again") for operation in imported.graph.operations)
        graph, image = imported.graph, noise(rng, imported.graph)
        program = compile_graph(graph, PRESETS["nano"])
        expected = ReferenceModel(graph).run_all(image)
        assert interpret_program(program, image, expected).mismatches == 0


def test_weights_around_128_are_plain():
    content = network(0, 128)
    imported, _, mismatches = compared(content, np.random.default_rng(0))
    kinds = [type(operation) for operation in imported.graph.operations]
    assert mismatches == 0
    assert not imported.repeated
    assert kinds.count(DepthwiseConv2D) == 2  # the second is the average
    assert not any(op.name.endswith(".again") for op in imported.graph.operations)


def test_only_the_channels_that_need_it_are_there_twice():
    imported = import_model(read(network(0, 127), "model"))
    convolutions = [op for op in imported.graph.operations if isinstance(op, Conv2D)]
    assert any(imported.graph.result(op).shape[2] > 6 for op in convolutions)
    assert len(imported.graph.result(convolutions[0]).shape) == 3


def test_a_mean_is_refused():
    rng = np.random.default_rng(0)
    net = Maker(rng)
    content = net.finish(net.mean(net.conv(net.input((1, 4, 4, 3)), 5, (1, 1)), True))
    with pytest.raises(DnaError, match=r"\(MEAN\): UINT8, whose rounding is another"):
        import_model(read(unsigned(content, rng), "model"))
