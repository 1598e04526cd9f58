"""The functional model on this computer: to be timed by LoadGen, or to answer beforehand."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.loadgen import sut
from harness.loadgen.qsl import Int8Array
from harness.loadgen.settings import Scenario
from harness.loadgen.sut import Answer, Model
from sim.functional import FunctionalModel
from sw.artifact import Artifact
from sw.graph import Graph


def models(graph: Graph, scenario: Scenario, threads: int) -> list[Model]:
    """One model with all threads for one image; one model a thread for several at once."""
    if scenario == "SingleStream":
        return [FunctionalModel(graph, threads=threads).run]
    return [FunctionalModel(graph, threads=1).run for _ in range(threads)]


def answerer(
    network: Artifact, load: Callable[[Path], Int8Array], threads: int
) -> Callable[[Path], Answer]:
    """Reads a photograph and answers it at once; for up to ``threads`` threads."""
    free: queue.SimpleQueue[FunctionalModel] = queue.SimpleQueue()
    for _ in range(threads):
        free.put(FunctionalModel(network.graph, threads=1))
    made = sut.answerer(network.manifest)

    def answer(path: Path) -> Answer:
        image = load(path)
        model = free.get()
        try:
            return made(model.run(image[np.newaxis]))
        finally:
            free.put(model)

    return answer
