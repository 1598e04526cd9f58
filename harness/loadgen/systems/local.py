"""The functional model on this computer: to be timed by LoadGen, or to answer beforehand."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.loadgen.configuration.settings import Scenario
from harness.loadgen.systems import sut
from harness.loadgen.systems.qsl import Int8Array
from harness.loadgen.systems.sut import Answer, Model
from harness.loadgen.systems.whole import model_of
from sw.artifact import Artifact


def models(network: Artifact, scenario: Scenario, threads: int) -> list[Model]:
    """One model with all threads for one image; one model a thread for several at once."""
    if scenario == "SingleStream":
        return [model_of(network, threads)]
    return [model_of(network, 1) for _ in range(threads)]


def answerer(
    network: Artifact, load: Callable[[Path], Int8Array], threads: int
) -> Callable[[Path], Answer]:
    """Reads a photograph and answers it at once; for up to ``threads`` threads."""
    free: queue.SimpleQueue[Model] = queue.SimpleQueue()
    for _ in range(threads):
        free.put(model_of(network, 1))
    made = sut.answerer(network.manifest)

    def answer(path: Path) -> Answer:
        image = load(path)
        model = free.get()
        try:
            return made(model(image[np.newaxis]))
        finally:
            free.put(model)

    return answer
