"""Trained ResNet50 weights from files: finding, checking, folding of batch normalization.

Weights of both namings (:mod:`sw.models.naming`) come out as the state of
:class:`sw.models.resnet50.ResNet50`. In a checkpoint they may stand inside dictionaries
(``state_dict``, ``model_ema``) and behind a prefix (``module.``, ``model.``). Where a file holds
exactly one ResNet50, whatever is around it, that one is taken, and it is said; two are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError
from sw.models.checkpoint import FLOATS, Dictionary, Tensor, dictionaries
from sw.models.naming import NAMINGS, Naming

Array = npt.NDArray[Any]
F32Array = npt.NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]

_SHOWN = 4
"""Names of what is left out that a line shows."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """The one ResNet50 of a file.

    Attributes:
        path: of the file.
        naming: that it follows.
        tensors: by name, without the prefix.
        prefix: that all names have in the file.
        remark: what was taken, if that needs to be said: one line.
    """

    path: Path
    naming: Naming
    tensors: Mapping[str, Tensor]
    prefix: str
    remark: str | None


def read(path: Path) -> Weights:
    """The ResNet50 in a file that ``torch.save`` wrote, or safetensors.

    Raises:
        DnaError: the file is missing, truncated or of another kind, holds no ResNet50 or more than
            one, or something beside it that may belong to the network.
    """
    places = [
        (dictionary, prefix, naming)
        for dictionary in dictionaries(path)
        for naming in NAMINGS
        for prefix in _prefixes(dictionary.tensors, naming)
    ]
    if not places:
        raise DnaError(
            f"weights {path} are not a ResNet50: "
            + " nor ".join(
                f"{start}{naming.mark!r} beside '{naming.first_stage}...' ({naming.name}'s names)"
                for start, naming in zip(("neither ", ""), NAMINGS, strict=True)
            )
        )
    if len(places) > 1:
        names = " and ".join(_place(dictionary, prefix) for dictionary, prefix, _ in places)
        raise DnaError(
            f"weights {path} hold {len(places)} ResNet50s: {names}; save the one that is meant "
            "in a file of its own"
        )
    ((dictionary, prefix, naming),) = places
    for name, tensor in dictionary.tensors.items():
        if not name.startswith(prefix) and not _counts(name, tensor):
            raise DnaError(
                f"weights {path}: tensor {name!r} is none of those that begin with {prefix!r}: "
                "whether it belongs to the network is not known"
            )
    tensors = {
        name.removeprefix(prefix): tensor
        for name, tensor in dictionary.tensors.items()
        if name.startswith(prefix)
    }
    return Weights(path, naming, tensors, prefix, _remark(path, dictionary, prefix, tensors))


def _prefixes(tensors: Mapping[str, Tensor], naming: Naming) -> Iterator[str]:
    """What stands before the names of each ResNet50 among ``tensors``."""
    for name in tensors:
        prefix = name.removesuffix(naming.mark)
        if prefix == name or (prefix and prefix[-1] not in "./"):
            continue
        if any(other.startswith(prefix + naming.first_stage) for other in tensors):
            yield prefix


def _counts(name: str, tensor: Tensor) -> bool:
    """Whether a tensor counts steps, and is not used in the network's arithmetic."""
    whole = tensor.kind not in FLOATS and all(extent == 1 for extent in tensor.shape)
    return whole or name.endswith("num_batches_tracked")


def _place(dictionary: Dictionary, prefix: str) -> str:
    place = " in ".join(repr(key) for key in reversed(dictionary.keys))
    names = f"the names that begin with {prefix!r}" if prefix else ""
    return " of ".join(filter(None, (names, place))) or "the names without a prefix"


def _remark(
    path: Path, dictionary: Dictionary, prefix: str, tensors: Mapping[str, Tensor]
) -> str | None:
    narrow = sorted({tensor.kind for tensor in tensors.values()} & {"float16", "bfloat16"})
    said = []
    if dictionary.keys or prefix:
        said.append(f"taken: {_place(dictionary, prefix)}")
    if narrow:
        said.append(f"{' and '.join(narrow)}, widened")
    if dictionary.rest:
        more = ", ..." if len(dictionary.rest) > _SHOWN else ""
        said.append(f"left out: {', '.join(map(repr, dictionary.rest[:_SHOWN]))}{more}")
    return f"weights {path}: {'; '.join(said)}" if said else None


def fold(weights: Weights, shapes: Shapes) -> dict[str, F32Array]:
    """Fold batch normalization: ``w' = w * g / sqrt(v + eps)``, ``b' = (b - m) * g / ... + beta``.

    Computed in float64, rounded to float32 once.

    Args:
        weights: of a file.
        shapes: of the network's state: ``<layer>.weight`` and ``<layer>.bias``, kernels OIHW.

    Returns:
        The network's state.

    Raises:
        DnaError: a tensor is missing, of a wrong shape, not finite, or belongs to no layer.
    """
    path, naming = weights.path, weights.naming
    used = set()

    def take(name: str, shape: tuple[int, ...]) -> Array:
        what = f"weights {path}: tensor {weights.prefix + name!r}"
        tensor = weights.tensors.get(name)
        if tensor is None:
            raise DnaError(f"{what} is missing")
        if tensor.shape != shape:
            raise DnaError(f"{what} has shape {list(tensor.shape)}, expected {list(shape)}")
        if tensor.kind not in FLOATS:
            nearest = ", ".join(FLOATS)
            raise DnaError(f"{what} is {tensor.kind}, not floating point; nearest: {nearest}")
        value = tensor.read()
        if not np.isfinite(value).all():
            raise DnaError(f"{what} holds NaN or infinity")
        used.add(name)
        return value.astype(np.float64)

    state: dict[str, F32Array] = {}
    for layer in (name.removesuffix(".weight") for name in shapes if name.endswith(".weight")):
        source = naming.layer(layer)
        shape = shapes[f"{layer}.weight"]
        channels = (shape[0],)
        axes = naming.to_torch[len(shape)]
        stored = tuple(shape[axes.index(axis)] for axis in range(len(shape)))
        weight = take(source.weight, stored).transpose(axes)
        bias = take(source.bias, channels) if source.bias else np.zeros(channels)
        if source.normalization:
            scale, shift, mean, variance = (take(name, channels) for name in source.normalization)
            if (variance < 0).any():
                name = weights.prefix + source.normalization[3]
                raise DnaError(f"weights {path}: tensor {name!r} holds a negative variance")
            factor = scale / np.sqrt(variance + naming.epsilon)
            weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
            bias = (bias - mean) * factor + shift
        for what, value in (("weight", weight), ("bias", bias)):
            with np.errstate(over="ignore"):
                single = np.ascontiguousarray(value, dtype=np.float32)
            if not np.isfinite(single).all():
                name = weights.prefix + source.weight
                raise DnaError(
                    f"weights {path}: {name!r} overflows when its normalization is folded"
                )
            state[f"{layer}.{what}"] = single
    for name, tensor in weights.tensors.items():
        # A deeper network holds all of ResNet50's names and more: it must not pass for one.
        if name not in used and not _counts(name, tensor):
            raise DnaError(
                f"weights {path}: tensor {weights.prefix + name!r} is no part of ResNet50"
            )
    return state
