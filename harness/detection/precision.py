"""Mean average precision of a finished accuracy run, as MLPerf's script for COCO tells it.

pycocotools judges, over the photographs that were answered: the mean over intersections of 0.5 to
0.95, all sizes, at most 100 boxes an image. Coordinates are multiplied in float32, as there.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.data.coco import Image
from sw.errors import DnaError
from sw.host.extras import needs

FIELDS = 7
"""Of a box in an answer: sample, top, left, bottom, right (parts of the photograph), score,
category."""


def mean_average_precision(
    annotations: Path,
    images: Sequence[Image],
    answers: Mapping[int, npt.NDArray[np.float32]],
) -> float:
    """The figure that counts, 0 to 1.

    Args:
        annotations: COCO's JSON file.
        images: of it.
        answers: of each sample that was answered, by its index: float32 [boxes, FIELDS].

    Raises:
        DnaError: pycocotools is not installed, or cannot use the file or an answer.
    """
    with needs("loadgen", "pycocotools"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    found = [box for index, each in answers.items() for box in _boxes(images[index], each)]
    if not found:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it does
        try:
            truth = COCO(str(annotations))
            judged = COCOeval(truth, truth.loadRes(found), iouType="bbox")
            judged.params.imgIds = sorted(images[index].id for index in answers)
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
        except (KeyError, ValueError, AssertionError, TypeError) as error:
            raise DnaError(f"{annotations}: pycocotools cannot use it: {error!r}") from error
    return max(float(judged.stats[0]), 0.0)  # -1 where no photograph has a box


def _boxes(image: Image, answer: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
    sides = np.array([image.height, image.width, image.height, image.width], np.float32)
    corners = answer[:, 1:5] * sides
    sizes = corners[:, 2:] - corners[:, :2]
    return [
        {
            "image_id": image.id,
            "category_id": int(category),
            "bbox": [float(left), float(top), float(width), float(height)],
            "score": float(score),
        }
        for (top, left), (height, width), (score, category) in zip(
            corners[:, :2], sizes, answer[:, 5:], strict=True
        )
    ]
