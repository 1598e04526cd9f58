"""``dna compare``: the same bits from the reference, the functional model and LiteRT."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.numbers import RANDOM_INPUTS, WORKERS, Count

DIFFERENT = 1


@click.command("compare", short_help="Compare the bits of all engines at every operator.")
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, nargs=-1, metavar="[INPUT]...")
@click.option(
    "--random", "noise", type=Count("inputs", RANDOM_INPUTS), metavar="N", help="N random inputs."
)
@click.option("--jobs", type=WORKERS, help="Processes. Default: all CPUs.")
@json_option
def command(
    model: Path,
    inputs: tuple[Path, ...],
    noise: int | None,
    jobs: int | None,
    json_file: Path | None,
) -> None:
    """Compare MODEL's every operator: functional model and reference against LiteRT.

    MODEL is an artifact, or a .tflite file, which then runs in LiteRT as it is. An INPUT is a
    photograph or a .npy file. Without any, an artifact takes all photographs of `dna fetch` (20; a
    few minutes), a .tflite file 3 random inputs. Exit code 0 means that no value differs, 1 that
    one does.

    \b
    Examples:
      dna compare resnet50.dna cat.jpg --json compared.json
      dna compare mobilenet.tflite --random 10
    """  # noqa: D301 (click reads the escape)
    from harness.host import computer
    from harness.host.terminal import Console, Table, counted
    from harness.verify import operators
    from sim.compare.engines import total

    check_writable(json_file)
    compared = operators.read(model)
    chosen = operators.inputs(compared, inputs, noise)
    with counted(Console(stderr=True), "comparing", len(chosen)) as done:
        rows = total(operators.compare(compared, chosen, jobs or computer.cpus(), done))
    values = sum(row.values for row in rows)
    mismatches = sum(row.mismatches for row in rows)

    console = Console()
    if mismatches:
        table = Table("operator", "values", "mismatches", "first difference", "quantization")
        for row in rows:
            if row.first is not None:
                first = row.first
                told = f"{first.engine} {first.got}, LiteRT {first.expected} at {list(first.where)}"
                how = compared.quantization(row.operation)
                table.add_row(row.operation, f"{row.values:,}", f"{row.mismatches:,}", told, how)
        console.print(table)
    console.print(
        f"{len(chosen)} inputs, {len(rows)} operators, functional model and reference "
        f"against LiteRT: {values:,} values compared, {mismatches:,} differ"
    )
    write_json(
        json_file,
        {
            "model": str(model),
            "inputs": len(chosen),
            "values": values,
            "mismatches": mismatches,
            "operators": [
                {"name": row.operation, "values": row.values, "mismatches": row.mismatches}
                for row in rows
            ],
        },
    )
    if mismatches:
        raise SystemExit(DIFFERENT)
