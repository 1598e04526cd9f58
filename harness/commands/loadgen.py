"""``dna loadgen``: an MLPerf test of an artifact."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import mlperf_loadgen

    from harness.datasets import Dataset
    from harness.loadgen.qsl import Int8Array, SampleLibrary
    from harness.loadgen.score import Score
    from harness.loadgen.settings import Scenario
    from harness.loadgen.sut import Model, SystemUnderTest
    from sw.artifact import Artifact, Manifest

OUTPUT_ROOT = Path("build/loadgen")
WARM_UP_SECONDS = 2.0
INVALID = 1


@click.command("loadgen", short_help="Run MLPerf's LoadGen: latency, throughput or accuracy.")
@click.argument("artifact", type=PATH)
@click.option(
    "--scenario",
    type=click.Choice(["SingleStream", "Offline"]),
    required=True,
    help="One query after the other, or all at once.",
)
@click.option("--accuracy", is_flag=True, help="Answer every photograph once; no speed.")
@click.option(
    "--data-dir",
    type=PATH,
    metavar="DIR",
    help="Photographs with val_map.txt. Default: $DATA_DIR, else those of `dna fetch`.",
)
@click.option("--count", type=click.IntRange(min=1), help="Only the first COUNT photographs.")
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
    accuracy: bool,
    data_dir: Path | None,
    count: int | None,
    user_conf: Path | None,
    min_duration: float | None,
    samples: int | None,
    threads: int | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Run an MLPerf test of ARTIFACT with the functional model on this computer.

    The figures are LoadGen's own. Exit code 0 means that LoadGen calls the run VALID or, with
    --accuracy, that every photograph was answered; 1 that it does not. The times are those of this
    computer (timing "host"), not of the hardware.

    \b
    Examples:
      dna loadgen resnet50.dna --scenario SingleStream
      dna loadgen resnet50.dna --scenario Offline --min-duration 10
      dna loadgen resnet50.dna --scenario Offline --accuracy --data-dir imagenet
    """  # noqa: D301 (click reads the escape)
    from harness import machine
    from harness.loadgen import score as scores
    from harness.loadgen import settings
    from harness.loadgen.qsl import SampleLibrary
    from harness.loadgen.sut import SystemUnderTest, measure
    from sw import artifact as artifacts

    check_writable(json_file)
    network = artifacts.load(artifact)
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
    threads = threads or machine.cpus()
    models = _models(network, scenario, threads)
    load = _loader(network.manifest)
    with _new_folder(output, scenario, accuracy) as folder:
        if not accuracy and not settings.is_expected(test, scenario):
            settings.expect(test, scenario, measure(models, load(paths[0]), WARM_UP_SECONDS))
        library = SampleLibrary(paths, load, machine.cpus())
        seconds = _run(test, library, SystemUnderTest(library, models), folder)
    score = scores.read(folder, labels, settings.requirements(scenario), seconds)
    _print(score, folder)
    write_json(json_file, _figures(score, artifact, network, threads, folder))
    click.get_current_context().exit(0 if score.valid else INVALID)


def _dataset(data_dir: Path | None) -> Dataset:
    from harness import fetch
    from harness.datasets import Dataset, data_dir_from

    return Dataset(data_dir_from(data_dir) or fetch.photographs_dir())


def _check(
    manifest: Manifest, data: Dataset, paths: Sequence[Path], labels: Sequence[int | None]
) -> None:
    """Find what is wrong with the input before the work begins."""
    from harness import preprocess

    preprocess.check_input(manifest)
    classes = len(manifest.class_names)
    for number, label in enumerate(labels, 1):
        if label is None or label >= classes:
            what = "no label" if label is None else f"label {label}, of {classes} classes"
            raise DnaError(f"{data.list_file} line {number} has {what}: no accuracy can be told")
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
    """One model with all threads for latency; one model a thread for throughput."""
    from sim.functional import FunctionalModel

    if scenario == "SingleStream":
        return [FunctionalModel(network.graph, threads=threads).run]
    return [FunctionalModel(network.graph, threads=1).run for _ in range(threads)]


def _loader(manifest: Manifest) -> Callable[[Path], Int8Array]:
    """Reads a photograph into what the network takes."""
    from harness.preprocess import load_image
    from sim.runtime import quantize

    return lambda path: quantize(load_image(path, manifest.preprocessing), manifest.input)


def _run(
    test: mlperf_loadgen.TestSettings,
    library: SampleLibrary,
    system: SystemUnderTest,
    folder: Path,
) -> float:
    """Run the test behind a progress display on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from harness.loadgen import runner

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def tick() -> None:
            if system.completed == 0:
                progress.update(task, description=f"{library.loaded} photographs loaded")
            else:
                progress.update(task, description=f"{system.completed} images answered")

        return runner.run(test, library, system, folder, tick)


def _print(score: Score, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"LoadGen {score.scenario}, {score.mode}", show_header=False)
    if score.mode == "accuracy":
        table.add_row("complete", "yes" if score.valid else "NO")
    else:
        table.add_row("result", "VALID" if score.valid else "INVALID")
    for name, value, unit in (
        ("90th percentile latency", score.p90_ms, "ms"),
        ("mean latency", score.mean_ms, "ms"),
        ("samples per second", score.qps, ""),
        ("top-1", None if score.top1 is None else 100 * score.top1, "%"),
        ("images", score.images, ""),
        ("seconds", score.seconds, ""),
    ):
        if value is not None:
            text = f"{value}" if isinstance(value, int) else f"{value:.2f}"
            table.add_row(name, f"{text} {unit}".rstrip())
    table.add_row("logs", str(folder))
    console = Console(soft_wrap=True)
    console.print(table)
    if score.shortfalls:
        less = "Less" if score.full_length else "Shorter"
        console.print(f"{less} than MLPerf asks: {', '.join(score.shortfalls)}.")
    for error in score.errors:
        console.print(f"LoadGen reports an error: {error}", markup=False)


def _figures(
    score: Score, artifact: Path, network: Artifact, threads: int, folder: Path
) -> dict[str, object]:
    import dataclasses
    import importlib.metadata

    from harness import machine

    return {
        **dataclasses.asdict(score),
        "timing": "host",
        "artifact": str(artifact),
        "model": network.manifest.model,
        "machine": machine.description(),
        "threads": threads,
        "loadgen": importlib.metadata.version("mlcommons-loadgen"),
        "output": str(folder),
    }
