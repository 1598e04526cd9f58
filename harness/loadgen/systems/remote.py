"""Answers worked out on a Dask cluster, before LoadGen asks for them: accuracy runs only.

Photographs travel as paths, answers as one float32 each, so memory does not grow with the data set
but for four bytes a photograph. An answer does not depend on who computes it: a worker refuses if
it has another artifact, another version of the program or a photograph of another size.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import harness
import sim
import sw
from harness.data.inputs import load_input
from harness.host import sources, terminal
from harness.host.workers import run_tasks
from harness.loadgen.systems.sut import Answer, Model
from harness.loadgen.systems.whole import model_of
from sw import artifact as artifacts
from sw.classes import best
from sw.errors import DnaError
from sw.host import digests
from sw.preprocessing import Preprocessing

Answers = npt.NDArray[np.float32]

CHUNK = 64
"""Photographs of a task: about a second of work, so that a worker that dies costs little."""

_opened = threading.local()
"""Of each thread of a worker: the artifact that it used last, and its model."""


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Photographs to answer.

    Attributes:
        artifact: absolute path; it must be there wherever the task runs.
        network: :func:`sw.artifact.network_digest` of it.
        preprocessing: of it.
        class_offset: of it.
        sources: :func:`_sources` of who asks.
        photographs: absolute paths, which must be there, too.
        sizes: of these files, in bytes.
    """

    artifact: Path
    network: str
    preprocessing: Preprocessing | None
    class_offset: int | None
    sources: str
    photographs: tuple[Path, ...]
    sizes: tuple[int, ...]

    def __str__(self) -> str:
        return f"{len(self.photographs)} photographs from {self.photographs[0].name}"


def answers(
    artifact: Path,
    network: artifacts.Artifact,
    photographs: Sequence[Path],
    scheduler: str,
    answered: Callable[[int], None],
) -> Answers:
    """The class of every photograph: float32 [photographs].

    Args:
        artifact: path of ``network``.
        network: to run.
        photographs: to run it on.
        scheduler: address of the Dask scheduler.
        answered: called with the number of photographs that were just answered.

    Raises:
        DnaError: a photograph cannot be used; or a worker lacks it, or has it, the artifact or the
            program different; or the cluster cannot be used.
    """
    absolute = [path.resolve() for path in photographs]
    chunks = [
        Chunk(
            artifact=artifact.resolve(),
            network=artifacts.network_digest(network),
            preprocessing=network.manifest.preprocessing,
            class_offset=network.manifest.class_offset,
            sources=_sources(),
            photographs=tuple(paths),
            sizes=tuple(path.stat().st_size for path in paths),
        )
        for paths in (absolute[at : at + CHUNK] for at in range(0, len(absolute), CHUNK))
    ]
    found: dict[int, Answers] = {}

    def done(index: int, result: Answers) -> None:
        found[index] = result
        answered(len(result))

    run_tasks(answer, chunks, workers=None, scheduler=scheduler, done=done)
    return np.concatenate([found[index] for index in range(len(chunks))])


def answerer(
    artifact: Path, network: artifacts.Artifact, photographs: Sequence[Path], scheduler: str
) -> Callable[[Path], Answer]:
    """Has the cluster answer all photographs now, under a bar; the result looks an answer up.

    Arguments and errors are those of :func:`answers`.
    """
    with terminal.counted(terminal.Console(stderr=True), "answering", len(photographs)) as answered:
        found = answers(artifact, network, photographs, scheduler, answered)
    return dict(zip(photographs, found.reshape(-1, 1), strict=True)).__getitem__


def answer(chunk: Chunk) -> Answers:
    """The class of each photograph of ``chunk``, one image in memory at a time.

    Raises:
        DnaError: see :func:`answers`.
    """
    sources.check_same(chunk.sources, _sources())
    network, model = _open(chunk)
    classes = np.empty(len(chunk.photographs), np.float32)
    for number, (path, size) in enumerate(zip(chunk.photographs, chunk.sizes, strict=True)):
        if not path.is_file() or path.stat().st_size != size:
            raise DnaError(
                f"a worker has no {path} of {size} bytes; the photographs must be at the same path "
                "on all computers"
            )
        image = load_input(network.manifest, path)
        classes[number] = best(model(image[np.newaxis]), network.manifest.class_offset)[0]
    return classes


def _open(chunk: Chunk) -> tuple[artifacts.Artifact, Model]:
    """The artifact and a model of it for this thread; the one used last is kept open."""
    asked = chunk.network, chunk.preprocessing, chunk.class_offset
    if getattr(_opened, "asked", None) != asked:
        network = artifacts.load(chunk.artifact)
        manifest = network.manifest
        found = artifacts.network_digest(network), manifest.preprocessing, manifest.class_offset
        if found != asked:
            raise DnaError(f"a worker has another artifact at {chunk.artifact} than this command")
        _opened.network = network, model_of(network, 1)
        _opened.asked = asked
    opened: tuple[artifacts.Artifact, Model] = _opened.network
    return opened


@functools.cache
def _sources() -> str:
    """Changes with the sources of the program."""
    packages, suffixes = (sw, sim, harness), ("py", "cc", "h")
    places = ((package, f"**/*.{suffix}") for package in packages for suffix in suffixes)
    return digests.of_sources(*places)
