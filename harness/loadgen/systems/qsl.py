"""The query sample library: photographs that LoadGen has loaded before it times anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Int8Array = npt.NDArray[np.int8]


Sample = TypeVar("Sample", bound=npt.NDArray[Any])


class SampleLibrary(Generic[Sample]):
    """Decodes, preprocesses and quantizes photographs when LoadGen loads them, and lets them go.

    MLPerf does not time this: what a query finds in memory is the int8 image that the machine takes
    (with modelled time, which runs nothing in a query, the answer).

    Attributes:
        paths: the photographs; a sample's index is its place here.
        samples: of every sample that is loaded, by index, what ``load`` made of it.
        loaded: how many samples have been loaded so far, for a progress display.
    """

    def __init__(self, paths: Sequence[Path], load: Callable[[Path], Sample], cpus: int) -> None:
        """Make a library; nothing is read yet.

        Args:
            paths: the photographs.
            load: reads one photograph into an array: int8 [height, width, channels].
            cpus: how many to read at a time.
        """
        self.paths = list(paths)
        self.samples: dict[int, Sample] = {}
        self.loaded = 0
        self._load = load
        self._cpus = cpus
        self._stopped = threading.Event()

    def load(self, indices: Iterable[int]) -> None:
        """Load the samples; returns early, with some missing, after :meth:`stop`.

        Raises:
            DnaError: a photograph cannot be used.
        """
        with ThreadPoolExecutor(self._cpus) as pool:
            futures = [pool.submit(self._load_one, index) for index in indices]
            try:
                for future in futures:
                    future.result()
            finally:
                for future in futures:
                    future.cancel()

    def _load_one(self, index: int) -> None:
        if self._stopped.is_set():
            return
        self.samples[index] = self._load(self.paths[index])
        self.loaded += 1

    def unload(self, indices: Iterable[int]) -> None:
        """Let the samples go."""
        for index in indices:
            self.samples.pop(index, None)

    def stop(self) -> None:
        """Give up: load nothing more."""
        self._stopped.set()
