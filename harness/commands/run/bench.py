"""``dna bench``: the functional model against other int8 engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.bench.isas import LIMITS
from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.numbers import Count
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.bench.measure import ContenderResult

WRONG_BITS = 1


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
    type=Count("turns", 10_000),
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
@click.option(
    "--isa",
    type=click.Choice(tuple(LIMITS)),
    help="Hold the engines that can be limited to these instructions; the others are no peers.",
)
@json_option
def command(
    artifact: Path,
    rounds: int,
    threads: tuple[int, ...],
    isa: str | None,
    json_file: Path | None,
) -> None:
    """Measure images per second of ARTIFACT in the functional model and in other int8 engines.

    Every engine gets the same quantized network, one image at a time, in a process of its own with
    its best settings; they take turns. The functional model's bits are compared with the reference
    in the same run; the others' outputs are compared too, to show that they compute the same
    network. Who cannot run it is named with the reason. Exit code 1 if a bit of the functional
    model differs.

    The table says by each engine's own records what computes its convolutions,
    what part that is of a measured loop of nothing but dot products, and
    whether sums are exact: instructions without VNNI may saturate. LiteRT and
    ONNX Runtime cannot be limited.

    \b
    Example:
      dna bench build/resnet50 --rounds 20 --json build/bench.json
    """  # noqa: D301 (click reads the escape)
    from harness.bench.packages import check_installed

    check_installed()
    from harness.bench import limits, measure
    from harness.bench.contenders import OURS
    from harness.bench.figures import figures as of_results
    from harness.data.inputs import check_alone
    from harness.host import computer
    from harness.host.terminal import Console
    from sim.functional.isa import chosen
    from sim.functional.peak import peak
    from sw.artifact import load

    check_writable(json_file)
    network = load(artifact)
    check_alone(network.manifest)
    graph = network.graph
    if max(threads) > computer.cpus():
        raise DnaError(f"--threads {max(threads)} is more than the {computer.cpus()} CPUs here")
    images = measure.noise(graph, measure.CHECKED_IMAGES)
    results: dict[int, dict[str, ContenderResult]] = {}
    peaks: dict[int, float] = {}
    missing: dict[str, str] = {}
    ranked = len(graph.outputs) == 1 and len(graph.tensors[graph.output].shape) == 1
    # Our own bits are checked with the same instructions.
    with limits.held(isa), Console(stderr=True).status("") as status:
        used = chosen()
        expected, bits = measure.check_bits(graph, images, status.update)
        for count in threads:
            results[count], missing = measure.compare(
                artifact, count, rounds, images, expected, status.update, isa, ranked=ranked
            )
            if used is not None:
                peaks[count] = peak(used, count)
    # The timed sessions fuse what the check of every tensor keeps apart: their logits count too.
    ours = [result[OURS] for result in results.values()]
    bits = bits._replace(
        values=bits.values + sum(result.logits for result in ours),
        mismatches=bits.mismatches + sum(result.differing for result in ours),
    )
    macs = sum(map(graph.macs, graph.operations))
    figures = of_results(artifact, results, bits, missing=missing, isa=isa, macs=macs, peaks=peaks)
    _print(results, figures)
    write_json(json_file, figures)
    click.get_current_context().exit(WRONG_BITS if bits.mismatches else 0)


def _kernels(result: ContenderResult, isa: str | None) -> str:
    limit = "" if isa is None or result.limited else "cannot be limited"
    return ", ".join(filter(None, (limit, *result.kernels[:2])))


def _print(results: dict[int, dict[str, ContenderResult]], figures: dict[str, Any]) -> None:
    from harness.bench import measure
    from harness.host.terminal import Console, Table

    console = Console()
    for count, contenders in results.items():
        table = Table("engine", "variant", title=f"batch 1, threads: {count}")
        table.add_columns("images/s", "ms", "of peak", "CPUs", "values off", "top-1", right=True)
        table.add_columns("sums", "kernels")
        shares = figures["details"][str(count)]
        for contender, result in contenders.items():
            table.add_row(
                contender,
                result.variant,
                f"{result.images_per_s:.1f}",
                f"{1000 / result.images_per_s:.2f}",
                "" if (share := shares[contender]["share_of_peak"]) is None else f"{share:.0%}",
                f"{result.processors:.2f}",
                f"{result.differing}/{result.logits}",
                "" if result.agreeing is None else f"{result.agreeing}/{measure.CHECKED_IMAGES}",
                "exact" if result.exact else "saturate",
                _kernels(result, figures["isa"]),
            )
        console.print(table)
        peer, ratio = figures["best_peer"][str(count)], figures["ratio"][str(count)]
        if peer is None:
            console.print("no peer was limited and has exact sums\n")
        else:
            console.print(f"functional / best peer ({peer}): {ratio:.2f}\n")
    for contender, reason in figures["cannot_run"].items():
        console.print(f"{contender} cannot run it: {reason}")
    console.print(
        "CPUs: processor time over wall time. Values off, top-1: against the reference.\n"
        f"functional against reference: {figures['values']:,} values compared, "
        f"{figures['mismatches']:,} differ"
    )
    console.print(figures["machine"])
