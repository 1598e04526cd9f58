"""What the sweeps found: each case, made as simple as it goes, in a file that is tried ever after.

A file says everything by itself: machine, memory, image and network. So it stays the same case when
the random cases become others. ``tests/sweeps/test_findings.py`` runs all that are in
:data:`FOLDER`; a sweep puts new ones there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hw.config import DnaConfig
from sim.memory.model import MemoryModel
from sim.memory.presets import IDEAL, preset
from sim.memory.stalls import Stalls
from sw.errors import DnaError
from sw.graph import Graph
from sw.host import files
from sw.operations import Operation, Tensor
from tests.sweeps.fuzz_cases import Case, Failure
from tests.sweeps.shrinking import Judge, rebuild, shrink

FOLDER = Path(__file__).with_name("findings")


class _Array(msgspec.Struct):
    dtype: str
    shape: tuple[int, ...]
    values: list[float]  # whole numbers but for those of float32


class _Graph(msgspec.Struct):
    input: str
    output: str
    tensors: dict[str, Tensor]
    operations: list[Operation]
    constants: dict[str, _Array]
    others: tuple[str, ...] = ()


class _Memory(msgspec.Struct):
    latency: int
    bandwidth: float
    reorder: bool
    stall: float
    seed: int
    name: str = IDEAL
    cycle_ps: int = 0


class _File(msgspec.Struct):
    sweep: str
    seed: int
    number: int
    kind: str
    text: str
    machine: DnaConfig
    memory: _Memory
    image: _Array
    graph: _Graph
    images: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """A case that failed.

    Attributes:
        sweep: the module that found it.
        seed, number: which of its cases it was.
        machine: on which.
        failure: what was wrong then.
        case: as simple as it went.
    """

    sweep: str
    seed: int
    number: int
    machine: DnaConfig
    failure: Failure
    case: Case

    @property
    def command(self) -> str:
        """Finds it again, as long as the random cases are what they were."""
        case = f"--case {self.seed}:{self.number} --config {self.machine.name}"
        return f"python -m tests.sweeps.{self.sweep} {case}"


def simplest(
    sweep: str, seed: int, number: int, machine: DnaConfig, case: Case, judge: Judge
) -> Finding:
    """A case that fails, made as simple as it goes; ``judge`` says how it fails."""
    smaller, failure = shrink(case, judge)
    return Finding(
        sweep=sweep, seed=seed, number=number, machine=machine, failure=failure, case=smaller
    )


def keep(finding: Finding, folder: Path) -> Path:
    """Write ``finding`` to a file of its own in ``folder``.

    Raises:
        DnaError: the file cannot be written.
    """
    case, memory, graph = finding.case, finding.case.memory, finding.case.graph
    content = _File(
        sweep=finding.sweep,
        seed=finding.seed,
        number=finding.number,
        kind=finding.failure.kind,
        text=finding.failure.text,
        machine=finding.machine,
        memory=_Memory(
            memory.latency,
            memory.bandwidth,
            memory.reorder,
            memory.stalls.probability,
            memory.stalls.seed,
            memory.name,
            memory.cycle_ps,
        ),
        image=_plain(case.image),
        graph=_Graph(
            graph.input,
            graph.output,
            graph.tensors,
            graph.operations,
            {name: _plain(values) for name, values in graph.constants.items()},
            graph.others,
        ),
        images=case.images,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DnaError(f"cannot make the directory {folder}: {error.strerror}") from error
    name = f"{finding.sweep}-{finding.seed}-{finding.number}-{finding.machine.name}.json"
    path = folder / name
    files.write(path, msgspec.json.encode(content) + b"\n")
    return path


def kept(finding: Finding, folder: Path) -> list[str]:
    """The same, and what there is to say about it."""
    path = keep(finding, folder)
    return [
        f"made simpler:\n{finding.case}",
        f"which fails with: {finding.failure.text}",
        f"kept as {path}; again with: {finding.command}",
    ]


def load(path: Path) -> Finding:
    """What :func:`keep` wrote; what the builder of graphs derives is derived anew.

    Raises:
        DnaError: it is no such file, or the builder refuses its network.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except (msgspec.MsgspecError, OSError) as error:
        raise DnaError(f"{path} is no finding: {error}") from error
    said, memory = content.graph, content.memory
    graph = rebuild(
        Graph(
            said.input,
            said.output,
            said.tensors,
            said.operations,
            {name: _array(values) for name, values in said.constants.items()},
            said.others,
        ),
        unread=True,
    )
    model = MemoryModel(
        latency=memory.latency,
        bandwidth=memory.bandwidth,
        reorder=memory.reorder,
        stalls=Stalls(memory.stall, memory.seed),
        dram=None if memory.name == IDEAL else preset(memory.name),
        cycle_ps=memory.cycle_ps,
    )
    return Finding(
        sweep=content.sweep,
        seed=content.seed,
        number=content.number,
        machine=content.machine,
        failure=Failure(content.kind, content.text),
        case=Case(graph, _array(content.image), model, content.images),
    )


def _plain(values: np.ndarray) -> _Array:
    return _Array(str(values.dtype), values.shape, values.ravel().tolist())


def _array(plain: _Array) -> Any:
    return np.array(plain.values, plain.dtype).reshape(plain.shape)
