"""``dna quantize``: trained weights and photographs into an artifact."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import (
    PATH,
    check_writable,
    json_option,
    preprocessing_option,
    write_json,
)
from harness.commands.numbers import Count, Many
from sw.errors import DnaError
from sw.host import files

if TYPE_CHECKING:
    from harness.host.terminal import Console
    from harness.quantize.evaluation import Comparison
    from sw.graph import Graph
    from sw.models.architecture import Version

FEW_IMAGES = 16
MAX_SIZE = 8192


@click.command("quantize", short_help="Quantize a trained network to 8 bits.")
@click.option(
    "--framework",
    type=click.Choice(["pytorch", "tensorflow"]),
    default="pytorch",
    show_default=True,
    help="Whose quantization tools calibrate the network.",
)
@click.option(
    "--weights",
    "weights_file",
    type=PATH,
    metavar="FILE",
    help="What torch.save wrote, checkpoints of training too, or safetensors; Keras or torchvision "
    "names. For tensorflow also a .keras file or SavedModel of any network. Default: those of "
    "`dna fetch`.",
)
@click.option(
    "--version",
    type=click.Choice(["v1", "v1.5"]),
    help="Where a stage strides. Default: v1 for Keras names, v1.5 for torchvision's.",
)
@preprocessing_option(
    None,
    "How photographs become its input. Default: caffe for Keras names, torchvision for "
    "torchvision's. There are",
)
@click.option(
    "--data-dir",
    type=PATH,
    metavar="DIR",
    help="Photographs. Default: $DATA_DIR, else those of `dna fetch`.",
)
@click.option(
    "--calibration-list",
    type=PATH,
    metavar="FILE",
    help="Photographs to calibrate with, a name a line. Default: all that `dna fetch` brought.",
)
@click.option(
    "--model",
    metavar="FILE.pt2|MODULE:FUNCTION",
    help="Another PyTorch network than ResNet50: an exported program, or a function (of a module "
    "here or installed) that returns one with its weights.",
)
@click.option(
    "--input-size",
    type=Many(Count("pixels", MAX_SIZE)),
    metavar="H,W",
    help="Height and width that it takes. Default: the exported program's, else 224,224.",
)
@click.option("--tflite", type=PATH, metavar="FILE", help="Also keep TensorFlow's quantized model.")
@click.option("-o", "--output", type=PATH, required=True, metavar="MODEL", help="The artifact.")
@click.option(
    "--evaluate",
    type=PATH,
    metavar="VAL_MAP",
    help="Also compare float32 and int8 on these photographs: `FILE LABEL` a line.",
)
@json_option
def command(
    framework: str,
    weights_file: Path | None,
    version: Version | None,
    preprocessing: str | None,
    data_dir: Path | None,
    calibration_list: Path | None,
    model: str | None,
    input_size: tuple[int, ...] | None,
    tflite: Path | None,
    output: Path,
    evaluate: Path | None,
    json_file: Path | None,
) -> None:
    """Quantize a network after training: weights and photographs in, an artifact out.

    It is ResNet50, unless --model names another PyTorch network or --weights a whole Keras one.

    Batch normalization is folded, activations are calibrated to 8 bits per tensor on the
    photographs of the calibration list, weights to 8 bits per output channel.

    \b
    Examples:
      dna quantize -o resnet50.dna
      dna quantize --model mobilenet.pt2 --preprocessing torchvision -o mobilenet.dna
      dna quantize --framework tensorflow --tflite resnet50.tflite -o resnet50.dna
      dna quantize --weights resnet50.pth --data-dir imagenet \\
        --calibration-list cal_image_list_option_1.txt -o resnet50.dna \\
        --evaluate imagenet/val_map.txt --json accuracy.json
    """  # noqa: D301 (click reads the escape)
    from harness.data import fetch, guessing
    from harness.data.preprocess import check_image
    from harness.host import computer, terminal
    from harness.quantize import evaluation, photographs, pytorch, pytorch_model, tensorflow
    from sw import artifact, classes
    from sw.preprocessing import check_choice

    started = time.monotonic()
    artifact.check_writable(output)
    check_writable(json_file)
    check_writable(tflite)
    if preprocessing is not None:
        check_choice(preprocessing)
    if tflite is not None and framework != "tensorflow":
        raise DnaError("--tflite keeps what TensorFlow makes; say --framework tensorflow")
    console = terminal.Console(stderr=True)
    calibration = photographs.calibration(data_dir, calibration_list)
    validation = photographs.validation(calibration, evaluate) if evaluate else None
    for path in dict.fromkeys(calibration.paths + (validation.paths if validation else [])):
        check_image(path)
    if model is None:
        weights_file = weights_file or fetch.weights_path()
        if input_size is not None:
            raise DnaError("--input-size is that of a --model; ResNet50 takes 224,224")
    elif weights_file is not None or version is not None or framework != "pytorch":
        raise DnaError("--model brings its weights: no --weights, --version or --framework with it")
    if len(calibration) < FEW_IMAGES:
        console.warn(
            f"{len(calibration)} calibration images are few: activations "
            "larger than theirs will saturate"
            + ("" if validation else "; --evaluate VAL_MAP shows what that loses")
        )

    if model is not None:
        size = None if input_size is None else _size(input_size)
        quantized = pytorch_model.quantized(model, size, preprocessing, calibration, console)
    else:
        assert weights_file is not None
        whose = tensorflow if framework == "tensorflow" else pytorch
        quantized = whose.quantized(weights_file, version, preprocessing, calibration, console)
    with quantized as result:
        network = artifact.make(
            result.graph,
            model=result.model,
            framework=framework,
            preprocessing=result.preprocessing,
            class_names=_class_names(result.graph, console),
        )
        if tflite is not None and result.tflite is not None:
            files.write(tflite, result.tflite)
        logits, offset = len(network.manifest.class_names), network.manifest.class_offset
        if validation:
            classes.check_classes(network.manifest.model, network.manifest.answer_shape)
            validation.check_labels(logits - (offset or 0))
        network = artifact.save(network, output)
        comparison = None
        if validation:
            with terminal.staged(console, "evaluating", len(validation)) as report:
                samples = evaluation.samples(validation, network.manifest, report)
                comparison = evaluation.compare(
                    result.fp32, network, samples, threads=computer.cpus()
                )
    figures: dict[str, Any] = {
        "artifact": str(output),
        "model": network.manifest.model,
        "weights": str(model or weights_file),
        "preprocessing": result.preprocessing.name,
        "class_offset": offset,
        "calibration_images": len(calibration),
        "operations": len(network.graph.operations),
        "seconds": round(time.monotonic() - started, 1),
    }
    if comparison:
        figures |= {
            "images": comparison.images,
            "fp32_top1": comparison.fp32_top1,
            "int8_top1": comparison.int8_top1,
            "agreement": comparison.agreement,
            "ratio": comparison.ratio,
        }
    remarks = [classes.remark(logits, offset)]
    if comparison:
        right = round(comparison.int8_top1 * comparison.images)
        remarks.append(guessing.remark(right, comparison.images, logits - (offset or 0)))
    _print(figures, comparison, [line for line in remarks if line is not None])
    write_json(json_file, figures)


def _size(given: tuple[int, ...]) -> tuple[int, int]:
    if len(given) == 1:  # two that are the same
        given *= 2
    if len(given) != 2:
        raise DnaError(f"--input-size {','.join(map(str, given))} is no height and width")
    return given[0], given[1]


def _class_names(graph: Graph, console: Console) -> list[str] | None:
    """ImageNet's names, if they fit the logits, with TensorFlow's background or without."""
    from harness.data import fetch
    from sw.classes import BACKGROUND, has_classes

    shape = graph.tensors[graph.output].shape
    try:
        names = fetch.class_names()
    except DnaError:
        console.print("class names are not in the cache (`dna fetch`): classes stay numbered")
        return None
    if graph.others or not has_classes(shape):
        return None
    fitting = {len(names): names, len(names) + 1: [BACKGROUND, *names]}
    return fitting.get(math.prod(shape))


def _print(figures: dict[str, Any], comparison: Comparison | None, remarks: list[str]) -> None:
    from harness.host.terminal import Console, Table

    table = Table(title=f"{figures['model']}, int8")
    table.add_row("calibrated on", f"{figures['calibration_images']} images")
    if comparison:
        table.add_row("compared on", f"{comparison.images} images")
        table.add_row("float32 top-1", f"{100 * comparison.fp32_top1:.2f} %")
        table.add_row("int8 top-1", f"{100 * comparison.int8_top1:.2f} %")
        if comparison.ratio is not None:
            table.add_row("int8 / float32", f"{100 * comparison.ratio:.2f} %")
        table.add_row("same top-1", f"{100 * comparison.agreement:.2f} %")
    table.add_row("artifact", figures["artifact"])
    console = Console()
    console.print(table)
    for line in remarks:
        console.print(line)
