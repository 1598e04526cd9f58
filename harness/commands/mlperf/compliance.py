"""``dna compliance``: MLPerf's compliance tests."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.common import PATH, check_writable, json_option, write_json

FAILED = 1
benchmark_option = click.option(
    "--benchmark",
    type=click.Choice(["resnet50", "yolo"]),
    default="resnet50",
    show_default=True,
    help="Whose test it is.",
)


@click.group("compliance", short_help="MLPerf's compliance tests TEST01, TEST04, TEST05.")
def command() -> None:
    """Run and verify MLPerf's compliance tests.

    A test is a performance run with other settings. `dna submission build` runs all that a round
    asks for; by hand:

    \b
    Example:
      dna compliance audit TEST01 > test01.config
      dna loadgen resnet50.dna --scenario Offline --audit-config test01.config -o test01
      dna compliance verify TEST01 test01 --performance performance --accuracy accuracy
    """  # noqa: D301 (click reads the escape)


@command.command()
@click.argument("test")
@benchmark_option
def audit(test: str, benchmark: str) -> None:
    """Print LoadGen's settings of TEST, for `dna loadgen --audit-config`."""
    from harness.loadgen.configuration import benchmarks
    from harness.mlperf.audit import compliance

    click.echo(compliance.audit_config(test, benchmarks.find(benchmark)), nl=False)


@command.command()
@click.argument("test")
@click.argument("run", type=PATH)
@benchmark_option
@click.option(
    "--performance", type=PATH, required=True, metavar="DIR", help="Logs of the performance run."
)
@click.option(
    "--accuracy", type=PATH, required=True, metavar="DIR", help="Logs of the accuracy run."
)
@click.option(
    "--reference",
    type=PATH,
    metavar="DIR",
    help="A checkout of mlcommons/inference: its own script judges. Default: our reading.",
)
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Also write a submission's files.")
@json_option
def verify(
    test: str,
    run: Path,
    benchmark: str,
    performance: Path,
    accuracy: Path,
    reference: Path | None,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Say whether RUN, LoadGen's logs of TEST, passes. Exit code 0 if it does, 1 if not."""
    from harness.loadgen.configuration import benchmarks
    from harness.mlperf.audit import compliance, compliance_scripts

    check_writable(json_file)
    if reference is None:
        whose = benchmarks.find(benchmark)
        verdict = compliance.verify(test, run, performance, accuracy, whose)
    else:
        verdict = compliance_scripts.verify(test, run, performance, accuracy, reference)
    click.echo(verdict.performance_text + verdict.accuracy_text, nl=False)
    if output is not None:
        compliance.write(test, verdict, run, output)
    figures = {
        "test": test,
        "passed": verdict.passed,
        "performance": verdict.performance,
        "accuracy": verdict.accuracy,
        "judge": str(reference or "open DNA"),
    }
    write_json(json_file, figures)
    click.get_current_context().exit(0 if verdict.passed else FAILED)
