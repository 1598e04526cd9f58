"""``dna loadgen``: an MLPerf test of an artifact."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.modelled import clock_option, memory_options
from sw.errors import DnaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    import mlperf_loadgen

    from harness.data.datasets import Dataset
    from harness.loadgen.modelled import Answer, Device, Pace
    from harness.loadgen.qsl import Int8Array, SampleLibrary
    from harness.loadgen.settings import Scenario
    from harness.loadgen.sut import Model, System
    from sim.rtl.memory import MemoryModel
    from sw.artifact import Artifact, Manifest

OUTPUT_ROOT = Path("build/loadgen")
WARM_UP_SECONDS = 2.0
MODELLED_OPTIONS = ("clock_mhz", "memory_latency", "memory_bandwidth")
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
    "--timing",
    type=click.Choice(["host", "modelled"]),
    default="host",
    show_default=True,
    help="The speed of this computer, or that of the machine which ARTIFACT was compiled for.",
)
@clock_option
@memory_options
@click.option("--accuracy", is_flag=True, help="Answer every photograph once; no speed.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="With --accuracy: the Dask cluster of this scheduler works out the answers, before "
    "LoadGen asks. Its workers need this version of the program, and ARTIFACT and the photographs "
    "at the same paths.",
)
@click.option(
    "--data-dir",
    type=PATH,
    metavar="DIR",
    help="Photographs with val_map.txt. Default: $DATA_DIR, else those of `dna fetch`.",
)
@click.option("--count", type=click.IntRange(min=1), help="Only the first COUNT photographs.")
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
@click.option("--user-conf", type=PATH, metavar="FILE", help="LoadGen's user.conf.")
@click.option(
    "--min-duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Default: MLPerf's 600. A shorter run is said to be shorter.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    help="Photographs held in memory at a time. Default: MLPerf's 1024, or all if fewer.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Default: all CPUs. They share a query, or Offline each takes its own.",
)
@click.option(
    "-o",
    "--output",
    type=PATH,
    metavar="DIR",
    help=f"For LoadGen's logs. Default: a new {OUTPUT_ROOT}/SCENARIO/MODE/run_N.",
)
@json_option
def command(
    artifact: Path,
    scenario: Scenario,
    timing: str,
    clock_mhz: float,
    memory: MemoryModel,
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
    modelled the answers are worked out beforehand and a query waits as long as the cycle model says
    that the machine takes; exit code 1 also means that this computer could not keep that pace
    within 1 %.

    \b
    Examples:
      dna loadgen resnet50.dna --scenario SingleStream
      dna loadgen resnet50.dna --scenario Offline --min-duration 10
      dna loadgen resnet50.dna --scenario Offline --accuracy --data-dir imagenet
      dna loadgen resnet50.dna --scenario Offline --accuracy --scheduler tcp://10.0.0.1:8786
      dna loadgen f200.dna --scenario SingleStream --timing modelled --clock 300
    """  # noqa: D301 (click reads the escape)
    from harness.host import computer
    from harness.loadgen import outcome, settings
    from harness.loadgen import score as scores
    from harness.loadgen.qsl import SampleLibrary
    from harness.loadgen.runner import AUDIT_CONFIG
    from sw import artifact as artifacts

    check_writable(json_file)
    network = artifacts.load(artifact)
    _check_options(timing)
    if scheduler is not None and not accuracy:
        raise DnaError("--scheduler goes with --accuracy: a cluster's speed is no machine's")
    if audit_config is not None and not audit_config.is_file():
        raise DnaError(f"cannot read {audit_config}: there is no such file")
    device = _device(network, artifact, clock_mhz, memory) if timing == "modelled" else None
    data = _dataset(data_dir)
    paths, labels = data.paths[:count], data.labels[:count]
    _check(network.manifest, data, paths, labels if accuracy else [])
    test = settings.build(
        scenario,
        accuracy=accuracy,
        photographs=len(paths),
        user_conf=user_conf,
        min_duration=min_duration,
        samples=samples,
    )
    settings.seed(test, round_name)
    settings.seed_as_audited(test, audit_config or Path(AUDIT_CONFIG))
    threads = threads or computer.cpus()
    load = _loader(network.manifest)
    pace: Pace | None = None
    with _new_folder(output, scenario, accuracy) as folder:
        if device is None and scheduler is None:
            from harness.loadgen.sut import SystemUnderTest, measure

            models = _models(network, scenario, threads)
            if not accuracy and not settings.is_expected(test, scenario):
                settings.expect(test, scenario, measure(models, load(paths[0]), WARM_UP_SECONDS))
            images = SampleLibrary(paths, load, computer.cpus())
            host = SystemUnderTest(images, models)
            seconds = _run(test, images, host, folder, audit_config, accuracy, None)
            score = scores.read(folder, labels, settings.requirements(scenario), seconds)
        else:
            from harness.loadgen import modelled

            if device is not None and not settings.is_expected(test, scenario):
                settings.expect(test, scenario, device.throughput)
            before = time.perf_counter()
            if scheduler is None:
                answer = _answerer(network, load, threads)
            else:
                answer = _answered_by(scheduler, artifact, network, paths)
            elsewhere = time.perf_counter() - before
            answers = SampleLibrary(paths, answer, threads)
            overhead = modelled.binding_overhead() if device else 0.0
            latency = device.latency if device else _at_once
            system = modelled.ModelledSystem(answers.samples, latency, overhead)
            took = _run(test, answers, system, folder, audit_config, accuracy, device)
            seconds = elsewhere + took
            score = scores.read(folder, labels, settings.requirements(scenario), seconds)
            if device is not None and not accuracy:
                pace = modelled.pace(device, system, folder, score.merit, overhead)
    outcome.show(score, device, pace, folder)
    figures = outcome.figures(
        score, device, pace, folder, artifact=artifact, manifest=network.manifest, threads=threads
    )
    if device is not None:
        write_json(folder / MODELLED_JSON, figures)
    write_json(json_file, figures)
    good = score.valid and (pace is None or pace.kept)
    click.get_current_context().exit(0 if good else INVALID)


