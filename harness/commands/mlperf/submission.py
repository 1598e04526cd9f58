"""``dna submission``: a tree to hand in to MLPerf."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import (
    PATH,
    check_writable,
    data_dir_option,
    json_option,
    write_json,
)
from harness.commands.numbers import CLOCK, CYCLES, DURATION, PORT
from sw.errors import DnaError
from sw.host import files

if TYPE_CHECKING:
    from harness.data.coco import Coco
    from harness.data.datasets import Dataset
    from harness.mlperf.submissions.series import Series
    from sw.artifact import Artifact

FAILED = 1
NEWEST = "v6.1"
round_option = click.option(
    "--round",
    "round_name",
    default=NEWEST,
    show_default=True,
    metavar="NAME",
    help="MLPerf's round: v1.1, v6.0 or v6.1.",
)
RESNET50 = "resnet50"


@click.group("submission", short_help="Make and check a submission to MLPerf.")
def command() -> None:
    """Make a submission to MLPerf Inference, and check it.

    \b
    Example:
      dna submission template -o system.json        # fill in what is null
      dna submission build f200.dna --system system.json --timing modelled \\
        --data-dir imagenet -o submission   # or: --timing f200.json
      dna submission check submission/tree --reference inference
      dna submission build detector.dna --benchmark yolo-95 --system system.json \\
        --data-dir coco -o submission
    """  # noqa: D301 (click reads the escape)


@command.command()
@click.option("-o", "--output", type=PATH, required=True, metavar="FILE")
def template(output: Path) -> None:
    """Write the part of the system's description that only you know; fill in what is null."""
    from harness.mlperf.submissions import system

    if output.exists():
        raise DnaError(f"{output} exists; choose another --output")
    files.write(output, json.dumps(system.template(), indent=2) + "\n")
    for name, meaning in system.ASKED.items():
        click.echo(f"{name}: {meaning}")


@command.command()
@click.argument("artifact", type=PATH)
@click.option(
    "--system",
    "system_file",
    type=PATH,
    required=True,
    metavar="FILE",
    help="What you say of the system (`dna submission template`).",
)
@round_option
@click.option(
    "--benchmark",
    type=click.Choice([RESNET50, "yolo-95", "yolo-99"]),
    default=RESNET50,
    show_default=True,
    help="What ARTIFACT is handed in as.",
)
@click.option(
    "--timing",
    default="host",
    show_default=True,
    metavar="host|modelled|FILE",
    help="As of `dna loadgen`: FILE is what `dna timing` proved of the machine.",
)
@click.option("--clock", type=CLOCK, metavar="MHZ")
@click.option("--memory", "memory_name", metavar="NAME", help="As of `dna loadgen`.")
@click.option("--memory-latency", type=CYCLES, metavar="CYCLES")
@click.option("--memory-bandwidth", type=PORT, metavar="PART")
@data_dir_option
@click.option(
    "--min-duration",
    type=DURATION,
    metavar="SECONDS",
    help="For a rehearsal: shorter runs, which no checker accepts.",
)
@click.option(
    "--reference",
    type=PATH,
    metavar="DIR",
    help="A checkout of mlcommons/inference: its scripts judge the compliance tests.",
)
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR")
def build(
    artifact: Path,
    system_file: Path,
    round_name: str,
    benchmark: str,
    timing: str,
    clock: float | None,
    memory_name: str | None,
    memory_latency: int | None,
    memory_bandwidth: float | None,
    data_dir: Path | None,
    min_duration: float | None,
    reference: Path | None,
    output: Path,
) -> None:
    """Do all runs that a round asks for, and write the tree.

    The runs go to DIR/runs, one folder each, the tree to DIR/tree. A finished run is kept: after an
    interruption the same command goes on where it stopped, and only the run in progress is lost.
    ARTIFACT must be ResNet50 (v1 or v1.5), as which it is submitted; for yolo-95 or yolo-99 a
    detector of COCO's classes, which belongs to the open division.
    Exit code 1 means that a compliance test failed.
    """
    from harness.data.inputs import check_alone
    from harness.hardware.timing import clock as clocks
    from harness.mlperf.audit import compliance_scripts
    from harness.mlperf.submissions import rounds, submission, system
    from harness.mlperf.submissions.alone import alone
    from harness.mlperf.submissions.series import Series
    from sw import artifact as artifacts

    round_, entry = rounds.find(round_name), rounds.find_entry(benchmark)
    tests = round_.tests_of(entry)
    said = system.read(system_file)
    network = artifacts.load(artifact)
    check_alone(network.manifest)
    proof = None if timing in ("host", "modelled") else Path(timing).absolute()
    if timing != "host":
        clocks.chosen(artifacts.program_of(network, artifact).config, proof, clock)
    data = _data(benchmark, data_dir)
    if reference is not None:
        compliance_scripts.check(reference, tests)
    submission.check_output(output / "tree")
    _check_network(benchmark, network, data, said["division"])
    options = ["--timing", str(proof or timing), "--data-dir", str(data.data_dir.absolute())]
    if entry is not rounds.RESNET50:
        options += ["--benchmark", entry.benchmark.name]
    for name, value in (
        ("--clock", clock),
        ("--memory", memory_name),
        ("--memory-latency", memory_latency),
        ("--memory-bandwidth", memory_bandwidth),
        ("--min-duration", min_duration),
    ):
        if value is not None:
            options += [name, str(value)]
    with alone(output):
        runs = output / "runs"
        series = Series(runs, round_, artifact, tuple(options), data.list_file, proof, entry)
        _report_kept(series)
        series.complete(click.echo)
        failed = submission.write(series, network, said, output / "tree", reference)
    _show(series, failed)
    click.echo(output / "tree")
    click.get_current_context().exit(FAILED if failed else 0)


