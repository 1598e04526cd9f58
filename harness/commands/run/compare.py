"""``dna compare``: which runtimes have the same bits, operator by operator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.numbers import RANDOM_INPUTS, WORKERS, Count
from harness.verify import INTERPRETER
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.host.terminal import Console
    from harness.verify.side_by_side import Machine
    from sim.compare.engines import Comparison

DIFFERENT = 1
ONNX = ".onnx"

_PRODUCT = ("one float32 product, halves to even", "fixed point of 31 bits, two roundings")
_FLOATS = ("float32 after integer sums", "sums of real numbers in float32")
RULES = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), _PRODUCT),
    "ADD": ("21 bits of fixed point, halves up", "fixed point of 31 bits, three roundings"),
    "MEAN": ("float32 of the sum", "fixed point of 31 bits"),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2D", "FullyConnected"), _FLOATS),
    "Add": ("21 bits of fixed point, halves up", "a sum in float32, halves to even"),
    "Mean": ("float32 of the sum", "an average in float32, halves to even"),
    "AveragePool2D": ("halves away from zero", "an average in float32, halves to even"),
}
"""By the operator of a file or the operation of a graph: how the contract rounds (docs/numerics.md)
and that of whoever computes it otherwise."""
UNKNOWN = ("docs/numerics.md", "its own")


@click.command("compare", short_help="Compare the bits of all engines at every operator.")
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, nargs=-1, metavar="[INPUT]...")
@click.option(
    "--random", "noise", type=Count("inputs", RANDOM_INPUTS), metavar="N", help="N random inputs."
)
@click.option(
    "--config",
    "config_name",
    metavar="NAME",
    help="Also compile it for this machine and run its program on the first input.",
)
@click.option(
    "--engine",
    type=click.Choice([INTERPRETER, "cxxrtl", "pysim"]),
    default=INTERPRETER,
    show_default=True,
    help="With --config: how far, the program without hardware alone, or the hardware in RTL too.",
)
@click.option("--jobs", type=WORKERS, help="Processes. Default: all CPUs.")
@json_option
def command(
    model: Path,
    inputs: tuple[Path, ...],
    noise: int | None,
    config_name: str | None,
    engine: str,
    jobs: int | None,
    json_file: Path | None,
) -> None:
    """Compare MODEL's every operator in all runtimes that compute it.

    MODEL is an artifact, or a .tflite or .onnx file, which then runs in its own runtime as it is:
    functional model and reference against LiteRT with its delegate, whose values are the contract.
    Of a .tflite file every operator also runs in LiteRT's own kernels, without the delegate, on the
    same operands; of an .onnx file in ONNX Runtime. One table has them side by side, and with
    --config what the compiled program computes too. Where runtimes differ, another says in which
    operator, by how many steps, and which rule is whose.

    An INPUT is a photograph or a .npy file. Without any, an artifact takes all photographs of `dna
    fetch` (20; a few minutes), a file 3 random inputs. Exit code 0 means that no value of ours
    differs (from ONNX Runtime: none that rounding does not explain), 1 that one does.

    \b
    Examples:
      dna compare resnet50.dna cat.jpg --json compared.json
      dna compare mobilenet.tflite --random 10
      dna compare resnet50.onnx
      dna compare mobilenet.tflite --config micro --engine cxxrtl
    """  # noqa: D301 (click reads the escape)
    from harness.host import computer
    from harness.host.terminal import Console, Table, counted
    from harness.verify import operators
    from harness.verify.side_by_side import on_the_machine, table_of
    from sim.compare.engines import ENGINES, total

    check_writable(json_file)
    rtl = None if engine == INTERPRETER else engine
    if rtl is not None and config_name is None:
        raise DnaError(f"--engine {engine} runs a machine: --config NAME says which")
    if model.suffix == ONNX:
        machine = (config_name, rtl)
        _onnx(model, inputs, noise or operators.RANDOM_INPUTS, machine, json_file)
        return
    compared = operators.read(model)
    chosen = operators.inputs(compared, inputs, noise)
    with counted(Console(stderr=True), "comparing", len(chosen)) as done:
        rows = total(operators.compare(compared, chosen, jobs or computer.cpus(), done))
    ran = None
    if config_name is not None:
        ran = on_the_machine(compared.graph, config_name, chosen[0], rtl)
    values = sum(row.values for row in rows)
    mismatches = sum(row.mismatches for row in rows)

    console = Console()
    lines = [
        {
            "name": row.operation,
            "values": row.values // len(ENGINES),
            "tensor": compared.origins[row.operation][-1],
            **{name: row.differ.get(name, 0) for name in ENGINES},
            "LiteRT, no delegate": row.built_in,
        }
        for row in rows
    ]
    console.print(table_of(lines, ran))
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
    _print_built_in(console, rows)
    write_json(
        json_file,
        {
            "model": str(model),
            "inputs": len(chosen),
            "values": values,
            "mismatches": mismatches,
            "operators": [
                {
                    "name": row.operation,
                    "values": row.values,
                    "mismatches": row.mismatches,
                    "built_in_differ": row.built_in,
                    "built_in_largest": row.largest,
                    **_of_machine(ran, compared.origins[row.operation][-1]),
                }
                for row in rows
            ],
        },
    )
    if mismatches or (ran and ran.mismatches):
        raise SystemExit(DIFFERENT)


def _of_machine(machine: Machine | None, tensor: str) -> dict[str, int | None]:
    """What differs on the machine at a tensor, for JSON."""
    if machine is None:
        return {}
    return {f"{engine}_differ": machine.of(engine, tensor) for engine in machine.engines}


def _print_built_in(console: Console, rows: list[Comparison]) -> None:
    """Where LiteRT's own kernels compute another thing than its delegate."""
    from harness.host.terminal import Table
    from sim.compare.engines import ENGINES

    tried = [row for row in rows if row.built_in is not None]
    if not tried:
        return
    table = Table("operator", "values", "differ", "largest", "the contract", "LiteRT's own kernel")
    for row in tried:
        if row.built_in:
            ours, theirs = RULES.get(row.operation.partition(" ")[2], UNKNOWN)
            step = f"{row.largest} of 255 steps"
            values = f"{row.values // len(ENGINES):,}"
            table.add_row(row.operation, values, f"{row.built_in:,}", step, ours, theirs)
    differing = sum(1 for row in tried if row.built_in)
    if differing:
        console.print(table)
    console.print(
        f"LiteRT without its delegate, each operator on the same operands: {differing} of "
        f"{len(tried)} operators have other values, {sum(row.built_in or 0 for row in tried):,} in "
        "all"
    )