def _check_options(timing: str) -> None:
    """Refuse what would say something about a machine when it is this computer that is timed."""
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if timing == "host" and parameter.name in MODELLED_OPTIONS and given:
            raise DnaError(f"{parameter.opts[0]} goes with --timing modelled")


def _device(network: Artifact, artifact: Path, clock_mhz: float, memory: MemoryModel) -> Device:
    """The machine whose speed is modelled."""
    from rich.console import Console

    from harness.loadgen.modelled import Device
    from sim.cycles import predict
    from sw.artifact import program_of

    program = program_of(network, artifact)
    config = program.config
    with Console(stderr=True).status("predicting the cycles"):
        cycles = predict(program, memory).cycles
    return Device(
        config=config.name,
        macs=config.macs,
        clock_mhz=clock_mhz,
        cycles=cycles,
        memory=memory,
        dram_bytes_per_cycle=config.dram_bytes_per_cycle,
    )


def _dataset(data_dir: Path | None) -> Dataset:
    from harness.data import fetch
    from harness.data.datasets import Dataset, data_dir_from

    return Dataset(data_dir_from(data_dir) or fetch.photographs_dir())


def _check(
    manifest: Manifest, data: Dataset, paths: Sequence[Path], labels: Sequence[int | None]
) -> None:
    """Find what is wrong with the input before the work begins."""
    from harness.data import preprocess

    preprocess.check_input(manifest)
    classes = len(manifest.class_names)
    for number, label in enumerate(labels, 1):
        if label is None or label >= classes:
            what = "no label" if label is None else f"label {label}, of {classes} classes"
            raise DnaError(f"{data.list_file} line {number} has {what}: no accuracy can be told")
    first: dict[Path, int] = {}
    for number, path in enumerate(paths, 1):
        if (before := first.setdefault(path, number)) != number:
            raise DnaError(
                f"{data.list_file} line {number} has {path.name} again, as in line {before}; "
                "a photograph counts once"
            )
    for path in paths:
        preprocess.check_image(path)


