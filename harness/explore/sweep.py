"""A sweep: what is left to model, on which processes, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.explore.evaluate import Outcome, Task, evaluate, model_digest
from harness.explore.results import Row, row
from harness.explore.space import Candidate
from harness.explore.state import State
from harness.hardware.memory import MemoryChoice
from harness.hardware.timing import clock, result
from harness.hardware.timing.clock import ASSUMED_MHZ, Clock
from harness.host.workers import run_tasks
from sim.memory.model import MemoryModel
from sw import artifact as artifacts
from sw.errors import DnaError

Clocks = Mapping[str | None, Sequence[Clock]]
"""The clocks of configurations by digest; None: of what makes no machine."""

Key = tuple[str, MemoryModel]
"""The digest of a configuration, and a memory behind it."""


def tasks(
    artifact: Path,
    network: artifacts.Artifact,
    candidates: Sequence[Candidate],
    clocks: Clocks,
    memories: Sequence[MemoryChoice],
) -> dict[Key, Task]:
    """What is to be modelled; equal machines with equal memories are one task.

    Args:
        artifact: path of ``network``.
        network: to compile.
        candidates: of which those without a configuration make no task.
        clocks: of each configuration (:func:`clocks`).
        memories: behind every machine, one after the other.
    """
    digest, model = artifacts.network_digest(network), model_digest()
    return {
        (config.digest, memory): Task(artifact.absolute(), digest, model, config, memory)
        for config in (candidate.config for candidate in candidates)
        if config is not None
        for at in clocks[config.digest]
        for memory in (choice.at(at.mhz) for choice in memories)
    }


def unknown(tasks: Sequence[Task], state: State) -> list[Task]:
    """Those whose outcome is not known yet."""
    return [task for task in tasks if state.get(task) is None]


def run(
    tasks: Sequence[Task],
    state: State,
    *,
    workers: int | None,
    scheduler: str | None,
    done: Callable[[], None],
) -> None:
    """Model the tasks; each outcome is in ``state`` as soon as it is known.

    Arguments and errors are those of :func:`harness.host.workers.run_tasks`; ``done`` is called
    with each outcome.
    """

    def keep(index: int, outcome: Outcome) -> None:
        state.add(tasks[index], outcome)
        done()

    run_tasks(evaluate, tasks, workers=workers, scheduler=scheduler, done=keep)


def clocks(
    candidates: Sequence[Candidate], files: Sequence[Path], mhz: Sequence[float] | None
) -> dict[str | None, list[Clock]]:
    """The clocks of each configuration, by its digest; of what makes no machine by None.

    Args:
        candidates: what is swept.
        files: from `dna timing`, of some of them.
        mhz: of all; None: what the files prove, or what is assumed.

    Raises:
        DnaError: a file is about none of them, or proves less than ``mhz``.
    """
    about: dict[str, Path] = {}
    for proving in files:
        timing = result.read(proving)
        if timing.digest in about:
            raise DnaError(f"{about[timing.digest]} and {proving} are about the same machine")
        about[timing.digest] = proving
    found: dict[str | None, list[Clock]] = {None: [Clock(one) for one in mhz or (ASSUMED_MHZ,)]}
    for config in (candidate.config for candidate in candidates):
        if config is not None:
            file = about.get(config.digest)
            found[config.digest] = [
                clock.chosen(config, file, wanted)[0] for wanted in mhz or (None,)
            ]
    for digest, proving in about.items():
        if digest not in found:
            raise DnaError(f"{proving} is about none of the configurations")
    return found


def rows(
    candidates: Sequence[Candidate],
    clocks: Clocks,
    memories: Sequence[MemoryChoice],
    tasks: Mapping[Key, Task],
    state: State,
) -> list[Row]:
    """A row for each candidate at each of its clocks with each memory.

    Args:
        clocks: by digest of the configuration (:func:`clocks`).
        memories: behind every machine.
        tasks: :func:`tasks`; ``state`` has all their outcomes.
    """
    found = []
    for candidate in candidates:
        for at in clocks[None if candidate.config is None else candidate.config.digest]:
            for choice in memories:
                if candidate.config is None:
                    refusal = Row(
                        name=candidate.name,
                        parameters=None,
                        clock=at,
                        memory=choice.name,
                        refused=candidate.refused,
                    )
                    found.append(refusal)
                    continue
                memory = choice.at(at.mhz)
                outcome = state.get(tasks[candidate.config.digest, memory])
                assert outcome is not None
                found.append(row(candidate.config, outcome, at, memory.name))
    return found
