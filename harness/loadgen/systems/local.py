"""The functional model on this computer: to be timed by LoadGen, or to answer beforehand."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.loadgen.configuration.settings import Scenario
from harness.loadgen.systems.sut import Answer, Model
from harness.loadgen.systems.tasks import Task


def models(task: Task, scenario: Scenario, threads: int) -> list[Model]:
    """One model with all threads for one image; one model a thread for several at once."""
    if scenario == "SingleStream":
        return [task.model(threads)]
    return [task.model(1) for _ in range(threads)]


def answerer(task: Task, threads: int) -> Callable[[Path], Answer]:
    """Reads a photograph and answers it at once; for up to ``threads`` threads."""
    free: queue.SimpleQueue[Model] = queue.SimpleQueue()
    for _ in range(threads):
        free.put(task.model(1))

    def answer(path: Path) -> Answer:
        image = task.load(path)
        model = free.get()
        try:
            found = model(image[np.newaxis])
        finally:
            free.put(model)
        return task.answer(path, found)

    return answer