def _data(benchmark: str, data_dir: Path | None) -> Dataset | Coco:
    """The photographs."""
    from harness.data import fetch
    from harness.data.coco import Coco, folder_of
    from harness.data.datasets import Dataset

    return Dataset(fetch.data_dir(data_dir)) if benchmark == RESNET50 else Coco(folder_of(data_dir))


def _check_network(benchmark: str, network: Artifact, data: Dataset | Coco, division: str) -> None:
    """Fail if a network is none to hand in so."""
    from harness.data.coco import Coco
    from harness.loadgen.systems.detections import Detections
    from harness.mlperf import resnet50

    if not isinstance(data, Coco):
        resnet50.check(network)
        return
    if division == "closed":
        raise DnaError(
            f"{benchmark} in the closed division is YOLO11l itself, whose attention no machine "
            f"here computes; {network.manifest.model} is another network: division open"
        )
    Detections(network, data, None)


def _report_kept(series: Series) -> None:
    missing = series.missing()
    kept = [run for run in series.runs if run not in missing]
    if kept:
        click.echo(f"{len(kept)} finished runs are kept: {', '.join(map(str, kept))}")
    if missing:
        click.echo(
            f"{len(missing)} runs to do; a timed one takes 10 minutes or more at full length"
        )


def _show(series: Series, failed: list[str]) -> None:
    """What the runs of each scenario had."""
    from harness.host.terminal import Console, Table
    from harness.loadgen.results.score import MERIT
    from harness.mlperf.submissions.series import ACCURACY, PERFORMANCE, Run

    units = {"p90_ms": "ms, 90th percentile", "p99_ms": "ms, 99th percentile", "qps": "images/s"}
    benchmark = series.entry.benchmark
    table = Table("scenario", "performance", benchmark.metric_name, "compliance tests")
    for scenario in series.round.scenarios:
        merit = MERIT[scenario]
        speed = series.figures(Run(scenario, PERFORMANCE))
        right = series.figures(Run(scenario, ACCURACY))
        tests = (
            f"{test} {'FAILED' if f'{scenario} {test}' in failed else 'passed'}"
            for test in series.tests
        )
        table.add_row(
            scenario,
            f"{speed[merit]:.4f} {units[merit]}, {speed['timing']}",
            f"{100 * right[benchmark.metric]:.3f} % of {right['images']}",
            ", ".join(tests),
        )
    Console().print(table)


@command.command()
@click.argument("tree", type=PATH)
@round_option
@click.option(
    "--reference",
    type=PATH,
    metavar="DIR",
    help="A checkout of mlcommons/inference: its checker judges. Default: a part of its rules.",
)
@json_option
def check(tree: Path, round_name: str, reference: Path | None, json_file: Path | None) -> None:
    """Check TREE. Exit code 0 if there is nothing to object to, 1 if there is."""
    from harness.mlperf.submissions import check as checks
    from harness.mlperf.submissions import rounds

    check_writable(json_file)
    round_ = rounds.find(round_name)
    if reference is None:
        findings = checks.check(tree, round_)
        clean = not findings
    else:
        clean, findings = checks.check_officially(tree, round_, reference)
    for finding in findings:
        click.echo(finding)
    judge = f"the checker of {reference}" if reference else "open DNA's part of the rules"
    click.echo(f"{'nothing to object to' if clean else 'objections'}, says {judge}")
    figures = {"clean": clean, "findings": findings, "round": round_name, "judge": judge}
    write_json(json_file, figures)
    click.get_current_context().exit(0 if clean else FAILED)
