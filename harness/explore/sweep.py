"""A sweep: what is left to model, on which processes, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.explore.evaluate import Outcome, Task, evaluate, model_digest
from harness.explore.results import Row, row
from harness.explore.space import Candidate
from harness.explore.state import State
from harness.host.workers import run_tasks
from sim.memory.model import MemoryModel
from sw import artifact as artifacts


def tasks(
    artifact: Path,
    network: artifacts.Artifact,
    candidates: Sequence[Candidate],
    memory: MemoryModel,
) -> dict[str, Task]:
    """What is to be modelled, by the digest of the configuration; equal machines are one task.

    Args:
        artifact: path of ``network``.
        network: to compile.
        candidates: of which those without a configuration make no task.
        memory: behind every machine.
    """
    digest, model = artifacts.network_digest(network), model_digest()
    return {
        candidate.config.digest: Task(artifact.absolute(), digest, model, candidate.config, memory)
        for candidate in candidates
        if candidate.config is not None
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


def rows(
    candidates: Sequence[Candidate],
    clocks: Sequence[float],
    tasks: Mapping[str, Task],
    state: State,
) -> list[Row]:
    """A row for each candidate at each clock, in MHz.

    Args:
        tasks: by digest of the configuration (:func:`tasks`); ``state`` has all their outcomes.
    """
    found = []
    for candidate in candidates:
        for clock in clocks:
            if candidate.config is None:
                refused = candidate.refused
                found.append(
                    Row(name=candidate.name, parameters=None, clock_mhz=clock, refused=refused)
                )
                continue
            outcome = state.get(tasks[candidate.config.digest])
            assert outcome is not None
            found.append(row(candidate.config, outcome, clock))
    return found
