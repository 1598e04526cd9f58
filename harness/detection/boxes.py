"""Boxes from the maps of a detector, and those that are left where several are of one thing.

The arithmetic and the numbers are those of Ultralytics' YOLO, as MLPerf's reference code calls it:
each place gives one box, of its best class, if that is likelier than ``LEAST_SCORE``. A side's
distance is the mean of its distribution. Of two boxes of one class that share more than
``MOST_SHARED`` of what they cover together the likelier one stays, and of all the ``MOST_BOXES``
likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.detection.heads import SIDES, Grid, Part

Float32 = npt.NDArray[np.float32]
Boxes = Float32
"""[boxes, 6]: left, top, right, bottom in the input's pixels, score, class; likeliest first."""

LEAST_SCORE = 0.001
MOST_SHARED = 0.7
MOST_BOXES = 300
COMPARED = 30_000
"""So many of the likeliest are compared with each other."""


def boxes(maps: Mapping[str, npt.NDArray[np.int8]], grids: Sequence[Grid]) -> Boxes:
    """What a network found in an image.

    Args:
        maps: its outputs by name, int8 [rows, columns, channels].
        grids: what they are.
    """
    return suppressed(np.concatenate([_found(maps, grid) for grid in grids]))


def _found(maps: Mapping[str, npt.NDArray[np.int8]], grid: Grid) -> Boxes:
    """The boxes of one scale, of all places that are sure enough."""
    logits = _values(maps, grid.classes)
    rows, columns = logits.shape[:2]
    logits = logits.reshape(rows * columns, -1)
    best = logits.argmax(axis=1)  # in integers: the order of the logits is that of the scores
    places = np.arange(rows * columns)
    scores = _sigmoid(_real(logits[places, best], grid.classes))
    (sure,) = np.nonzero(scores > LEAST_SCORE)
    sides = _values(maps, grid.sides).reshape(rows * columns, -1)[sure]
    distances = _mean(_real(sides, grid.sides).reshape(len(sure), SIDES, grid.bins))
    middle = np.stack((sure % columns, sure // columns), axis=1).astype(np.float32) + 0.5
    stride = np.array(grid.stride[::-1], np.float32)
    near, far = (middle - distances[:, :2]) * stride, (middle + distances[:, 2:]) * stride
    return np.column_stack((near, far, scores[sure], best[sure])).astype(np.float32)


def _values(maps: Mapping[str, npt.NDArray[np.int8]], part: Part) -> npt.NDArray[np.int8]:
    return maps[part.name][..., part.first : part.last]


def _real(values: npt.NDArray[Any], part: Part) -> Float32:
    quantization = part.quantization
    real = values.astype(np.float32) - np.float32(quantization.zero_point)
    return real * np.float32(quantization.scale)


def _sigmoid(values: Float32) -> Float32:
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def _mean(logits: Float32) -> Float32:
    """Of each distribution, whose logits are in the last axis."""
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    values = np.arange(logits.shape[-1], dtype=np.float32)
    mean: Float32 = (shares @ values) / shares.sum(axis=-1)
    return mean


def suppressed(found: Boxes) -> Boxes:
    """Those that are left, the likeliest first."""
    ordered = found[np.argsort(-found[:, 4], kind="stable")[:COMPARED]]
    corners, classes = ordered[:, :4], ordered[:, 5]
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    alive = np.ones(len(ordered), bool)
    kept: list[int] = []
    for number in range(len(ordered)):
        if not alive[number]:
            continue
        kept.append(number)
        if len(kept) == MOST_BOXES:
            break
        behind = (
            number
            + 1
            + np.flatnonzero(alive[number + 1 :] & (classes[number + 1 :] == classes[number]))
        )
        near = np.maximum(corners[number, :2], corners[behind, :2])
        far = np.minimum(corners[number, 2:], corners[behind, 2:])
        common = np.prod(np.maximum(far - near, 0), axis=1)
        together = areas[number] + areas[behind] - common
        alive[behind[common > MOST_SHARED * together]] = False
    return ordered[kept]
