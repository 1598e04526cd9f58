"""A network and the boxes behind it, which numpy makes on the host."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.detection.boxes import Boxes, boxes
from harness.detection.heads import grids
from sim.host import HostTime, WholeModel
from sw.artifact import Artifact

HOST = "boxes and their suppression in numpy"


class Detector:
    """Runs a detector on one image at a time.

    Args:
        network: the artifact.
        classes: that it tells apart.
        threads: of the functional model.

    Attributes:
        host_seconds: that the host's parts and the boxes took for the last image.

    Raises:
        DnaError: the network's outputs are none that boxes can be made of.
    """

    def __init__(self, network: Artifact, classes: int, threads: int = 1) -> None:
        self._grids = grids(network, classes)
        self._whole = WholeModel(network, threads=threads)
        self.host_seconds = 0.0

    def __call__(self, batch: npt.NDArray[Any]) -> Boxes:
        """What is in the one image of ``batch``, in the input's pixels."""
        maps = self._whole.outputs(batch[0])
        started = time.perf_counter()
        found = boxes(maps, self._grids)
        self.host_seconds = self._whole.host_seconds + time.perf_counter() - started
        return found


def host_time(
    network: Artifact, classes: int, image: npt.NDArray[np.int8], runs: int = 10
) -> HostTime:
    """Measure what the host does for an image beside the machine.

    Args:
        network: the artifact.
        classes: that it tells apart.
        image: how many boxes there are to compare depends on it.
        runs: how often.
    """
    detector = Detector(network, classes)
    seconds = []
    for _ in range(runs + 1):  # the first one allocates
        detector(image[np.newaxis])
        seconds.append(detector.host_seconds)
    parts = [*(str(part) for part in network.manifest.host.parts.values()), HOST]
    return HostTime(runs, 1e3 * float(np.median(seconds[1:])), parts)
