"""A compiled network and its predicted run, for the tests of the report."""

import dataclasses
import functools

import numpy as np

from harness.hardware.timing.clock import Clock
from harness.report.figures import Report, report
from hw.config import PRESETS
from sim.cycles import Prediction, predict
from sim.memory.model import MemoryModel
from sw.compiler import compile_graph
from sw.program import Program
from tests.support.graphs import random_small_graph

CONFIG = dataclasses.replace(PRESETS["nano"], feature_words=1024)
MEMORY = MemoryModel()


@functools.cache
def compiled() -> Program:
    """Every kind of instruction, some feature maps in DRAM."""
    graph = random_small_graph(np.random.default_rng(1), (48, 48, 3))
    program = compile_graph(graph, CONFIG)
    assert program.memory.spill.length
    return program


@functools.cache
def predicted() -> Prediction:
    return predict(compiled(), MEMORY)


def made(**changes) -> Report:
    """The report of the run; ``changes`` replace arguments."""
    arguments = {"memory": MEMORY, "clock": Clock(200.0), "model": "tiny <net>", **changes}
    prediction = arguments.pop("prediction", None) or predicted()
    return report(compiled(), prediction, **arguments)
