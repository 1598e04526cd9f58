"""The system under test: answers LoadGen's queries with what the network sees.

What an answer is the task says (:mod:`harness.loadgen.systems.tasks`).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.loadgen.binding import mlperf_loadgen
from harness.loadgen.systems.qsl import SampleLibrary

Int8Array = npt.NDArray[np.int8]
Found = npt.NDArray[Any]
Model = Callable[[Int8Array], Found]
"""Runs a network on one image: int8 [1, height, width, channels] to what it found in it."""

WINDOWS = 4


Answer = npt.NDArray[Any]
"""What LoadGen gets the bytes of."""

Answerer = Callable[[Path, Found], Answer]
"""Makes an answer of what a model found in the photograph of that path."""


class System(Protocol):
    """What :mod:`harness.loadgen.systems.runner` runs.

    Attributes:
        completed: how many samples have been answered, for a progress display.
        failure: what went wrong, if anything did.
    """

    completed: int
    failure: Exception | None

    def start(self) -> None:
        """Before the first query."""

    def issue(self, query: Any) -> None:
        """Take a query, a sequence of LoadGen's samples."""

    def stop(self) -> None:
        """Give up: answer everything that is left without running it."""

    def close(self) -> None:
        """After the last query."""


class SystemUnderTest:
    """Runs the samples of a query on one model or on several at once.

    With one model a query is answered where it arrives, as suits SingleStream. With several, each
    has a thread that takes samples from a queue, as suits Offline, whose one query holds
    everything; the models must let go of the interpreter's lock while they compute.

    After :meth:`stop` every query is answered at once and without content. LoadGen cannot be
    aborted from outside; this is how it comes to its end, and what it then writes is worthless.

    Attributes:
        completed: how many samples have been answered, for a progress display.
        failure: what went wrong in a model, if anything did.
    """

    def __init__(
        self,
        library: SampleLibrary[Int8Array],
        models: Sequence[Model],
        answer: Answerer,
    ) -> None:
        """Set up the threads.

        Args:
            library: where the samples are.
            models: one to answer queries as they come, or several to share them.
            answer: what makes an answer of a model's output.
        """
        self.completed = 0
        self.failure: Exception | None = None
        self._library = library
        self._models = models
        self._make_answer = answer
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._samples: queue.SimpleQueue[mlperf_loadgen.QuerySample | None] = queue.SimpleQueue()
        self._threads = (
            [threading.Thread(target=self._serve, args=(model,), daemon=True) for model in models]
            if len(models) > 1
            else []
        )

    def start(self) -> None:
        """Start the threads, if there are several models."""
        for thread in self._threads:
            thread.start()

    def issue(self, query: Iterable[mlperf_loadgen.QuerySample]) -> None:
        """Answer a query now, or hand its samples to the threads."""
        for sample in query:
            if self._threads:
                # The list behind `query` goes when this returns; a copy stays.
                self._samples.put(mlperf_loadgen.QuerySample(sample.id, sample.index))
            else:
                self._answer(self._models[0], sample)

    def _serve(self, model: Model) -> None:
        while (sample := self._samples.get()) is not None:
            self._answer(model, sample)

    def _answer(self, model: Model, sample: mlperf_loadgen.QuerySample) -> None:
        address = size = 0
        if not self._stopped.is_set():
            try:
                found = model(self._library.samples[sample.index][np.newaxis])
                answer = self._make_answer(self._library.paths[sample.index], found)
                address, size = answer.ctypes.data, answer.nbytes
            except Exception as error:
                # An exception must not unwind LoadGen's C++; it is raised once LoadGen is done.
                self.failure = error
                self.stop()
        # LoadGen copies the answer before this returns; until then the array must live.
        mlperf_loadgen.QuerySamplesComplete(
            [mlperf_loadgen.QuerySampleResponse(sample.id, address, size)]
        )
        with self._lock:
            self.completed += 1

    def stop(self) -> None:
        """Give up: answer everything that is left without running it."""
        self._stopped.set()

    def close(self) -> None:
        """End the threads once their work is done."""
        for _ in self._threads:
            self._samples.put(None)
        for thread in self._threads:
            thread.join()


def measure(models: Sequence[Model], image: Int8Array, seconds: float) -> float:
    """Images per second of the models at work together, the best of a few windows.

    The best, because a machine that turns out faster than announced runs LoadGen out of queries.

    Args:
        models: run at once, each in a thread.
        image: int8 [height, width, channels] to run over and over.
        seconds: how long to measure altogether; at least one run per model and window is made.
    """
    images = image[np.newaxis]

    def work(model: Model, until: float) -> int:
        runs = 0
        while runs == 0 or time.perf_counter() < until:
            model(images)
            runs += 1
        return runs

    for model in models:
        model(images)
    rates = []
    with ThreadPoolExecutor(len(models)) as pool:
        for _ in range(WINDOWS):
            start = time.perf_counter()
            until = start + seconds / WINDOWS
            runs = sum(pool.map(work, models, [until] * len(models)))
            rates.append(runs / (time.perf_counter() - start))
    return max(rates)
