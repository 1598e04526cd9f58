import numpy as np
import pytest

from sim.compare.engines import Comparer, Comparison, compare_output, total
from tests.support.graphs import random_image, random_small_graph


def test_every_output_of_both_engines_is_compared_and_equal():
    rng = np.random.default_rng(7)
    graph = random_small_graph(rng, (12, 10, 3), 5)
    comparisons = Comparer(graph).image(random_image(rng, graph))
    assert [c.operation for c in comparisons] == [o.output for o in graph.operations]
    for comparison in comparisons:
        assert comparison.values == 2 * np.prod(graph.tensors[comparison.operation].shape)
        assert (comparison.mismatches, comparison.first) == (0, None)


@pytest.mark.parametrize("wrong", ["functional", "reference"])
def test_an_engine_with_other_bits_is_caught(wrong, monkeypatch):
    rng = np.random.default_rng(8)
    graph = random_small_graph(rng, (8, 8, 3), 5)
    comparer = Comparer(graph)
    run = comparer._engines[wrong]
    name = graph.operations[1].output

    def damaged(image, further):
        outputs = dict(run(image, further))
        outputs[name] = outputs[name].copy()
        outputs[name].flat[3] ^= 1
        return outputs

    monkeypatch.setitem(comparer._engines, wrong, damaged)
    second = comparer.image(random_image(rng, graph))[1]
    assert second.mismatches == 1
    assert second.first.engine == wrong
    assert second.first.got == second.first.expected ^ 1
    assert np.ravel_multi_index(second.first.where, graph.tensors[name].shape) == 3


def test_totals_add_up_and_keep_the_first_difference():
    one, other = Comparison("conv"), Comparison("conv")
    zeros = np.zeros((2, 2), np.int8)
    compare_output(one, "functional", zeros, zeros)
    compare_output(other, "reference", np.eye(2, dtype=np.int8), zeros)
    (sum_,) = total([[one], [other]])
    assert (sum_.values, sum_.mismatches) == (8, 2)
    assert (sum_.first.engine, sum_.first.where, sum_.first.got) == ("reference", (0, 0), 1)
