"""A test of an artifact from LoadGen's settings to its score.

With host timing LoadGen times the functional model on this computer. With a modelled machine, or a
cluster that answers, the answers are known beforehand and LoadGen only collects them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.host import computer
from harness.loadgen import logs
from harness.loadgen.binding import mlperf_loadgen
from harness.loadgen.configuration import settings
from harness.loadgen.configuration.settings import Scenario
from harness.loadgen.machine import ModelledMachine
from harness.loadgen.results import display
from harness.loadgen.results import score as scores
from harness.loadgen.results.pace import Pace, pace
from harness.loadgen.results.score import Score
from harness.loadgen.systems import local, modelled, remote, runner
from harness.loadgen.systems.modelled import ModelledSystem
from harness.loadgen.systems.qsl import SampleLibrary
from harness.loadgen.systems.sut import Answer, System, SystemUnderTest, measure
from harness.loadgen.systems.tasks import Task
from sw.artifact import Artifact

WARM_UP_SECONDS = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """What to run.

    Attributes:
        network: the artifact.
        path: of it, the same on every computer of a cluster.
        task: what it is asked, and how its answers are judged.
        scenario: of MLPerf.
        accuracy: whether answers count, not speed.
        settings: for LoadGen; the speed to expect is found out if they do not say it.
        audit: LoadGen's settings of a compliance test, if there is such a file.
        threads: of the functional model.
        machine: whose speed is modelled; None: the speed is this computer's.
        scheduler: address of the cluster that answers; None: this computer does.
        timing: what the times are of, for the logs, if they are no model's and not of this
            computer's functional model.
    """

    network: Artifact
    path: Path
    task: Task
    scenario: Scenario
    accuracy: bool
    settings: mlperf_loadgen.TestSettings
    audit: Path
    threads: int
    machine: ModelledMachine | None
    scheduler: str | None
    timing: str | None = None


def run(session: Session, folder: Path) -> tuple[Score, Pace | None]:
    """Run a test behind a progress display on stderr.

    Args:
        session: the test.
        folder: where LoadGen's logs appear; with a machine they say that its time is modelled.

    Returns:
        The score; and of a performance run with a machine, how well it kept to the model.

    Raises:
        DnaError: a photograph cannot be used, or the logs cannot be written, or the cluster cannot
            be used.
        KeyboardInterrupt: after LoadGen has come to its end.
    """
    if session.machine is None and session.scheduler is None:
        return _timed_here(session, folder), None
    return _answered_beforehand(session, folder)


def _timed_here(session: Session, folder: Path) -> Score:
    task = session.task
    models = local.models(task, session.scenario, session.threads)
    if not session.accuracy and not settings.is_expected(session.settings, session.scenario):
        image = task.load(task.paths[0])
        rate = measure(models, image, WARM_UP_SECONDS)
        settings.expect(session.settings, session.scenario, rate)
    settings.check_size(session.settings, session.scenario)
    images = SampleLibrary(task.paths, task.load, computer.cpus())
    system = SystemUnderTest(images, models, task.answer)
    seconds = _run(session, images, system, folder)
    return _score(session, folder, seconds)


def _answered_beforehand(session: Session, folder: Path) -> tuple[Score, Pace | None]:
    machine = session.machine
    if machine is not None and not settings.is_expected(session.settings, session.scenario):
        settings.expect(session.settings, session.scenario, machine.throughput)
    settings.check_size(session.settings, session.scenario)
    before = time.perf_counter()
    answer = _answerer(session)
    elsewhere = time.perf_counter() - before
    answers = SampleLibrary(session.task.paths, answer, session.threads)
    overhead = modelled.binding_overhead() if machine else 0.0
    latency = machine.completion if machine else _at_once
    system = ModelledSystem(answers.samples, latency, overhead)
    took = _run(session, answers, system, folder)
    score = _score(session, folder, elsewhere + took)
    if machine is None or session.accuracy:
        return score, None
    return score, pace(machine, system, folder, score.merit, overhead)


def _answerer(session: Session) -> Callable[[Path], Answer]:
    if session.scheduler is None:
        return local.answerer(session.task, session.threads)
    paths = session.task.paths
    return remote.answerer(session.path, session.network, paths, session.scheduler)


def _at_once(number: int, samples: int) -> float:
    """No time passes between a query and its answers, which only accuracy runs may do."""
    return 0.0


def _run(session: Session, library: SampleLibrary[Any], system: System, folder: Path) -> float:
    """Seconds that LoadGen took, loading included."""

    def finish(unfinished: Path) -> None:
        timing = session.timing or (session.machine and str(session.machine))
        if timing:
            logs.mark(unfinished, timing)

    audit = str(session.audit)
    with display.progress(library, system, session.accuracy) as tick:
        return runner.run(
            session.settings, library, system, folder, tick, audit=audit, finish=finish
        )


def _score(session: Session, folder: Path, seconds: float) -> Score:
    required = settings.requirements(session.scenario, session.task.benchmark)
    return scores.read(folder, session.task, required, seconds)
