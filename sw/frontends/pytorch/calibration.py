"""From a PyTorch network to the integer graph: calibrate, quantize, read what came out.

torchao's PT2E exports the network, observes its activations on calibration images and rewrites it
with quantize and dequantize nodes; :mod:`sw.frontends.pytorch.lowering` reads the result.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch.export import ExportedProgram
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from sw.errors import DnaError
from sw.frontends.pytorch.lowering import lower
from sw.frontends.pytorch.quantizer import DnaQuantizer
from sw.graph import Graph

F32Array = npt.NDArray[np.float32]
Progress = Callable[[str, int], None]


def quantize(
    model: torch.nn.Module | ExportedProgram,
    images: Iterable[F32Array],
    *,
    progress: Progress | None = None,
) -> Graph:
    """Quantize a network after training.

    Args:
        model: in evaluation mode; float32 [1, C, H, W] to [1, classes], or to one or several maps,
            made of what the table of operators has for PyTorch. Or such a network, exported.
        images: float32 [H, W, C], preprocessed; all are read once.
        progress: called with "calibrating" and the number of images done, then with "converting"
            and 0.

    Returns:
        The integer graph; operations are named after the modules that compute them.

    Raises:
        DnaError: an unsupported operator, no image, images of different shapes, NaN or infinity in
            weights or images, or a quantization that the contract does not allow.
    """
    report = progress or (lambda _stage, _done: None)
    _check_finite(model)
    first, stream = _peek(_checked(images))
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # PT2E's own: deprecations inside torch
        program = model
        if not isinstance(program, ExportedProgram):
            program = torch.export.export(program, (_batch(first),))
        exported = program.module(check_guards=False)
        prepared = prepare_pt2e(exported, DnaQuantizer())
        for done, image in enumerate(stream, 1):
            prepared(_batch(image))
            report("calibrating", done)
        report("converting", 0)
        converted = convert_pt2e(prepared)
    return lower(converted, first.shape)


def _check_finite(model: torch.nn.Module | ExportedProgram) -> None:
    for name, value in itertools.chain(model.named_parameters(), model.named_buffers()):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise DnaError(f"weights {name!r} hold NaN or infinity")


def _checked(images: Iterable[F32Array]) -> Iterator[F32Array]:
    shape = None
    for number, image in enumerate(images, 1):
        if image.ndim != 3 or (shape and image.shape != shape):
            raise DnaError(
                f"calibration image {number} has shape {list(image.shape)}, expected "
                f"{list(shape) if shape else '[height, width, channels]'}"
            )
        if not np.isfinite(image).all():
            raise DnaError(f"calibration image {number} holds NaN or infinity")
        shape = image.shape
        yield image
    if shape is None:
        raise DnaError("there are no calibration images")


def _peek(images: Iterator[F32Array]) -> tuple[F32Array, Iterator[F32Array]]:
    first = next(images)
    return first, itertools.chain([first], images)


def _batch(image: F32Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))[None]
