"""What a benchmark asks of a network: what it is shown, what it answers, how that is judged."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.data.inputs import load_input
from harness.loadgen import logs
from harness.loadgen.configuration.benchmarks import RESNET50, Benchmark
from harness.loadgen.systems.photographs import Photographs
from harness.loadgen.systems.sut import Answer, Found, Int8Array, Model
from harness.loadgen.systems.whole import model_of
from sim.host import HostTime, host_time
from sw.artifact import Artifact
from sw.classes import best


@dataclasses.dataclass(frozen=True)
class Judged:
    """What the answers of an accuracy run are worth.

    Attributes:
        answered: samples.
        top1: share of right classes among them, 0 to 1, if it is about classes.
        map: mean average precision, 0 to 1, if it is about boxes.
    """

    answered: int
    top1: float | None = None
    map: float | None = None


class Task(Protocol):
    """A network with the photographs that it is shown.

    Attributes:
        benchmark: of MLPerf.
        paths: of the photographs; a photograph's place is the index of its sample.
    """

    benchmark: Benchmark
    paths: list[Path]

    def load(self, path: Path) -> Int8Array:
        """Read a photograph or an array into what the network takes; untimed."""

    def model(self, threads: int) -> Model:
        """What runs in a query with host timing; for one caller at a time."""

    def answer(self, path: Path, found: Found) -> Answer:
        """What LoadGen gets of what the model found in a photograph."""

    def judge(self, folder: Path) -> Judged:
        """Judge the answers that are in LoadGen's logs.

        Raises:
            DnaError: the logs are missing or damaged, or what judges is not installed.
        """

    def host_time(self) -> HostTime | None:
        """What the host does for an image beside the machine, measured; None: nothing."""


class Classes:
    """Photographs of one thing each, as in ``resnet50``.

    An answer is one float32, the class: the index of the largest logit (the lowest index of
    several) less the class offset. In this form the MLPerf reference code answers, and its accuracy
    script reads it by default. A network whose output is no row of logits answers with its output,
    int8, or with all outputs as bytes; its speed can be measured, its accuracy cannot.

    Args:
        network: the artifact.
        photographs: to ask for.
    """

    benchmark = RESNET50

    def __init__(self, network: Artifact, photographs: Photographs) -> None:
        self.paths = photographs.paths
        self._labels = photographs.labels
        self._network = network

    def load(self, path: Path) -> Int8Array:
        """As :func:`harness.data.inputs.load_input`."""
        return load_input(self._network.manifest, path)

    def model(self, threads: int) -> Model:
        """The functional model, with the host's parts around it."""
        return model_of(self._network, threads)

    def answer(self, path: Path, found: Found) -> Answer:
        """The class, or the output as it is."""
        manifest = self._network.manifest
        if not manifest.classifies:
            return np.ascontiguousarray(found)
        return best(found, manifest.class_offset).astype(np.float32)

    def judge(self, folder: Path) -> Judged:
        """The share of right classes; what has no label is answered wrong."""
        found = logs.answers(folder)
        right = sum(self._labels[index] == predicted for index, predicted in found.items())
        return Judged(len(found), top1=right / len(found) if found else 0.0)

    def host_time(self) -> HostTime | None:
        """Of the host's parts."""
        return host_time(self._network)
