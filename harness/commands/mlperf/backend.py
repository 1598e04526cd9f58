"""``dna backend``: our backend in a checkout of MLPerf's reference implementation."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.common import PATH


@click.group("backend", short_help="Drive the DNA from MLPerf's reference implementation.")
def command() -> None:
    """Put the DNA's backend into a checkout of MLPerf's reference implementation, or take it out.

    \b
    Example:
      dna backend install inference
      cd inference/vision/classification_and_detection
      DATA_DIR=/data/imagenet ./run_local.sh dna resnet50 --dataset-calibration-list LIST
      dna backend remove inference
    """  # noqa: D301 (click reads the escape)


@command.command()
@click.argument("reference_dir", type=PATH)
def install(reference_dir: Path) -> None:
    """Add the backend to REFERENCE_DIR, a checkout of mlcommons/inference (v1.1 or later)."""
    from harness.mlperf import reference

    for path in reference.install(reference_dir):
        click.echo(path)
    if reference.needs_old_loadgen(reference_dir):
        click.echo(
            "This version needs the LoadGen of its time: pip install "
            f"{reference_dir / 'loadgen'} (it replaces the newer one that `dna loadgen` uses)."
        )


@command.command()
@click.argument("reference_dir", type=PATH)
def remove(reference_dir: Path) -> None:
    """Take the backend out of REFERENCE_DIR again: its files are as they were."""
    from harness.mlperf import reference

    changed = reference.remove(reference_dir)
    for path in changed:
        click.echo(path)
    if not changed:
        click.echo(f"nothing to remove: the backend is not in {reference_dir}")
