"""``dna deployed``: a deployed model on arrays, no framework and no photographs."""

from __future__ import annotations

import io
from pathlib import Path

import click

from harness.commands.common import PATH
from harness.commands.numbers import THREADS
from sw.errors import DnaError
from sw.host import files


@click.command("deployed", short_help="Run a deployed model on an array.")
@click.argument("folder", type=PATH)
@click.argument("images", type=PATH, metavar="IMAGES.npy")
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    metavar="LOGITS.npy",
    help="float32 [N, classes], or of a map [N, ...]; of several outputs an .npz of all.",
)
@click.option("--threads", type=THREADS, help="Default: all CPUs.")
def command(folder: Path, images: Path, output: Path, threads: int | None) -> None:
    """Run the artifact in FOLDER on an array of inputs, and print their classes.

    The array is float32, as the artifact's preprocessing leaves images, or int8, quantized:
    [N, height, width, channels], or one image without N; of a network that takes something else
    than images, in the shape of that. Each line has the number of the input, its class and the
    name; class -1 is the background of networks that have one.

    \b
    Example:
      dna deployed resnet50.dna images.npy -o logits.npy
    """  # noqa: D301 (click reads the escape)
    import numpy as np

    from harness.commands.common import check_writable
    from harness.mlperf.deployed import DeployedModel
    from sw.classes import remark

    check_writable(output)
    try:
        with images.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        raise DnaError(f"cannot read {images} as an array of NumPy's (.npy): {error}") from error
    model = DeployedModel(folder, threads)
    content = io.BytesIO()
    if not model.manifest.answer_shape:
        answers = model.outputs(array)
        np.savez(content, allow_pickle=False, **answers)
        files.write(output, content.getvalue())
        for name, values in answers.items():
            click.echo(f"{output}: {name}: {values.dtype} {list(values.shape)}")
        return
    logits = model.run(array)
    np.save(content, logits)
    files.write(output, content.getvalue())
    manifest, offset = model.manifest, model.manifest.class_offset or 0
    if not manifest.classifies:
        click.echo(
            f"{output}: values of shape {logits.shape}, no row of logits: no classes to name"
        )
        return
    for number, best in enumerate(model.classes(logits)):
        click.echo(f"{number} {best} {manifest.class_names[best + offset]}")
    if line := remark(len(manifest.class_names), manifest.class_offset):
        click.echo(line, err=True)
