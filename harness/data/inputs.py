"""What is fed to a network: photographs, arrays in ``.npy`` files, or noise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from harness.data.preprocess import check_image, load_image
from sim.quantization import quantize
from sw.artifact import Manifest, Quantization
from sw.errors import DnaError
from sw.preprocessing import Preprocessing

Int8 = npt.NDArray[np.int8]

Given = tuple[npt.NDArray[Any], dict[str, Int8]]
"""The first input of a call, and the others by name."""

SUFFIX = ".npy"
FIRST = "input"
"""What the first of several inputs is called in a file."""


def load_input(manifest: Manifest, path: Path) -> npt.NDArray[Any]:
    """The input of a network from a file.

    Args:
        path: a photograph, for the manifest's preprocessing; or ``.npy`` with an array as
            :func:`load_array` takes it.

    Returns:
        int8 of the shape of the network's input; where the host runs a part in front of the
        machine, of the type and shape that it takes.

    Raises:
        DnaError: the file cannot be read or does not fit the network.
    """
    head = manifest.host.head
    if path.suffix.lower() == SUFFIX:
        return load_array(path, manifest.input) if head is None else _load_given(path, manifest)
    real = load_image(path, preprocessing_of(manifest), manifest.given_shape)
    if head is None:
        return quantize(real, manifest.input)
    kind = np.dtype(head.inputs[0].type)
    if kind.kind in "iu":
        real = np.clip(np.rint(real), np.iinfo(kind).min, np.iinfo(kind).max)
    return real.astype(kind)


def load_calls(manifest: Manifest, path: Path) -> list[Given]:
    """What a network is called with from a file: one input, or a sequence.

    Args:
        path: as for :func:`load_input`. Of a network that carries maps from call to call a
            ``.npy`` may hold several inputs, one behind the other along its first axis; of a
            network of several inputs it is an ``.npz`` with an array for each, by name.

    Returns:
        Of each call the first input, as :func:`load_input` has it, and the others by name, int8.

    Raises:
        DnaError: as :func:`load_input`, or an input is missing.
    """
    if manifest.further:
        return [_load_several(path, manifest)]
    shape = manifest.given_shape
    if manifest.carries and manifest.host.head is None and path.suffix.lower() == SUFFIX:
        array = _read(path)
        one = array.ndim < 2 or _longer(array.shape) == _longer(shape)
        if not one and _longer(array.shape[1:]) == _longer(shape):
            return [(_quantized(each, path, manifest.input), {}) for each in array]
    return [(load_input(manifest, path), {})]


def _load_several(path: Path, manifest: Manifest) -> Given:
    if manifest.host.head is not None:
        raise DnaError(f"{manifest.model} takes several inputs and has a part in front of them")
    places = {FIRST: manifest.input, **manifest.further}
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        read = np.load(path, allow_pickle=False)
        if isinstance(read, np.lib.npyio.NpzFile):
            with read as archive:
                arrays = dict(archive)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError, BadZipFile) as error:
        raise DnaError(f"cannot read {path}: {error}") from error
    if arrays.keys() != places.keys():
        raise DnaError(
            f"{path} has the arrays {', '.join(arrays) or 'of no .npz'}; the network takes "
            f"{', '.join(places)}"
        )
    given = {name: _quantized(arrays[name], path, where) for name, where in places.items()}
    return given.pop(FIRST), given


def check_alone(manifest: Manifest) -> None:
    """Fail where inputs must not depend on one another and a network takes one at a time.

    Raises:
        DnaError: the network takes several inputs, or carries maps from call to call.
    """
    if manifest.further or manifest.carries:
        what = "carries maps from call to call" if manifest.carries else "takes several inputs"
        raise DnaError(
            f"{manifest.model} {what}, and here every input stands alone; `dna run` and "
            "`dna verify` take it"
        )


def check_file(manifest: Manifest, path: Path) -> None:
    """Check all that can be known of an input without reading it whole.

    Raises:
        DnaError: as :func:`load_input`; only damage behind the header stays unseen.
    """
    if path.suffix.lower() == SUFFIX:
        array = _read(path, map_file=True)
        if manifest.host.head is None:
            _check_array(array, path, manifest.input)
        else:
            _check_given(array, path, manifest)
    else:
        preprocessing_of(manifest)
        check_image(path)


def preprocessing_of(manifest: Manifest) -> Preprocessing:
    """What makes photographs into the input of a network.

    Raises:
        DnaError: the network takes arrays, or the preprocessing does not fit its input.
    """
    how, shape = manifest.preprocessing, manifest.given_shape
    if how is None:
        raise DnaError(
            f"{manifest.model} takes arrays of shape {shape}, no photographs; give it a {SUFFIX} "
            "file, or name a --preprocessing when you import it"
        )
    how.check(shape)
    return how


def load_array(path: Path, quantization: Quantization) -> Int8:
    """An array from a ``.npy`` file: flat, or of the input's shape but for extents of 1.

    int8 is taken as it is, uint8 as int8 with a zero point 128 higher, float32 is quantized.

    Raises:
        DnaError: the file cannot be read, or has another type or shape, or contains NaN.
    """
    return _quantized(_read(path), path, quantization)


def _quantized(array: npt.NDArray[Any], path: Path, quantization: Quantization) -> Int8:
    _check_array(array, path, quantization)
    array = array.reshape(tuple(quantization.shape))
    if array.dtype == np.float32:
        try:
            return quantize(array, quantization)
        except DnaError as error:
            raise DnaError(f"{path}: {error}") from error
    if array.dtype == np.uint8:
        array = (array ^ 128).view(np.int8)
    return np.asarray(array, np.int8)


def _load_given(path: Path, manifest: Manifest) -> npt.NDArray[Any]:
    array = _read(path)
    _check_given(array, path, manifest)
    return array.reshape(manifest.given_shape)


def _check_given(array: npt.NDArray[Any], path: Path, manifest: Manifest) -> None:
    assert manifest.host.head is not None
    kind, shape = manifest.host.head.inputs[0].type, manifest.given_shape
    if array.dtype != np.dtype(kind):
        raise DnaError(f"{path} holds {array.dtype}; the network takes {kind} values")
    if array.size != math.prod(shape) or (
        array.ndim > 1 and _longer(array.shape) != _longer(shape)
    ):
        raise DnaError(f"{path} has shape {array.shape}; the network takes {shape}")


def _read(path: Path, map_file: bool = False) -> npt.NDArray[Any]:
    try:
        array = np.load(path, mmap_mode="r" if map_file else None, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DnaError(f"cannot read {path}: {reason}") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise DnaError(f"cannot read {path}: it holds several arrays (.npz), not one (.npy)")
    return array


def _check_array(array: npt.NDArray[Any], path: Path, quantization: Quantization) -> None:
    shape = tuple(quantization.shape)
    if array.size != math.prod(shape) or (
        array.ndim > 1 and _longer(array.shape) != _longer(shape)
    ):
        raise DnaError(f"{path} has shape {array.shape}; the network takes {shape}")
    if array.dtype not in (np.float32, np.uint8, np.int8):
        raise DnaError(
            f"{path} holds {array.dtype}; the network takes int8, uint8 or float32 values"
        )


def _longer(shape: tuple[int, ...]) -> list[int]:
    """What is left of a shape without its ones: with another order of axes it is another array."""
    return [extent for extent in shape if extent != 1]


def random_inputs(shape: tuple[int, ...], count: int) -> Iterator[Int8]:
    """``count`` inputs of ``shape``, every value as likely as any other; the same in every run."""
    for seed in range(count):
        yield np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)
