"""``dna compare``: the same bits from the reference, the functional model and LiteRT."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sim.compare.engines import Comparer, Comparison
    from sim.compare.tflite import TfliteComparer
    from sw.artifact import Manifest
    from sw.graph import Graph

DIFFERENT = 1
TFLITE = ".tflite"
_worker: Comparer | TfliteComparer | None = None


def _start(path: Path) -> None:
    """Build the engines, once in each worker."""
    global _worker
    if path.suffix == TFLITE:
        from sim.compare.tflite import TfliteComparer
        from sw.frontends.tflite import import_file

        _worker = TfliteComparer(path.read_bytes(), *import_file(path))
    else:
        from sim.compare.engines import Comparer
        from sw import artifact

        _worker = Comparer(artifact.load(path).graph)


def _compare(pixels: npt.NDArray[np.int8]) -> list[Comparison]:
    assert _worker is not None
    return _worker.image(pixels)


@click.command("compare", short_help="Compare the bits of all engines at every operator.")
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, nargs=-1, metavar="[INPUT]...")
@click.option("--random", "noise", type=click.IntRange(min=1), metavar="N", help="N random inputs.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: all CPUs.")
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
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from harness.host import computer
    from sim.compare.engines import total

    check_writable(json_file)
    graph, origins, manifest = _network(model)
    chosen = _inputs(model, manifest, graph, inputs, noise)
    console = Console()
    with ProcessPoolExecutor(
        min(jobs or computer.cpus(), len(chosen)), get_context("spawn"), _start, (model,)
    ) as pool:
        per_input = list(
            track(
                pool.map(_compare, chosen),
                "comparing",
                total=len(chosen),
                console=Console(stderr=True),
                transient=True,
            )
        )
    operators = total(per_input)
    values = sum(operator.values for operator in operators)
    mismatches = sum(operator.mismatches for operator in operators)

    if mismatches:
        table = Table("operator", "values", "mismatches", "first difference", "quantization")
        for row in operators:
            if row.first is not None:
                first = row.first
                told = f"{first.engine} {first.got}, LiteRT {first.expected} at {list(first.where)}"
                how = _quantization(graph, origins[row.operation])
                table.add_row(row.operation, f"{row.values:,}", f"{row.mismatches:,}", told, how)
        console.print(table)
    console.print(
        f"{len(chosen)} inputs, {len(operators)} operators, functional model and reference "
        f"against LiteRT: {values:,} values compared, {mismatches:,} differ",
        highlight=False,
        soft_wrap=True,
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
                for row in operators
            ],
        },
    )
    if mismatches:
        raise SystemExit(DIFFERENT)


def _network(model: Path) -> tuple[Graph, dict[str, tuple[str, ...]], Manifest]:
    """The graph; of every operator the tensors that it reads and, last, writes; the manifest."""
    from sw import artifact

    if model.suffix != TFLITE:
        network = artifact.load(model)
        graph = network.graph
        origins = {op.output: (*op.inputs, op.output) for op in graph.operations}
        return graph, origins, network.manifest
    import math

    from harness.data.inputs import ARRAY
    from sim.compare.tflite import operator_name
    from sw.frontends.tflite import import_file

    _, imported = import_file(model)
    graph = imported.graph
    origins = {
        operator_name(step): (*step.reads, step.graph_tensor)
        for step in imported.steps
        if step.graph_tensor is not None
    }
    classes = math.prod(graph.tensors[graph.output].shape)
    manifest = artifact.make(
        graph,
        model=model.stem,
        framework="tflite",
        preprocessing=ARRAY,
        class_names=[""] * classes,
    ).manifest
    return graph, origins, manifest


def _inputs(
    model: Path, manifest: Manifest, graph: Graph, files: tuple[Path, ...], noise: int | None
) -> list[npt.NDArray[np.int8]]:
    from harness.data.fetch import photographs
    from harness.data.inputs import load_input, random_inputs

    if noise is not None and files:
        raise DnaError("--random N and input files exclude each other")
    if noise is None and not files and model.suffix == TFLITE:
        noise = 3
    if noise is not None:
        return list(random_inputs(graph.tensors[graph.input].shape, noise))
    chosen = list(files) or [path for path, _ in photographs()]
    return [load_input(manifest, path) for path in chosen]


def _quantization(graph: Graph, names: tuple[str, ...]) -> str:
    """Scales and zero points of the operands and the result of an operator."""
    tensors = [graph.tensors[name] for name in names]
    told = [f"{tensor.scale!r}, {tensor.zero_point}" for tensor in tensors]
    return f"({'), ('.join(told[:-1])}) to ({told[-1]})"
