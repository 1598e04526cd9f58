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
from harness import hardware
from harness.hardware.energy import energy
from harness.hardware.timing.clock import ASSUMED_MHZ
from harness.host import sources
from hw.config import DnaConfig
from sim.memory.model import MemoryModel
from sw import artifact as artifacts
from sw.errors import DnaError
from sw.graph import Graph
from sw.host import digests


class Outcome(msgspec.Struct, frozen=True):
    """What became of a configuration: the cycles of its run, or why it cannot run.

    Attributes:
        cycles: from start to interrupt.
        macs: multiply-accumulates of the network.
        dram_bytes: read and written, whole DRAM words.
        mj: energy of an image, estimated (:mod:`harness.hardware.energy`).
        refused: what the compiler says.
    """

    cycles: int = 0
    macs: int = 0
    dram_bytes: int = 0
    mj: float = 0.0
    refused: str | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """A configuration to model.

    Attributes:
        artifact: absolute path; it must be there wherever the task runs.
        network: :func:`sw.artifact.network_digest` of it.
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


@functools.cache
def model_digest() -> str:
    """Changes with the sources of machine, compiler, cycle model and energy."""
    return digests.of_sources(
        (hw, "**/*.py"),
        (sw, "*.py"),
        (sw, "compiler/**/*.py"),
        (sim, "cycles/*"),
        (sim, "memory/*"),
        (hardware, "energy*.py"),
        (hardware, "area*.py"),
    )


def evaluate(task: Task) -> Outcome:
    """Compile for ``task.config`` and predict the run.

    Raises:
        DnaError: this process has another artifact or another version of the program.
    """
    from sim.cycles import predict
    from sim.memory.bandwidth import effective_bandwidth
    from sw.compiler import compile_graph

    sources.check_same(task.model, model_digest())
    graph = _graph(task.artifact, task.network)
    try:
        bandwidth = effective_bandwidth(task.memory, task.config)
        program = compile_graph(graph, task.config, bandwidth)
    except DnaError as error:
        return Outcome(refused=str(error))
    prediction = predict(program, task.memory)
    words = sum(prediction.words_read.values()) + prediction.words_written
    return Outcome(
        cycles=prediction.cycles,
        macs=sum(table.macs for table in program.layers),
        dram_bytes=words * task.config.dram_bytes_per_cycle,
        mj=energy(program, prediction, memory=task.memory.name, clock_mhz=ASSUMED_MHZ).mj_per_image,
    )


@functools.lru_cache(maxsize=1)
def _graph(path: Path, network: str) -> Graph:
    artifact = artifacts.load(path)
    if artifacts.network_digest(artifact) != network:
        raise DnaError(f"a worker finds another network at {path} than this command")
    return artifact.graph
