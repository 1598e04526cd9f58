"""``dna bench``: the functional model against other int8 engines."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.bench.measure import Bits, EngineResult

WRONG_BITS = 1
CHECKED_IMAGES = 4


def _counts(context: click.Context, parameter: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        counts = tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise click.BadParameter(
            f"{value!r} is not a list of thread counts such as 1,2", context, parameter
        )
    return counts


@click.command("bench", short_help="Measure speed beside OpenVINO, ONNX Runtime and others.")
@click.argument("artifact", type=PATH)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Turns that each engine gets; the median counts.",
)
@click.option(
    "--threads",
    callback=_counts,
    default="1,2",
    show_default=True,
    metavar="N,N...",
    help="Thread counts to measure, one after the other.",
)
@json_option
def command(artifact: Path, rounds: int, threads: tuple[int, ...], json_file: Path | None) -> None:
    """Measure images per second of ARTIFACT in the functional model and in other int8 engines.

    Every engine gets the same quantized network, one image at a time, in a process of its own with
    its best settings; they take turns. The functional model's bits are compared with the reference
    in the same run; the others' logits are compared too, to show that they compute the same
    network. Exit code 1 if a bit of the functional model differs.

    \b
    Example:
      dna bench build/resnet50 --rounds 20 --json build/bench.json
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console

    _check_packages()
    from harness.bench import measure
    from harness.host import computer
    from sw.artifact import load

    check_writable(json_file)
    graph = load(artifact).graph
    if max(threads) > computer.cpus():
        raise DnaError(f"--threads {max(threads)} is more than the {computer.cpus()} CPUs here")
    images = measure.noise(graph, CHECKED_IMAGES)
    results: dict[int, dict[str, EngineResult]] = {}
    with Console(stderr=True).status("") as status:
        expected, bits = measure.check_bits(graph, images, status.update)
        for count in threads:
            results[count] = measure.compare(
                artifact, count, rounds, images, expected, status.update
            )
    # The timed sessions fuse what the check of every tensor keeps apart: their logits count too.
    ours = [result[measure.OURS] for result in results.values()]
    bits = bits._replace(
        values=bits.values + sum(result.logits for result in ours),
        mismatches=bits.mismatches + sum(result.differing for result in ours),
    )
    figures = _figures(artifact, results, bits)
    _print(results, figures)
    write_json(json_file, figures)
    click.get_current_context().exit(WRONG_BITS if bits.mismatches else 0)


def _check_packages() -> None:
    from harness.bench.engines import PACKAGES

    for package in (*PACKAGES.values(), "onnx"):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise DnaError(
                f"{package} is not installed; run `pip install --editable '.[quantize,bench]'`"
            ) from None


def _figures(
    artifact: Path, results: dict[int, dict[str, EngineResult]], bits: Bits
) -> dict[str, Any]:
    from harness.bench.engines import PACKAGES
    from harness.bench.measure import OURS
    from harness.host import computer

    speeds = {
        str(count): {engine: result.images_per_s for engine, result in engines.items()}
        for count, engines in results.items()
    }
    peers = {
        count: max((engine for engine in engines if engine != OURS), key=engines.__getitem__)
        for count, engines in speeds.items()
    }
    return {
        "artifact": str(artifact),
        "machine": computer.description(),
        "versions": {
            engine: importlib.metadata.version(package) for engine, package in PACKAGES.items()
        },
        "images_per_s": speeds,
        "best_peer": peers,
        "ratio": {count: speeds[count][OURS] / speeds[count][peers[count]] for count in speeds},
        "values": bits.values,
        "mismatches": bits.mismatches,
        "details": {
            str(count): {
                engine: {
                    "variant": result.variant,
                    "rounds": result.rounds,
                    "processors": result.processors,
                    "logits": result.logits,
                    "differing": result.differing,
                    "top1_agreement": result.agreeing / CHECKED_IMAGES,
                }
                for engine, result in engines.items()
            }
            for count, engines in results.items()
        },
    }


def _print(results: dict[int, dict[str, EngineResult]], figures: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False)
    for count, engines in results.items():
        table = Table(title=f"batch 1, threads: {count}", title_justify="left", box=SIMPLE_HEAD)
        for column in ("engine", "variant"):
            table.add_column(column, no_wrap=True)
        for column in ("images/s", "ms", "CPUs", "logits off", "top-1"):
            table.add_column(column, justify="right", no_wrap=True)
        for engine, result in engines.items():
            table.add_row(
                engine,
                result.variant,
                f"{result.images_per_s:.1f}",
                f"{1000 / result.images_per_s:.2f}",
                f"{result.processors:.2f}",
                f"{result.differing}/{result.logits}",
                f"{result.agreeing}/{CHECKED_IMAGES}",
            )
        console.print(table)
        peer, ratio = figures["best_peer"][str(count)], figures["ratio"][str(count)]
        console.print(f"functional / best peer ({peer}): {ratio:.2f}\n")
    console.print(
        "CPUs: processor time over wall time. Logits off, top-1: against the reference.\n"
        f"functional against reference: {figures['values']:,} values compared, "
        f"{figures['mismatches']:,} differ"
    )
    console.print(figures["machine"])
