"""Files of tensors: what ``torch.save`` writes, in either of its formats, and safetensors.

What a file is says its content, not its name. A checkpoint of a training run is a dictionary of
dictionaries; every one that holds tensors is found, and no tensor is read before it is asked for.
Nothing in a file is executed: of the classes that a pickle may name only tensors, plain containers,
NumPy's scalars and the namespaces of command-line options (:data:`_PLAIN`) are made.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from sw.errors import DnaError
from sw.host.extras import needs

Array = npt.NDArray[Any]

FLOATS = ("float64", "float32", "float16", "bfloat16")
"""Kinds of numbers that weights have."""

_SAFETENSORS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_DEPTH = 4
"""Dictionaries inside dictionaries that are looked into; a cycle ends there."""

_KINDS = {
    b"PK\x03\x04": "torch",  # a zip archive, since PyTorch 1.6
    b"\x80": "torch",  # a pickle, before
    b"\x89HDF": "HDF5, as Keras writes it; nearest: --framework tensorflow with the whole network",
    b"\x1f\x8b": "compressed; unpack it first",
    b"BZh": "compressed; unpack it first",
    b"\xfd7zXZ": "compressed; unpack it first",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself: git lfs pull",
}
"""How the content begins: "torch", or what else it is."""


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of a file.

    Attributes:
        kind: of its numbers, one of :data:`FLOATS` or any other name.
        shape: its extents.
        read: gives its values, bfloat16 as float32; raises DnaError.
    """

    kind: str
    shape: tuple[int, ...]
    read: Callable[[], Array]


@dataclasses.dataclass(frozen=True)
class Dictionary:
    """A dictionary of a file that holds tensors.

    Attributes:
        keys: that lead to it from the outermost one.
        tensors: in it, by name.
        rest: keys of all else, in it and in those around it.
    """

    keys: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    rest: tuple[str, ...]


def dictionaries(path: Path) -> list[Dictionary]:
    """Every dictionary of tensors in a file, the outer ones first.

    Raises:
        DnaError: the file is missing, truncated, or of another kind.
    """
    if not path.is_file():
        raise DnaError(f"weights {path} do not exist or are not a file")
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start[8:9] == b"{":  # behind the length of its header
            return [Dictionary((), _safetensors(path), ())]
    except OSError as error:
        raise DnaError(f"cannot read weights {path}: {error.strerror}") from error
    kind = next((what for mark, what in _KINDS.items() if start.startswith(mark)), None)
    if kind == "torch":
        return list(_found(_loaded(path), path, (), ()))
    if kind is None:
        kind = "neither what torch.save writes nor safetensors" if start else "empty"
    raise DnaError(f"cannot read weights {path}: the file is {kind}")


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        entries = safetensors.deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise DnaError(f"cannot read weights {path}: {error}") from error
    return {
        name: Tensor(
            _SAFETENSORS.get(entry["dtype"], entry["dtype"]),
            tuple(entry["shape"]),
            functools.partial(_values, entry),
        )
        for name, entry in entries
    }


def _values(entry: Mapping[str, Any]) -> Array:
    if entry["dtype"] == "BF16":  # the upper half of a float32
        upper = np.frombuffer(entry["data"], "<u2").astype("<u4")
        return (upper << 16).view("<f4").reshape(entry["shape"])
    return np.frombuffer(entry["data"], _SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])


def _plain() -> list[Any]:
    """Classes of training scripts' pickles that hold values only, beside PyTorch's own list."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    older = (scalar, "numpy.core.multiarray.scalar")
    return [argparse.Namespace, np.dtype, scalar, older, *kinds]


def _loaded(path: Path) -> Any:
    """What ``torch.save`` was given.

    Raises:
        DnaError: PyTorch is not installed, or the file is damaged or holds objects with code.
    """
    with needs("quantize", "PyTorch"):
        import torch
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_plain()):
            warnings.simplefilter("ignore")  # of what the file's writer should have done
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load meets a damaged file with many kinds of exception
        raise DnaError(f"cannot read weights {path}: {_reason(str(error))}") from error


def _reason(message: str) -> str:
    """Why PyTorch does not load a file, from its text of many lines and terminal codes."""
    if found := re.search(r"nsupported (?:global: )?GLOBAL ([\w.]*\w)", message):
        why = f"it holds more than tensors ({found[1]}), which could run code"
    elif "TorchScript" in message:
        why = "it is a program (TorchScript)"
    else:
        text = re.sub(r"\x1b\[[0-9;]*m", "", message.rpartition("WeightsUnpickler error:")[2])
        return (text.strip().splitlines() or ["it is damaged"])[0][:200]
    return f"{why}; nearest: a file of tensors, torch.save(model.state_dict(), FILE)"


def _found(
    value: Any, path: Path, keys: tuple[str, ...], around: tuple[str, ...]
) -> Iterator[Dictionary]:
    import torch

    if not isinstance(value, Mapping):
        if not keys:
            kind = type(value).__name__
            raise DnaError(f"weights {path} hold a {kind}, not a state dictionary")
        return
    entries = {str(name): entry for name, entry in value.items()}
    tensors = {
        name: _torch_tensor(entry, f"weights {path}: tensor {name!r}")
        for name, entry in entries.items()
        if isinstance(entry, torch.Tensor)
    }
    rest = tuple(name for name in entries if name not in tensors)
    if tensors:
        yield Dictionary(keys, tensors, (*around, *rest))
    if len(keys) < _DEPTH:
        for name in rest:
            beside = tuple(other for other in entries if other != name)
            yield from _found(entries[name], path, (*keys, name), (*around, *beside))


def _torch_tensor(value: Any, what: str) -> Tensor:
    import torch

    def read() -> Array:
        if value.is_meta:
            raise DnaError(f"{what} has no values, only a shape (device 'meta')")
        single = value.to(torch.float32) if value.dtype is torch.bfloat16 else value
        array: Array = single.detach().to_dense().numpy()
        return array

    return Tensor(str(value.dtype).removeprefix("torch."), tuple(value.shape), read)
