"""``dna compare``: the same bits from the reference, the functional model and LiteRT."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import PATH, check_writable, json_option, write_json

if TYPE_CHECKING:
    from sim.compare import Comparer, Comparison
    from sw.artifact import Manifest

DIFFERENT = 1
_worker: tuple[Comparer, Manifest] | None = None


def _start(path: Path) -> None:
    """Build the engines, once in each worker."""
    global _worker
    from sim.compare import Comparer
    from sw import artifact

    network = artifact.load(path)
    _worker = Comparer(network.graph), network.manifest


def _compare(image: Path) -> list[Comparison]:
    from harness.preprocess import load_image
    from sim.runtime import quantize

    assert _worker is not None
    comparer, manifest = _worker
    return comparer.image(quantize(load_image(image, manifest.preprocessing), manifest.input))


@click.command("compare", short_help="Compare the bits of all engines at every layer.")
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, metavar="[IMAGE]...")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: all CPUs.")
@json_option
def command(
    artifact: Path, images: tuple[Path, ...], jobs: int | None, json_file: Path | None
) -> None:
    """Compare ARTIFACT's every layer output: functional model and reference against LiteRT.

    Without an IMAGE all photographs of `dna fetch` are taken (20; a few minutes). Exit code 0 means
    that no value differs, 1 that one does.

    \b
    Example:
      dna compare resnet50.dna cat.jpg --json compared.json
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from harness import machine
    from harness.fetch import photographs
    from harness.preprocess import check_image, check_input
    from sim.compare import total
    from sw import artifact as artifacts

    check_writable(json_file)
    check_input(artifacts.load(artifact).manifest)
    chosen = list(images) or [path for path, _ in photographs()]
    for image in chosen:
        check_image(image)
    console = Console()
    with ProcessPoolExecutor(
        min(jobs or machine.cpus(), len(chosen)), get_context("spawn"), _start, (artifact,)
    ) as pool:
        per_image = list(
            track(
                pool.map(_compare, chosen),
                "comparing",
                total=len(chosen),
                console=Console(stderr=True),
                transient=True,
            )
        )
    operations = total(per_image)
    values = sum(operation.values for operation in operations)
    mismatches = sum(operation.mismatches for operation in operations)

    if mismatches:
        table = Table("operation", "values", "mismatches", "first difference")
        for row in operations:
            if row.first is not None:
                first = row.first
                told = f"{first.engine} {first.got}, LiteRT {first.expected} at {list(first.where)}"
                table.add_row(row.operation, f"{row.values:,}", f"{row.mismatches:,}", told)
        console.print(table)
    console.print(
        f"{len(chosen)} photographs, {len(operations)} operations, functional model and reference "
        f"against LiteRT: {values:,} values compared, {mismatches:,} differ",
        highlight=False,
        soft_wrap=True,
    )
    write_json(
        json_file,
        {
            "artifact": str(artifact),
            "images": len(chosen),
            "values": values,
            "mismatches": mismatches,
            "operations": [
                {"name": row.operation, "values": row.values, "mismatches": row.mismatches}
                for row in operations
            ],
        },
    )
    if mismatches:
        raise SystemExit(DIFFERENT)
