"""Threads that share a layer: where they run."""

import os
import time

import numpy as np
import pytest

from sim.functional import isa
from sim.functional.kernels import Kernels
from sim.reference import ReferenceModel
from tests import skips
from tests.support.graphs import random_image, random_small_graph

PATIENCE_S = 60

pytestmark = pytest.mark.skipif(not isa.available(), reason=skips.KERNELS)


def tasks():
    return {int(name) for name in os.listdir("/proc/self/task")}


def test_a_worker_leaves_the_processor_of_its_caller():
    processors = os.sched_getaffinity(0)
    if len(processors) < 2:
        pytest.skip(skips.PROCESSOR)
    graph = random_small_graph(np.random.default_rng(0), (24, 24, 3))
    image = random_image(np.random.default_rng(1), graph)
    before = tasks()
    model = Kernels(graph, isa.chosen(), threads=2)
    (worker,) = tasks() - before
    here = min(processors)
    try:
        for thread in (0, worker):
            os.sched_setaffinity(thread, {here})
        deadline = time.monotonic() + PATIENCE_S
        while here in os.sched_getaffinity(worker) and time.monotonic() < deadline:
            got = model.run(image)[0]
            time.sleep(0.001)
        assert os.sched_getaffinity(worker) == processors - {here}
    finally:
        os.sched_setaffinity(0, processors)
    assert (got == ReferenceModel(graph).run(image[None])[0]).all()
