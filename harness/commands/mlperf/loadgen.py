"""``dna loadgen``: an MLPerf test of an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.loadgen_options import loadgen_options
from harness.commands.modelled import clock_option, memory_options
from harness.commands.numbers import THREADS
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.hardware.memory import MemoryChoice
    from harness.loadgen.configuration.settings import Scenario
    from harness.loadgen.systems.tasks import Task
    from sw.artifact import Artifact

HOST, MODELLED = "host", "modelled"
MODELLED_OPTIONS = ("clock_mhz", "memory_name", "memory_latency", "memory_bandwidth")
BATCHED = ("MultiStream", "Offline")
"""Scenarios in which several images come at a time."""
INVALID = 1
MODELLED_JSON = "modelled.json"


@click.command("loadgen", short_help="Run MLPerf's LoadGen: latency, throughput or accuracy.")
@click.argument("artifact", type=PATH)
@click.option(
    "--scenario",
    type=click.Choice(["SingleStream", "MultiStream", "Offline"]),
    required=True,
    help="One image after the other, 8 at a time, or all at once.",
)
@click.option(
    "--benchmark",
    type=click.Choice(["resnet50", "yolo"]),
    default="resnet50",
    show_default=True,
    help="What is asked: the class of each photograph, or boxes around all that is in it. yolo "
    "needs a detector and photographs in COCO's layout.",
)
@click.option(
    "--timing",
    default=HOST,
    show_default=True,
    metavar="host|modelled|FILE",
    help="The speed of this computer, or that of the machine which ARTIFACT was compiled for, at "
    "an assumed clock or at the one that `dna timing --json FILE` proved of it.",
)
@clock_option
@memory_options
@click.option("--accuracy", is_flag=True, help="Answer every photograph once; no speed.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="With --accuracy: the Dask cluster of this scheduler works out the answers, before "
    "LoadGen asks. Its workers need this version of the program, and ARTIFACT and the photographs "
    "at the same paths. It is trusted with code (docs/simulation.md).",
)
@loadgen_options
@click.option(
    "--round",
    "round_name",
    metavar="NAME",
    help="MLPerf's round, such as v1.1, whose seeds count. Default: that of the installed LoadGen.",
)
@click.option(
    "--audit-config",
    type=PATH,
    metavar="FILE",
    help="Settings of a compliance test (`dna compliance audit`). Default: ./audit.config, if any.",
)
@click.option(
    "--threads",
    type=THREADS,
    help="Default: all CPUs. They share a query, or Offline each takes its own.",
)
@json_option
def command(
    artifact: Path,
    scenario: Scenario,
    benchmark: str,
    timing: str,
    clock_mhz: float | None,
    memory: MemoryChoice,
    accuracy: bool,
    scheduler: str | None,
    data_dir: Path | None,
    count: int | None,
    round_name: str | None,
    audit_config: Path | None,
    user_conf: Path | None,
    min_duration: float | None,
    samples: int | None,
    threads: int | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Run an MLPerf test of ARTIFACT with the functional model on this computer.

    The figures are LoadGen's own. Exit code 0 means that LoadGen calls the run VALID or, with
    --accuracy, that every photograph was answered; 1 that it does not.

    With --timing host the times are those of this computer, not of the hardware. With --timing
    modelled or a FILE the answers are worked out beforehand and a query waits as long as the cycle
    model says that the machine takes; exit code 1 also means that this computer could not keep that
    pace within 1 %.

    \b
    Examples:
      dna loadgen resnet50.dna --scenario SingleStream
      dna loadgen resnet50.dna --scenario Offline --min-duration 10
      dna loadgen resnet50.dna --scenario Offline --accuracy --data-dir imagenet
      dna loadgen resnet50.dna --scenario Offline --accuracy --scheduler tcp://10.0.0.1:8786
      dna loadgen f200.dna --scenario SingleStream --timing modelled --clock 300
      dna loadgen nano.dna --scenario SingleStream --timing nano.json
      dna loadgen f200.dna --scenario Offline --timing modelled --memory lpddr5-6400x64
      dna loadgen detector.dna --benchmark yolo --scenario Offline --accuracy --data-dir coco
    """  # noqa: D301 (click reads the escape)
    from harness.data.inputs import check_alone
    from harness.host import computer
    from harness.host.terminal import Console
    from harness.loadgen import session
    from harness.loadgen.configuration import settings
    from harness.loadgen.machine import modelled_machine
    from harness.loadgen.results import outcome
    from harness.loadgen.systems import runner
    from sw import artifact as artifacts

    check_writable(json_file)
    network = artifacts.load(artifact)
    check_alone(network.manifest)
    _check_options(timing)
    if scheduler is not None and not accuracy:
        raise DnaError("--scheduler goes with --accuracy: a cluster's speed is no machine's")
    if scheduler is not None and benchmark != "resnet50":
        raise DnaError(f"--scheduler: a cluster answers with classes, not with what {benchmark} is")
    if audit_config is not None and not audit_config.is_file():
        raise DnaError(f"cannot read {audit_config}: there is no such file")
    machine = None
    if timing != HOST:
        with Console(stderr=True).status("predicting the cycles"):
            machine = modelled_machine(
                network,
                artifact,
                memory,
                batches=scenario in BATCHED,
                timing_file=None if timing == MODELLED else Path(timing),
                clock_mhz=clock_mhz,
            )
    task = _task(benchmark, network, data_dir, count, accuracy)
    test = settings.build(
        scenario,
        accuracy=accuracy,
        photographs=len(task.paths),
        benchmark=task.benchmark,
        user_conf=user_conf,
        min_duration=min_duration,
        samples=samples,
    )
    settings.seed(test, round_name)
    audit = audit_config or Path(runner.AUDIT_CONFIG)
    settings.seed_as_audited(test, audit)
    asked = session.Session(
        network=network,
        path=artifact,
        task=task,
        scenario=scenario,
        accuracy=accuracy,
        settings=test,
        audit=audit,
        threads=threads or computer.cpus(),
        machine=machine,
        scheduler=scheduler,
    )
    with runner.new_folder(output, scenario, accuracy) as folder:
        score, pace = session.run(asked, folder)
    host = task.host_time()
    outcome.show(score, machine, pace, folder, network.manifest, host)
    figures = outcome.figures(
        score,
        machine,
        pace,
        folder,
        artifact=artifact,
        manifest=network.manifest,
        benchmark=task.benchmark,
        threads=asked.threads,
        host=host,
    )
    if machine is not None:
        write_json(folder / MODELLED_JSON, figures)
    write_json(json_file, figures)
    good = score.valid and (pace is None or pace.kept)
    click.get_current_context().exit(0 if good else INVALID)


def _task(
    benchmark: str, network: Artifact, data_dir: Path | None, count: int | None, accuracy: bool
) -> Task:
    """The network with the photographs that it is shown; what is wrong with them is found here."""
    from harness.data import fetch
    from harness.data.coco import Coco, folder_of
    from harness.data.datasets import Dataset
    from harness.loadgen.systems import photographs
    from harness.loadgen.systems.detections import Detections
    from harness.loadgen.systems.tasks import Classes

    if benchmark == "yolo":
        return Detections(network, Coco(folder_of(data_dir)), count)
    data = Dataset(fetch.data_dir(data_dir))
    return Classes(network, photographs.choose(network.manifest, data, count, accuracy))


def _check_options(timing: str) -> None:
    """Refuse what would say something about a machine when it is this computer that is timed."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if timing == HOST and parameter.name in MODELLED_OPTIONS and given:
            raise DnaError(f"{parameter.opts[0]} goes with --timing modelled")
