"""What is fed to a network: photographs, arrays in ``.npy`` files, or noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.data.preprocess import check_input, load_image
from sim.quantization import quantize
from sw.artifact import Manifest, Quantization
from sw.errors import DnaError

Int8 = npt.NDArray[np.int8]

ARRAY = "array"
"""The preprocessing of a network that takes arrays, and no photographs."""
SUFFIX = ".npy"


def load_input(manifest: Manifest, path: Path) -> Int8:
    """The input of a network from a file.

    Args:
        path: a photograph, for the manifest's preprocessing; or ``.npy`` with an array as
            :func:`load_array` takes it.

    Returns:
        int8 of the shape of the network's input.

    Raises:
        DnaError: the file cannot be read or does not fit the network.
    """
    if path.suffix == SUFFIX:
        return load_array(path, manifest.input)
    check_photographs(manifest)
    return quantize(load_image(path, manifest.preprocessing), manifest.input)


def check_photographs(manifest: Manifest) -> None:
    """Fail if photographs cannot be made into what a network takes.

    Raises:
        DnaError: the network takes arrays, or images of another shape.
    """
    if manifest.preprocessing == ARRAY:
        raise DnaError(
            f"{manifest.model} takes arrays of shape {tuple(manifest.input.shape)}, no "
            f"photographs; give it a {SUFFIX} file, or name a --preprocessing when you import it"
        )
    check_input(manifest)


def load_array(path: Path, quantization: Quantization) -> Int8:
    """An array from a ``.npy`` file, with or without a batch of 1.

    int8 is taken as it is, uint8 as int8 with a zero point 128 higher, float32 is quantized.

    Raises:
        DnaError: the file cannot be read, or has another type or number of values.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DnaError(f"cannot read {path}: {reason}") from error
    shape = tuple(quantization.shape)
    if not isinstance(array, np.ndarray) or array.size != math.prod(shape):
        raise DnaError(
            f"{path} has shape {getattr(array, 'shape', None)}; the network takes {shape}"
        )
    array = array.reshape(shape)
    if array.dtype == np.float32:
        return quantize(array, quantization)
    if array.dtype == np.uint8:
        array = (array ^ 128).view(np.int8)
    if array.dtype != np.int8:
        raise DnaError(
            f"{path} holds {array.dtype}; the network takes int8, uint8 or float32 values"
        )
    return np.asarray(array, np.int8)


def random_inputs(shape: tuple[int, ...], count: int) -> Iterator[Int8]:
    """``count`` inputs of ``shape``, every value as likely as any other; the same in every run."""
    for seed in range(count):
        yield np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)
