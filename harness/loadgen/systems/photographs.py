"""What a test of a classifier shows: photographs or arrays, and whether they can be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from harness.data.datasets import Dataset
from harness.data.inputs import check_file
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
    check_once(paths, data.list_file, "line")
    for path in paths:
        check_file(manifest, path)
    return Photographs(paths, labels)


def check_once(paths: Sequence[Path], list_file: Path, what: str) -> None:
    """Fail if a list has a photograph twice.

    Args:
        paths: in the list's order.
        list_file: the list.
        what: it calls one of its entries.

    Raises:
        DnaError: it has; with both places, counted from 1.
    """
    first: dict[Path, int] = {}
    for number, path in enumerate(paths, 1):
        if (before := first.setdefault(path, number)) != number:
            raise DnaError(
                f"{list_file} {what} {number} has {path.name} again, as in {what} {before}; "
                "a photograph counts once"
            )
