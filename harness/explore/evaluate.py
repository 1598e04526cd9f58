"""Models one configuration; runs in whatever process a task is sent to."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from pathlib import Path

import msgspec

import hw
import sim
import sw
from hw.config import DnaConfig
from sim.rtl.memory import MemoryModel
from sw import artifact as artifacts
from sw.errors import DnaError
from sw.graph import Graph


class Outcome(msgspec.Struct, frozen=True):
    """What became of a configuration: the cycles of its run, or why it cannot run.

    Attributes:
        cycles: from start to interrupt.
        macs: multiply-accumulates of the network.
        dram_bytes: read and written, whole DRAM words.
        refused: what the compiler says.
    """

    cycles: int = 0
    macs: int = 0
    dram_bytes: int = 0
    refused: str | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """A configuration to model.

    Attributes:
        artifact: absolute path; it must be there wherever the task runs.
        network: :func:`network_digest` of it.
        model: :func:`model_digest` of who asks.
        config, memory: the machine, and the memory behind it.
    """

    artifact: Path
    network: str
    model: str
    config: DnaConfig
    memory: MemoryModel

    def __str__(self) -> str:
        return self.config.name

    @property
    def key(self) -> str:
        """Changes with everything that the outcome depends on; not with the machine's name."""
        parts = (self.network, self.model, self.config.digest, repr(self.memory))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def network_digest(artifact: artifacts.Artifact) -> str:
    """Changes with the network: its graph, and its constants."""
    files = artifact.manifest.files
    return hashlib.sha256(
        (files[artifacts.GRAPH] + files[artifacts.CONSTANTS]).encode()
    ).hexdigest()


@functools.cache
def model_digest() -> str:
    """Changes with the sources of machine, compiler and cycle model."""
    digest = hashlib.sha256()
    for root, pattern in (
        (Path(hw.__path__[0]), "*.py"),
        (Path(sw.__path__[0]), "*.py"),
        (Path(sw.__path__[0]), "compiler/*.py"),
        (Path(sim.__path__[0]), "cycles/*"),
        (Path(sim.__path__[0]), "rtl/memory.py"),
    ):
        for path in sorted(path for path in root.glob(pattern) if path.is_file()):
            digest.update(f"{path.relative_to(root.parent)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def evaluate(task: Task) -> Outcome:
    """Compile for ``task.config`` and predict the run.

    Raises:
        DnaError: this process has another artifact or another version of the program.
    """
    from sim.cycles import predict
    from sw.compiler import compile_graph

    if model_digest() != task.model:
        raise DnaError(
            "a worker has other sources of open-dna than this command; install the same version "
            "on all machines"
        )
    graph = _graph(task.artifact, task.network)
    try:
        program = compile_graph(graph, task.config, task.memory.bandwidth)
    except DnaError as error:
        return Outcome(refused=str(error))
    prediction = predict(program, task.memory)
    words = sum(prediction.words_read.values()) + prediction.words_written
    return Outcome(
        cycles=prediction.cycles,
        macs=sum(table.macs for table in program.layers),
        dram_bytes=words * task.config.dram_bytes_per_cycle,
    )


@functools.lru_cache(maxsize=1)
def _graph(path: Path, network: str) -> Graph:
    artifact = artifacts.load(path)
    if network_digest(artifact) != network:
        raise DnaError(f"a worker finds another network at {path} than this command")
    return artifact.graph
