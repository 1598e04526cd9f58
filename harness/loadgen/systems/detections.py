"""Photographs of several things each, as in ``yolo``.

An answer has seven float32 for each box, as MLPerf's script for COCO reads them: the sample, top,
left, bottom and right as parts of the photograph, score, category. One without boxes is empty.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.coco import Coco
from harness.data.inputs import load_input, preprocessing_of
from harness.data.preprocess import check_image, letterbox
from harness.detection.detector import Detector, host_time
from harness.detection.heads import grids
from harness.detection.precision import FIELDS, mean_average_precision
from harness.loadgen import logs
from harness.loadgen.configuration.benchmarks import YOLO
from harness.loadgen.systems.photographs import check_once
from harness.loadgen.systems.sut import Answer, Found, Int8Array, Model
from harness.loadgen.systems.tasks import Judged
from sim.host import HostTime
from sw.artifact import Artifact
from sw.errors import DnaError

FRAMED = "letterbox"


class Detections:
    """A detector with COCO's photographs; a task (:mod:`harness.loadgen.systems.tasks`).

    Args:
        network: the artifact.
        data: the photographs.
        count: how many of them, from the first on; None: all.

    Raises:
        DnaError: the network is no detector of their categories, or sees only a part of a
            photograph; or one cannot be used or is listed twice.
    """

    benchmark = YOLO

    def __init__(self, network: Artifact, data: Coco, count: int | None) -> None:
        how = preprocessing_of(network.manifest)
        if how.resize != FRAMED or how.keep != 1:
            raise DnaError(
                f"{network.manifest.model} does not see the whole photograph in proportion (its "
                f"preprocessing is {how.name!r}, {how.resize}), so its boxes have no place in it; "
                "quantize or import it with --preprocessing yolo"
            )
        grids(network, len(data.categories))
        self.paths = data.paths[:count]
        check_once(self.paths, data.list_file, "image")
        self._sizes = [check_image(path) for path in self.paths]
        self._index = {path: index for index, path in enumerate(self.paths)}
        self._network = network
        self._data = data

    def load(self, path: Path) -> Int8Array:
        """As :func:`harness.data.inputs.load_input`."""
        return load_input(self._network.manifest, path)

    def model(self, threads: int) -> Model:
        """The functional model, and the boxes behind it."""
        return Detector(self._network, len(self._data.categories), threads)

    def answer(self, path: Path, found: Found) -> Answer:
        """The boxes, in the photograph's own measures."""
        index = self._index[path]
        size = self._sizes[index]
        place = letterbox(size, self._network.manifest.given_shape)
        corners = found[:, :4] - np.array([place.left, place.top] * 2, np.float32)
        sides = np.array(size * 2, np.float32)  # width and height, twice
        parts = np.clip(corners / np.float32(place.gain), 0, sides) / sides
        answer = np.empty((len(found), FIELDS), np.float32)
        answer[:, 0] = index
        answer[:, 1:5] = parts[:, [1, 0, 3, 2]]
        answer[:, 5] = found[:, 4]
        answer[:, 6] = np.array(self._data.categories)[found[:, 5].astype(int)]
        return answer

    def judge(self, folder: Path) -> Judged:
        """The mean average precision; of a sample that was sent twice the first answer counts."""
        answers: dict[int, npt.NDArray[np.float32]] = {}
        for index, data in logs.raw_answers(folder / logs.ACCURACY):
            answers.setdefault(index, _read(folder, index, data))
        value = mean_average_precision(self._data.list_file, self._data.images, answers)
        return Judged(len(answers), map=value)

    def host_time(self) -> HostTime:
        """Of the boxes in the first photograph, and of the host's parts."""
        image = self.load(self.paths[0])
        return host_time(self._network, len(self._data.categories), image)


def _read(folder: Path, index: int, data: str) -> npt.NDArray[np.float32]:
    try:
        return np.frombuffer(bytes.fromhex(data), logs.ANSWER).reshape(-1, FIELDS)
    except ValueError as error:
        raise DnaError(
            f"{folder / logs.ACCURACY}: the answer of sample {index} is no boxes of {FIELDS} "
            f"float32 each: {error}"
        ) from error
