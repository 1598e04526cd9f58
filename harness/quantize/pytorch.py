"""ResNet50 quantized by PyTorch's tools."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from harness.data.datasets import Dataset
from harness.host import computer, terminal
from harness.quantize.photographs import chosen_for, images
from harness.quantize.quantized import F32Array, Quantized
from sw.host.extras import needs
from sw.models.architecture import IMAGE, Version

NOISY_LOGGERS = ("torchao", "torch.utils._pytree")


@contextlib.contextmanager
def quantized(
    weights_file: Path,
    version: Version | None,
    preprocessing: str | None,
    calibration: Dataset,
    console: terminal.Console,
) -> Iterator[Quantized]:
    """ResNet50 with these weights, calibrated; its float32 network runs inside the block.

    Args:
        weights_file: what ``torch.save`` wrote, or safetensors; Keras or torchvision names.
        version: where a stage strides; None: as the names usually do.
        preprocessing: of the photographs, a name or a file; None: as the names usually have it.
        calibration: photographs to calibrate with.
        console: for the progress display.

    Raises:
        DnaError: PyTorch is not installed, or the weights or a photograph cannot be used.
    """
    with with_torch(computer.cpus()):
        import torch

        from sw.models import resnet50

        with console.status(f"reading {weights_file}"):
            model, found = resnet50.load(weights_file, version)
            from sw.frontends.pytorch import quantize  # takes seconds, which bad weights need not
        if found.remark is not None:
            console.print(found.remark)
        how = chosen_for(preprocessing or found.naming.preprocessing, IMAGE)
        with terminal.staged(console, "exporting", len(calibration)) as report:
            graph = quantize(model, images(calibration, how, IMAGE), progress=report)

        def fp32(image: F32Array) -> F32Array:
            with torch.inference_mode():
                logits: F32Array = model(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
            return logits

        yield Quantized(graph, f"resnet50-{model.version}", how, fp32)


@contextlib.contextmanager
def with_torch(threads: int) -> Iterator[None]:
    """PyTorch with a number of threads, its warnings about itself kept from the terminal."""
    # OpenMP's threads spin while they wait for each other: five times slower on a busy computer.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with needs("quantize", "PyTorch"):
        import torch
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
