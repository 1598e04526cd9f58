"""The photographs of a test: which they are, whether they can be used, how they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from harness.data import preprocess
from harness.data.datasets import Dataset
from harness.loadgen.qsl import Int8Array
from sim.quantization import quantize
from sw.artifact import Manifest
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
        DnaError: the network takes no photographs, one is listed twice or is no image, or a label
            that counts is missing or none of the network's classes.
    """
    paths, labels = data.paths[:count], data.labels[:count]
    preprocess.check_input(manifest)
    if accuracy:
        _check_labels(labels, len(manifest.class_names), data.list_file)
    first: dict[Path, int] = {}
    for number, path in enumerate(paths, 1):
        if (before := first.setdefault(path, number)) != number:
            raise DnaError(
                f"{data.list_file} line {number} has {path.name} again, as in line {before}; "
                "a photograph counts once"
            )
    for path in paths:
        preprocess.check_image(path)
    return Photographs(paths, labels)


def _check_labels(labels: list[int | None], classes: int, list_file: Path) -> None:
    for number, label in enumerate(labels, 1):
        if label is None or label >= classes:
            what = "no label" if label is None else f"label {label}, of {classes} classes"
            raise DnaError(f"{list_file} line {number} has {what}: no accuracy can be told")


def loader(manifest: Manifest) -> Callable[[Path], Int8Array]:
    """Reads a photograph into what the network takes: int8 [height, width, channels]."""
    return lambda path: quantize(
        preprocess.load_image(path, manifest.preprocessing), manifest.input
    )
