"""``dna deployed``: a deployed model on arrays, no framework and no photographs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.common import PATH
from harness.commands.numbers import THREADS
from sw.errors import DnaError


@click.command("deployed", short_help="Run a deployed model on an array.")
@click.argument("folder", type=PATH)
@click.argument("images", type=PATH, metavar="IMAGES.npy")
@click.option(
    "-o", "--output", type=PATH, required=True, metavar="LOGITS.npy", help="float32 [N, classes]."
)
@click.option("--threads", type=THREADS, help="Default: all CPUs.")
def command(folder: Path, images: Path, output: Path, threads: int | None) -> None:
    """Run the artifact in FOLDER on an array of preprocessed images, and print their classes.

    The array is float32, as the artifact's preprocessing leaves images, or int8, quantized:
    [N, height, width, channels], or one image without N.

    \b
    Example:
      dna deployed resnet50.dna images.npy -o logits.npy
    """  # noqa: D301 (click reads the escape)
    import numpy as np

    from harness.commands.common import check_writable
    from harness.mlperf.deployed import DeployedModel

    check_writable(output)
    try:
        with images.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        raise DnaError(f"cannot read {images} as an array of NumPy's (.npy): {error}") from error
    model = DeployedModel(folder, threads)
    logits = model.run(array)
    try:
        with output.open("wb") as file:
            np.save(file, logits)
    except OSError as error:
        raise DnaError(f"cannot write {output}: {error.strerror}") from error
    for number, best in enumerate(np.atleast_2d(logits).argmax(axis=1)):
        click.echo(f"{number} {best} {model.manifest.class_names[best]}")