def _onnx(
    model: Path,
    inputs: tuple[Path, ...],
    count: int,
    machine: tuple[str | None, str | None],
    json_file: Path | None,
) -> None:
    """An ONNX file: ONNX Runtime against the graph, and the graph in our engines and in LiteRT."""
    from harness.host.terminal import Console, Table
    from harness.verify.onnx_file import compared_onnx
    from harness.verify.side_by_side import table_of

    if inputs:
        raise DnaError("an .onnx file is compared on random inputs: --random N")
    figures, ran = compared_onnx(model, count, *machine)
    console = Console()
    names = ("name", "values", "functional", "reference", "ONNX Runtime", "tensor")
    keys = ("name", "onnx_values", "functional_differ", "reference_differ", "onnx_differ", "tensor")
    lines = [
        {name: row[key] for name, key in zip(names, keys, strict=True)}
        for row in figures["operators"]
    ]
    console.print(table_of(lines, ran))
    table = Table(
        "operation", "kind", "values", "differ", "largest", "the contract", "ONNX Runtime"
    )
    for row in figures["operators"]:
        if row["onnx_differ"]:
            ours, theirs = RULES.get(row["kind"], UNKNOWN)
            counts = (f"{row['onnx_values']:,}", f"{row['onnx_differ']:,}")
            step = f"{row['onnx_largest']} of 255 steps"
            table.add_row(row["name"], row["kind"], *counts, step, ours, theirs)
    differing = sum(1 for row in figures["operators"] if row["onnx_differ"])
    if differing:
        console.print(table)
    console.print(
        f"{count} inputs, {len(figures['operators'])} operations, functional model and reference "
        f"against LiteRT: {figures['values']:,} values compared, {figures['mismatches']:,} differ"
    )
    console.print(
        f"ONNX Runtime, each operation on the same operands: {differing} of "
        f"{len(figures['operators'])} have other values"
    )
    for fault in figures["faults"]:
        click.echo(f"error: {fault}", err=True)
    write_json(json_file, {"model": str(model), "inputs": count, **figures})
    if figures["mismatches"] or figures["faults"] or (ran and ran.mismatches):
        raise SystemExit(DIFFERENT)
