"""Random TFLite models: LiteRT on the file against what became of it."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from sim.compare.tflite import TfliteComparer
from sim.functional.tflite_judge import TfliteJudge, with_outputs
from sw.errors import DnaError
from sw.frontends.tflite import import_model, read
from tests.support.tflite_models import CODE, Maker
from tests.support.tflite_random import random_model
from tests.sweeps.import_sweep import compared

MODELS = 40


@pytest.mark.parametrize("seed", range(MODELS))
def test_every_operator_of_random_models(seed):
    rng = np.random.default_rng(seed)
    _, values, mismatches = compared(random_model(rng), rng)
    assert values > 0
    assert mismatches == 0


def test_a_difference_is_found_and_placed():
    net = Maker(np.random.default_rng(1))
    x = net.input((1, 4, 5, 3))
    content = net.finish(net.pool(net.conv(x, 6, (3, 3)), CODE.MAX_POOL_2D, (2, 2), (1, 1)))
    model = read(content, "model")
    imported = import_model(model)
    bias = imported.graph.constants["conv_2d_0.bias"]
    bias[4] += 100_000
    comparer = TfliteComparer(content, model, imported)
    convolution, pool = comparer.image(np.zeros((4, 5, 3), np.int8))
    assert convolution.operation == "0 CONV_2D"
    assert 0 < convolution.mismatches <= 2 * 4 * 5
    assert convolution.first is not None
    assert convolution.first.where[-1] == 4
    assert pool.mismatches > 0


def test_outputs_are_added_behind_the_models_own():
    content = random_model(np.random.default_rng(2))
    model = read(content, "model")
    changed = read(with_outputs(content, [3, 1]), "model")
    assert changed.outputs == (*model.outputs, 3, 1)
    same = [dataclasses.replace(tensor, data=None) for tensor in model.tensors]
    for before, after in zip(same, changed.tensors, strict=True):
        assert (after.name, after.shape, after.type) == (before.name, before.shape, before.type)


def test_arithmetic_outside_the_delegate_is_refused():
    """What the importer would let through, if LiteRT's delegate should decline it one day."""
    net = Maker(np.random.default_rng(1))
    x = net.input((1, 4))
    content = net.finish(net.fully_connected(x, 3))
    imported = import_model(read(content, "model"))
    net = Maker(np.random.default_rng(1))
    x = net.input((1, 4))
    weights = net.constant("w", np.ones((3, 4), np.int8), quantization=net.quantization([0.1], [0]))
    bias = net.constant("b", np.zeros(3, np.int32))
    y = net.made((1, 3), 1000.0, 0)
    net.operator(
        CODE.FULLY_CONNECTED, [x.index, weights, bias], y.index, schema.FullyConnectedOptionsT()
    )
    other = net.finish(y)
    assert read(other, "model").outputs == imported.outputs
    with pytest.raises(DnaError, match=r"outside the XNNPACK delegate.*FULLY_CONNECTED"):
        TfliteJudge(other, read(other, "model"), imported)
