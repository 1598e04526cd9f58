"""Which maps a detector has, told by their shapes."""

import numpy as np
import pytest

from harness.detection.heads import grids
from sw import artifact
from sw.errors import DnaError
from tests.support.graphs import random_detector, random_small_graph


def made(graph):
    return artifact.make(graph, model="net", framework="none", preprocessing=None)


def detector(*channels, size=64, scales=2):
    return made(random_detector(np.random.default_rng(0), size, channels, scales))


@pytest.mark.parametrize("channels", [(64, 5), (5, 64), (69,)])
def test_maps_of_each_scale(channels):
    """In any order, and in one map or two."""
    fine, coarse = grids(detector(*channels), 5)
    assert (fine.stride, coarse.stride) == ((8, 8), (16, 16))
    assert fine.bins == 16
    if len(channels) == 1:
        assert (fine.sides.first, fine.sides.last) == (0, 64)
        assert (fine.classes.first, fine.classes.last) == (64, 69)
        assert fine.sides.name == fine.classes.name == "head0.0"
    else:
        sides = channels.index(64)
        assert (fine.sides.name, fine.classes.name) == (f"head0.{sides}", f"head0.{1 - sides}")
        assert fine.sides.quantization != fine.classes.quantization


def test_as_many_classes_as_channels_of_sides():
    """Then the distributions are the first of the two."""
    (grid,) = grids(detector(64, 64, scales=1), 64)
    assert (grid.sides.name, grid.classes.name) == ("head0.0", "head0.1")


def test_other_networks_are_refused_in_one_line():
    rng = np.random.default_rng(0)
    for network, classes, words in (
        (detector(64, 5), 6, r"no detector that is known here of 6 classes: \(8, 8, 64\) and"),
        (detector(4, 5), 5, "of 5 classes"),  # distances without a distribution
        (detector(64, 5, 3), 5, "and .* and"),
        (detector(64, 5, size=60), 5, "8 x 8 places do not divide an input of 60 x 60"),
        (made(random_small_graph(rng, (32, 32, 3))), 5, r"logits has shape \(10,\)"),
    ):
        with pytest.raises(DnaError, match=words):
            grids(network, classes)
