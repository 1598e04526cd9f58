"""``dna quantize``: trained weights and photographs into an artifact."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.console import Console

    from harness.data.datasets import Dataset
    from harness.quantize.evaluation import Comparison
    from sw.artifact import Artifact
    from sw.graph import Graph
    from sw.models.architecture import Version

    F32Array = npt.NDArray[np.float32]

FEW_IMAGES = 16
NOISY_LOGGERS = ("torchao", "torch.utils._pytree")


@click.command("quantize", short_help="Quantize a trained ResNet50 to 8 bits.")
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
    help=".safetensors or .pth, Keras or torchvision names; for tensorflow also a .keras file or "
    "SavedModel of any network. Default: those of `dna fetch`.",
)
@click.option(
    "--version",
    type=click.Choice(["v1", "v1.5"]),
    help="Where a stage strides. Default: v1 for Keras names, v1.5 for torchvision's.",
)
@click.option(
    "--preprocessing",
    type=click.Choice(["caffe", "torchvision", "mlperf"]),
    help="Default: caffe for Keras names, torchvision for torchvision's.",
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
    tflite: Path | None,
    output: Path,
    evaluate: Path | None,
    json_file: Path | None,
) -> None:
    """Quantize ResNet50 after training: weights and photographs in, an artifact out.

    Batch normalization is folded, activations are calibrated to 8 bits per tensor on the
    photographs of the calibration list, weights to 8 bits per output channel.

    \b
    Examples:
      dna quantize -o resnet50.dna
      dna quantize --framework tensorflow --tflite resnet50.tflite -o resnet50.dna
      dna quantize --weights resnet50.pth --data-dir imagenet \\
        --calibration-list cal_image_list_option_1.txt -o resnet50.dna \\
        --evaluate imagenet/val_map.txt --json accuracy.json
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console

    from harness.data import fetch
    from harness.data.preprocess import check_image
    from sw import artifact

    started = time.monotonic()
    artifact.check_writable(output)
    check_writable(json_file)
    check_writable(tflite)
    if tflite is not None and framework != "tensorflow":
        raise DnaError("--tflite keeps what TensorFlow makes; say --framework tensorflow")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    calibration = _calibration(data_dir, calibration_list)
    validation = _validation(calibration, evaluate)
    for path in dict.fromkeys(calibration.paths + (validation.paths if validation else [])):
        check_image(path)
    weights_file = weights_file or fetch.weights_path()
    if len(calibration) < FEW_IMAGES:
        console.print(
            f"[yellow]warning:[/] {len(calibration)} calibration images are few: activations "
            "larger than theirs will saturate"
            + ("" if validation else "; --evaluate VAL_MAP shows what that loses")
        )

    with contextlib.ExitStack() as stack:
        quantize = _by_tensorflow if framework == "tensorflow" else _by_pytorch
        result = quantize(stack, weights_file, version, preprocessing, calibration, console)
        classes = math.prod(result.graph.tensors[result.graph.output].shape)
        network = artifact.make(
            result.graph,
            model=result.model,
            framework=framework,
            preprocessing=result.preprocessing,
            class_names=_class_names(classes, console),
        )
        if tflite is not None and result.tflite is not None:
            tflite.write_bytes(result.tflite)
        network = artifact.save(network, output)
        comparison = _compare(result, network, validation, console) if validation else None
    figures: dict[str, Any] = {
        "artifact": str(output),
        "model": network.manifest.model,
        "weights": str(weights_file),
        "preprocessing": network.manifest.preprocessing,
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
    _print(figures, comparison)
    write_json(json_file, figures)


@dataclasses.dataclass(frozen=True)
class _Quantized:
    """A network as a framework quantized it, and in float32 as it was before."""

    graph: Graph
    model: str
    preprocessing: str
    fp32: Callable[[F32Array], F32Array]
    tflite: bytes | None = None


def _by_pytorch(
    stack: contextlib.ExitStack,
    weights_file: Path,
    version: Version | None,
    preprocessing: str | None,
    calibration: Dataset,
    console: Console,
) -> _Quantized:
    from harness.host import computer

    stack.enter_context(_torch(computer.cpus()))
    import torch

    from sw.frontends.pytorch import quantize
    from sw.models import resnet50

    with console.status(f"reading {weights_file}"):
        model, naming = resnet50.load(weights_file, version)
    preprocessing = preprocessing or naming.preprocessing
    with _progress(console, len(calibration)) as report:
        graph = quantize(model, _images(calibration, preprocessing), progress=report)

    def fp32(image: F32Array) -> F32Array:
        with torch.inference_mode():
            logits: F32Array = model(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
        return logits

    return _Quantized(graph, f"resnet50-{model.version}", preprocessing, fp32)


def _by_tensorflow(
    _stack: contextlib.ExitStack,
    weights_file: Path,
    version: Version | None,
    preprocessing: str | None,
    calibration: Dataset,
    console: Console,
) -> _Quantized:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with console.status("starting TensorFlow"):
            from sw.frontends import tensorflow
            from sw.models import resnet50_keras
    except ImportError as error:
        raise DnaError(
            "TensorFlow is missing; install it: pip install --editable '.[tensorflow]' in the clone"
        ) from error
    from harness.data.preprocess import SHAPE
    from sw.frontends.tflite import import_model, read

    if weights_file.is_dir() or weights_file.suffix in (".keras", ".h5"):
        if preprocessing is None:
            raise DnaError(f"which images was {weights_file} trained with? say --preprocessing")
        if version is not None:
            raise DnaError(f"--version is for weights; {weights_file} is a whole network")
        model, name = tensorflow.load(weights_file), weights_file.stem
        quantizable, images = model, list(_images(calibration, preprocessing))
    else:
        with console.status(f"reading {weights_file}"):
            network, observed, naming, version = resnet50_keras.load(weights_file, version)
        model, name = tensorflow.of_keras(network), f"resnet50-{version}"
        preprocessing = preprocessing or naming.preprocessing
        images = list(_images(calibration, preprocessing))
        with _progress(console, len(calibration)) as report:
            ranges = tensorflow.observed_ranges(observed, images, report)
        quantizable = tensorflow.of_keras(resnet50_keras.with_ranges(network, version, ranges))
    if model.shape != SHAPE:
        raise DnaError(f"{weights_file} takes images of {model.shape}; photographs become {SHAPE}")
    with _progress(console, len(calibration)) as report:
        content = quantizable.quantize(images, report)
    graph = import_model(read(content, "what TensorFlow made")).graph
    return _Quantized(graph, name, preprocessing, model.run, content)


def _images(dataset: Dataset, preprocessing: str) -> Iterator[F32Array]:
    from harness.data.preprocess import load_image

    return (load_image(path, preprocessing) for path in dataset.paths)


def _calibration(data_dir: Path | None, calibration_list: Path | None) -> Dataset:
    """The calibration photographs; never, unasked, those that a user's folder has to validate."""
    from harness.data import fetch
    from harness.data.datasets import Dataset, data_dir_from

    folder = data_dir_from(data_dir)
    if folder is not None and calibration_list is None:
        raise DnaError(
            f"which photographs of {folder} are for calibration? name them: --calibration-list FILE"
        )
    return Dataset(folder or fetch.photographs_dir(), calibration_list, calibration=True)


def _validation(calibration: Dataset, evaluate: Path | None) -> Dataset | None:
    from harness.data.datasets import Dataset

    if evaluate is None:
        return None
    validation = Dataset(calibration.data_dir, evaluate)
    if None in validation.labels:
        raise DnaError(f"{evaluate} has no labels: no accuracy can be told")
    return validation


def _class_names(classes: int, console: Console) -> list[str]:
    from harness.data import fetch

    try:
        names = fetch.class_names()
    except DnaError:
        console.print("class names are not in the cache (`dna fetch`): classes stay numbered")
        names = []
    return names if len(names) == classes else [f"class {index}" for index in range(classes)]


@contextlib.contextmanager
def _torch(threads: int) -> Iterator[None]:
    """PyTorch with a number of threads, its warnings about itself kept from the terminal."""
    # OpenMP's threads spin while they wait for each other: five times slower on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import torch
    except ImportError as error:
        raise DnaError(
            "PyTorch is missing; install it: pip install --editable '.[quantize]' in the clone"
        ) from error
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[str, int], None]]:
    """A progress bar; what it yields takes the stage and the number of images done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("exporting", total=total)

        def report(stage: str, done: int) -> None:
            progress.update(task, description=stage, completed=done)

        yield report


def _compare(
    result: _Quantized, network: Artifact, validation: Dataset, console: Console
) -> Comparison:
    from harness.data.preprocess import load_image
    from harness.host import computer
    from harness.quantize.evaluation import compare

    def samples() -> Iterator[tuple[F32Array, int]]:
        for done, (path, label) in enumerate(zip(validation.paths, validation.labels, strict=True)):
            assert label is not None
            yield load_image(path, network.manifest.preprocessing), label
            report("evaluating", done + 1)

    with _progress(console, len(validation)) as report:
        return compare(result.fp32, network, samples(), threads=computer.cpus())


def _print(figures: dict[str, Any], comparison: Comparison | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{figures['model']}, int8", title_justify="left", show_header=False)
    table.add_row("calibrated on", f"{figures['calibration_images']} images")
    if comparison:
        table.add_row("compared on", f"{comparison.images} images")
        table.add_row("float32 top-1", f"{100 * comparison.fp32_top1:.2f} %")
        table.add_row("int8 top-1", f"{100 * comparison.int8_top1:.2f} %")
        if comparison.ratio is not None:
            table.add_row("int8 / float32", f"{100 * comparison.ratio:.2f} %")
        table.add_row("same top-1", f"{100 * comparison.agreement:.2f} %")
    table.add_row("artifact", figures["artifact"])
    Console(soft_wrap=True).print(table)