@contextlib.contextmanager
def _new_folder(output: Path | None, scenario: str, accuracy: bool) -> Iterator[Path]:
    """The folder for the logs, never one that holds a test; gone if it is empty afterwards."""
    from harness.loadgen import logs

    root = OUTPUT_ROOT / scenario / ("accuracy" if accuracy else "performance")
    runs = (root / f"run_{number}" for number in itertools.count(1))
    folder = output or next(run for run in runs if not run.exists())
    if any((folder / name).exists() for name in logs.LOGS):
        raise DnaError(f"{folder} holds the logs of another test; choose another --output")
    try:
        folder.mkdir(parents=True, exist_ok=output is not None)
    except OSError as error:
        raise DnaError(f"cannot write {folder}: {error.strerror}") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # "not empty" is what it should be
            folder.rmdir()


def _models(network: Artifact, scenario: Scenario, threads: int) -> list[Model]:
    """One model with all threads for one image; one model a thread for several at once."""
    from sim.functional import FunctionalModel

    if scenario == "SingleStream":
        return [FunctionalModel(network.graph, threads=threads).run]
    return [FunctionalModel(network.graph, threads=1).run for _ in range(threads)]


def _loader(manifest: Manifest) -> Callable[[Path], Int8Array]:
    """Reads a photograph into what the network takes."""
    from harness.data.preprocess import load_image
    from sim.quantization import quantize

    return lambda path: quantize(load_image(path, manifest.preprocessing), manifest.input)


def _answerer(
    network: Artifact, load: Callable[[Path], Int8Array], threads: int
) -> Callable[[Path], Answer]:
    """Reads a photograph and answers it at once; for up to ``threads`` threads."""
    import queue

    import numpy as np

    from harness.loadgen.sut import answers
    from sim.functional import FunctionalModel

    models: queue.SimpleQueue[FunctionalModel] = queue.SimpleQueue()
    for _ in range(threads):
        models.put(FunctionalModel(network.graph, threads=1))

    def answer(path: Path) -> Answer:
        image = load(path)
        model = models.get()
        try:
            return answers(model.run(image[np.newaxis]))
        finally:
            models.put(model)

    return answer


def _answered_by(
    scheduler: str, artifact: Path, network: Artifact, paths: Sequence[Path]
) -> Callable[[Path], Answer]:
    """Has a cluster answer all photographs now, under a bar; the result looks the answer up."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from harness.loadgen import remote

    columns = ("answering", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=len(paths))
        answers = remote.answers(
            artifact, network, paths, scheduler, lambda count: progress.advance(bar, count)
        )
    known = dict(zip(paths, answers.reshape(-1, 1), strict=True))
    return known.__getitem__


def _at_once(samples: int) -> float:
    """No time passes between a query and its answers, which only accuracy runs may do."""
    return 0.0


def _run(
    test: mlperf_loadgen.TestSettings,
    library: SampleLibrary[Any],
    system: System,
    folder: Path,
    audit_config: Path | None,
    accuracy: bool,
    device: Device | None,
) -> float:
    """Run the test behind a progress display on stderr; with the time left if that is known.

    With a ``device`` the logs say that its time is modelled.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from harness.loadgen import runner
    from harness.loadgen.modelled import ModelledSystem, mark

    def finish(logs: Path) -> None:
        if device is not None:
            mark(logs, device)

    clock = TimeRemainingColumn() if accuracy else TimeElapsedColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), clock)
    paced = isinstance(system, ModelledSystem)
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, auto_refresh=not paced) as progress:
        task = progress.add_task("starting", total=len(library.paths) if accuracy else None)

        def show() -> None:
            if system.completed == 0:
                text = f"{library.loaded} photographs loaded"
            else:
                text = f"{system.completed} images answered"
            progress.update(task, description=text, completed=system.completed, refresh=paced)

        def tick() -> None:
            if not paced or system.completed == 0:
                show()

        if isinstance(system, ModelledSystem):
            system.idle = show
        audit = str(audit_config or runner.AUDIT_CONFIG)
        return runner.run(test, library, system, folder, tick, audit=audit, finish=finish)
