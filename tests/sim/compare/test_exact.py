"""What rounding explains: exact ties and float32's reach around them, and nothing else."""

import numpy as np
import pytest

from sim.compare.exact import EXACT, unexplained
from sim.reference import RULES, run_operation
from sw.graph_builder import GraphBuilder, Output
from sw.operations import Padding
from tests.support.programs import noise, random_layer

NONE = Padding()


def layers():
    """A random graph of one operation for every class of operations: small sums, large results.

    Of an average over an even number of values, ties are common.
    """
    found, size = {}, {}
    for seed in range(200):
        graph = random_layer(np.random.default_rng(seed))
        for operation in graph.operations:
            if set(operation.inputs) <= {graph.input}:
                ties = getattr(operation, "padding", NONE) != NONE or any(
                    side % 2 == 0 for side in getattr(operation, "kernel", ())
                )
                key = graph.macs(operation), ties, -np.prod(graph.result(operation).shape)
                if key < size.setdefault(type(operation), (np.inf, True, 0)):
                    found[type(operation)], size[type(operation)] = (graph, operation), key
    builder = GraphBuilder("input", (5, 4, 7), 0.5, 3)
    builder.multiply("product", "input", "input", Output(20.0, -5))
    builder.concatenate("joint", ["input", "input"])
    graph = builder.finish("product", "joint")
    return found | {type(operation): (graph, operation) for operation in graph.operations}


LAYERS = layers()


def test_every_class_of_operations_has_exact_arithmetic():
    assert set(EXACT) == set(RULES) == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_the_contract_rounds_the_exact_result(kind):
    graph, operation = LAYERS[kind]
    image = noise(np.random.default_rng(0), graph)
    inputs = [image] * len(operation.inputs)
    value, error = EXACT[kind](graph, operation, inputs)
    lo, hi = getattr(operation, "lo", -128), getattr(operation, "hi", 127)
    got = run_operation(graph, operation, inputs)
    assert (np.abs(got - np.clip(value, lo, hi)) <= 0.5 + error + 1e-4).all()
    assert (error < 0.1).all()


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_step_far_from_a_tie_is_not_explained(kind):
    graph, operation = LAYERS[kind]
    image = noise(np.random.default_rng(0), graph)
    inputs = [image] * len(operation.inputs)
    got = run_operation(graph, operation, inputs)
    assert unexplained(graph, operation, inputs, got, got) == 0
    other = np.clip(got.astype(np.int16) + np.where(got > 0, -1, 1), -128, 127).astype(np.int8)
    assert unexplained(graph, operation, inputs, got, other) > 0.9 * got.size
