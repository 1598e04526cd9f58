"""What a test shows: photographs or arrays, whether they can be used, how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.data.datasets import Dataset
from harness.data.inputs import check_file, load_input
from harness.loadgen.systems.qsl import Int8Array
from sw.artifact import Manifest
from sw.classes import check_classes
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class Photographs:
    """What a test asks for.

    Attributes:
        paths: of the files; a photograph's place is the index of its sample.
        labels: their classes, None where the list has none.
    """

    paths: list[Path]
    labels: list[int | None]


def choose(manifest: Manifest, data: Dataset, count: int | None, accuracy: bool) -> Photographs:
    """The first ``count`` photographs of a data set, or all; what is wrong is found here.

    Args:
        manifest: of the network that is to see them.
        data: where they are.
        count: how many.
        accuracy: whether the answers are held against the labels.

    Raises:
        DnaError: one cannot be used by the network or is listed twice; or, where answers count, the
            network's output is no row of logits, or a label is missing or none of its classes.
    """
    paths, labels = data.paths[:count], data.labels[:count]
    if accuracy:
        check_classes(manifest.model, manifest.answer_shape)
        data.check_labels(len(manifest.class_names) - (manifest.class_offset or 0), count)
    first: dict[Path, int] = {}
    for number, path in enumerate(paths, 1):
        if (before := first.setdefault(path, number)) != number:
            raise DnaError(
                f"{data.list_file} line {number} has {path.name} again, as in line {before}; "
                "a photograph counts once"
            )
    for path in paths:
        check_file(manifest, path)
    return Photographs(paths, labels)


def loader(manifest: Manifest) -> Callable[[Path], Int8Array]:
    """Reads a photograph or an array into what the network takes, as :func:`load_input`."""
    return lambda path: load_input(manifest, path)
