"""A network quantized by TensorFlow's tools: ResNet50 from its weights, or any whole network."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.data.datasets import Dataset
from harness.host import terminal
from harness.quantize.photographs import chosen_for, images
from harness.quantize.quantized import Quantized
from sw.errors import DnaError
from sw.host.extras import needs
from sw.models.architecture import Version

WHOLE_NETWORKS = (".keras", ".h5")


@contextlib.contextmanager
def quantized(
    weights_file: Path,
    version: Version | None,
    preprocessing: str | None,
    calibration: Dataset,
    console: terminal.Console,
) -> Iterator[Quantized]:
    """A network, calibrated; its float32 network runs inside the block.

    Args:
        weights_file: of ResNet50; or a .keras file or SavedModel of any network.
        version: where a stage of ResNet50 strides; None: as the names usually do.
        preprocessing: of the photographs, a name or a file; None, for ResNet50: as the names
            usually have it.
        calibration: photographs to calibrate with.
        console: for the progress display.

    Raises:
        DnaError: TensorFlow is not installed, or the network or a photograph cannot be used, or
            the options do not fit what ``weights_file`` is.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with needs("tensorflow", "TensorFlow"), console.status("starting TensorFlow"):
        from sw.frontends import tensorflow
        from sw.models import resnet50_keras
    from sw.frontends.tflite import import_model, read

    if weights_file.is_dir() or weights_file.suffix in WHOLE_NETWORKS:
        if preprocessing is None:
            raise DnaError(f"which images was {weights_file} trained with? say --preprocessing")
        if version is not None:
            raise DnaError(f"--version is for weights; {weights_file} is a whole network")
        model, name = tensorflow.load(weights_file), weights_file.stem
        how = chosen_for(preprocessing, model.shape)
        quantizable, read_images = model, list(images(calibration, how, model.shape))
    else:
        with console.status(f"reading {weights_file}"):
            network, observed, found, version = resnet50_keras.load(weights_file, version)
        if found.remark is not None:
            console.print(found.remark)
        model, name = tensorflow.of_keras(network), f"resnet50-{version}"
        how = chosen_for(preprocessing or found.naming.preprocessing, model.shape)
        read_images = list(images(calibration, how, model.shape))
        with terminal.staged(console, "exporting", len(calibration)) as report:
            ranges = tensorflow.observed_ranges(observed, read_images, report)
        quantizable = tensorflow.of_keras(resnet50_keras.with_ranges(network, version, ranges))
    with terminal.staged(console, "exporting", len(calibration)) as report:
        content = quantizable.quantize(read_images, report)
    graph = import_model(read(content, "what TensorFlow made")).graph
    yield Quantized(graph, name, how, model.run, content)
