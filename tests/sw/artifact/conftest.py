"""An artifact of every operation, as it is and compiled."""

import numpy as np
import pytest

from hw.config import PRESETS
from sw import artifact
from sw.compiler import compile_graph
from tests.support.graphs import random_small_graph


@pytest.fixture
def saved(tmp_path):
    graph = random_small_graph(np.random.default_rng(3), (8, 8, 3), 5)
    made = artifact.make(
        graph, model="m", framework="none", preprocessing="caffe", class_names=list("abcde")
    )
    path = tmp_path / "deep" / "model.dna"
    return artifact.save(made, path), path


@pytest.fixture
def compiled(saved, tmp_path):
    network, _ = saved
    path = tmp_path / "model.nano"
    program = compile_graph(network.graph, PRESETS["nano"])
    return artifact.save(artifact.with_program(network, program), path), path
