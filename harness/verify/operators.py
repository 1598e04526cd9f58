"""Every operator of a network in the reference and the functional model, held against LiteRT."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.fetch import photographs
from harness.data.inputs import load_input, preprocessing_of, random_inputs
from harness.host.workers import run_tasks
from harness.verify.imported_tflite import network_of
from sim.compare.engines import Comparer, Comparison
from sim.compare.tflite import TfliteComparer, operator_name
from sim.host import entered
from sw import artifact
from sw.artifact import Artifact
from sw.errors import DnaError
from sw.frontends.tflite import import_file
from sw.graph import Graph

Int8Array = npt.NDArray[np.int8]

TFLITE = ".tflite"
RANDOM_INPUTS = 3


@dataclasses.dataclass(frozen=True)
class Model:
    """What is compared.

    Attributes:
        path: an artifact or a .tflite file.
        graph: the integer graph.
        origins: of every operator the tensors that it reads and, last, writes.
        network: as an artifact: how an input becomes what the machine takes.
    """

    path: Path
    graph: Graph
    origins: dict[str, tuple[str, ...]]
    network: Artifact

    def quantization(self, operator: str) -> str:
        """Scales and zero points of the operands and the result of an operator."""
        tensors = [self.graph.tensors[name] for name in self.origins[operator]]
        told = [f"{tensor.scale!r}, {tensor.zero_point}" for tensor in tensors]
        return f"({'), ('.join(told[:-1])}) to ({told[-1]})"


def read(path: Path) -> Model:
    """The model in ``path``.

    Raises:
        DnaError: it is no artifact and no .tflite file that can be used.
    """
    if path.suffix != TFLITE:
        network = artifact.load(path)
        graph = network.graph
        reads = {op.output: (*op.inputs, op.output) for op in graph.operations}
        return Model(path, graph, reads, network)
    file = import_file(path)
    imported, graph = file.imported, file.imported.graph
    reads = {
        operator_name(step): (*step.reads, step.graph_tensor)
        for step in imported.steps
        if step.graph_tensor is not None
    }
    return Model(path, graph, reads, network_of(path, file))


def inputs(model: Model, files: tuple[Path, ...], noise: int | None) -> list[Int8Array]:
    """What the model runs on: files, or so many random inputs, or a choice that suits it.

    Raises:
        DnaError: both are named, or a file cannot be used.
    """
    if noise is not None and files:
        raise DnaError("--random N and input files exclude each other")
    if noise is None and not files and model.path.suffix == TFLITE:
        noise = RANDOM_INPUTS
    if noise is not None:
        return list(random_inputs(model.graph.tensors[model.graph.input].shape, noise))
    if not files:  # photographs are no help to who takes arrays
        preprocessing_of(model.network.manifest)
    chosen = list(files) or [path for path, _ in photographs()]
    return [entered(model.network, load_input(model.network.manifest, path)) for path in chosen]


def compare(
    model: Model, images: list[Int8Array], processes: int, done: Callable[[int], None]
) -> list[list[Comparison]]:
    """Every operator on each image, in so many processes.

    Args:
        model: to compare.
        images: int8 inputs of it.
        processes: that share them.
        done: called with 1 as soon as another image is through.

    Raises:
        DnaError: what a process needs is missing or cannot be written.
    """
    found: dict[int, list[Comparison]] = {}

    def keep(index: int, rows: list[Comparison]) -> None:
        found[index] = rows
        done(1)

    _comparer.cache_clear()  # of a file that was another when it was read
    tasks = [_Input(model.path, pixels) for pixels in images]
    run_tasks(_compare, tasks, workers=processes, scheduler=None, done=keep)
    return [found[index] for index in range(len(images))]


@dataclasses.dataclass(frozen=True, eq=False)
class _Input:
    """One image for the model in a file."""

    path: Path
    pixels: Int8Array

    def __str__(self) -> str:
        return f"an input of {self.path.name}"


@functools.lru_cache(maxsize=1)
def _comparer(path: Path) -> Comparer | TfliteComparer:
    """Made once in each process."""
    if path.suffix == TFLITE:
        file = import_file(path)
        return TfliteComparer(file.content, file.model, file.imported, built_in=True)
    return Comparer(artifact.load(path).graph)


def _compare(task: _Input) -> list[Comparison]:
    return _comparer(task.path).image(task.pixels)
