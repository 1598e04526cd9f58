"""Trained ResNet50 weights from files: reading, checking, folding of batch normalization.

Two namings are in use. Keras calls a convolution ``res2a_branch2b``, its normalization
``bn2a_branch2b``, stores kernels HWIO and gives every convolution a bias; torchvision calls them
``layer1.0.conv2`` and ``layer1.0.bn2`` and stores OIHW without bias. Both come out as the state of
:class:`sw.models.resnet50.ResNet50`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from sw.errors import DnaError
from sw.models.architecture import Version

Array = npt.NDArray[Any]
F32Array = npt.NDArray[np.float32]
Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Layer:
    """Where one layer's tensors are in a file.

    Attributes:
        weight: name of the kernel or matrix.
        bias: name of the bias, None if the layer has none.
        normalization: names of scale, shift, mean and variance; None for the classifier.
    """

    weight: str
    bias: str | None
    normalization: tuple[str, str, str, str] | None


@dataclasses.dataclass(frozen=True)
class Naming:
    """A convention for ResNet50's tensors.

    Attributes:
        name: of the convention.
        version: of the ResNet50 whose published weights follow it.
        preprocessing: that those weights were trained with (``harness.data.preprocess``).
        epsilon: added to the variance by its batch normalization.
        mark: a tensor that every file of this naming has.
        layer: finds a layer of our network in a file.
        to_torch: axes that bring a kernel to OIHW, and a matrix to [out, in].
    """

    name: str
    version: Version
    preprocessing: str
    epsilon: float
    mark: str
    layer: Callable[[str], Layer]
    to_torch: Mapping[int, tuple[int, ...]]


def _keras_layer(layer: str) -> Layer:
    if layer == "fc":
        return Layer("fc1000/kernel", "fc1000/bias", None)
    if layer == "conv1":
        convolution, normalization = "conv1", "bn_conv1"
    else:
        stage, block, part = re.fullmatch(r"layer(\d)\.(\d)\.(\w+)", layer).groups()  # type: ignore[union-attr]
        branch = {"conv1": "2a", "conv2": "2b", "conv3": "2c", "downsample": "1"}[part]
        place = f"{int(stage) + 1}{'abcdef'[int(block)]}_branch{branch}"
        convolution, normalization = f"res{place}", f"bn{place}"
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    a, b, c, d = (f"{normalization}/{what}" for what in statistics)
    return Layer(f"{convolution}/kernel", f"{convolution}/bias", (a, b, c, d))


def _torchvision_layer(layer: str) -> Layer:
    if layer == "fc":
        return Layer("fc.weight", "fc.bias", None)
    if layer.endswith("downsample"):
        convolution, normalization = f"{layer}.0", f"{layer}.1"
    else:
        convolution, normalization = layer, layer.replace("conv", "bn")
    statistics = ("weight", "bias", "running_mean", "running_var")
    a, b, c, d = (f"{normalization}.{what}" for what in statistics)
    return Layer(f"{convolution}.weight", None, (a, b, c, d))


KERAS = Naming(
    name="keras",
    version="v1",
    preprocessing="caffe",
    epsilon=1e-3,
    mark="conv1/kernel",
    layer=_keras_layer,
    to_torch={4: (3, 2, 0, 1), 2: (1, 0)},
)
TORCHVISION = Naming(
    name="torchvision",
    version="v1.5",
    preprocessing="torchvision",
    epsilon=1e-5,
    mark="conv1.weight",
    layer=_torchvision_layer,
    to_torch={4: (0, 1, 2, 3), 2: (0, 1)},
)


def read(path: Path) -> dict[str, Array]:
    """Every tensor of a ``.safetensors``, ``.pth`` or ``.pt`` file.

    Raises:
        DnaError: the file is missing, truncated, of another kind, or holds something other than
            tensors.
    """
    if not path.is_file():
        raise DnaError(f"weights {path} do not exist or are not a file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in (".pth", ".pt"):
        return _read_torch(path)
    raise DnaError(f"weights {path} must end in .safetensors, .pth or .pt")


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, OSError, KeyError, TypeError) as error:
        raise DnaError(f"cannot read weights {path}: {error}") from error


def _read_torch(path: Path) -> dict[str, Array]:
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load meets a damaged file with many kinds of exception
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DnaError(f"cannot read weights {path}: {reason}") from error
    if not isinstance(state, dict):
        raise DnaError(f"weights {path} hold a {type(state).__name__}, not a state dictionary")
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise DnaError(
                f"weights {path}: {name!r} is a {type(value).__name__}, not a tensor; "
                "save the model's state_dict()"
            )
    return {str(name): value.detach().to_dense().numpy() for name, value in state.items()}


def naming_of(tensors: Mapping[str, Array], path: Path) -> Naming:
    """The naming that a file follows.

    Raises:
        DnaError: neither of the two.
    """
    for naming in (KERAS, TORCHVISION):
        if naming.mark in tensors:
            return naming
    raise DnaError(
        f"weights {path} have neither {KERAS.mark!r} (Keras) nor {TORCHVISION.mark!r} "
        "(torchvision): not a ResNet50"
    )


def fold(
    tensors: Mapping[str, Array], shapes: Shapes, naming: Naming, path: Path
) -> dict[str, F32Array]:
    """Fold batch normalization: ``w' = w * g / sqrt(v + eps)``, ``b' = (b - m) * g / ... + beta``.

    Computed in float64, rounded to float32 once.

    Args:
        tensors: of the file.
        shapes: of the network's state: ``<layer>.weight`` and ``<layer>.bias``, kernels OIHW.
        naming: that the file follows.
        path: of the file, for messages.

    Returns:
        The network's state.

    Raises:
        DnaError: a tensor is missing, of a wrong shape, not finite, or belongs to no layer.
    """
    used = set()

    def take(name: str, shape: tuple[int, ...]) -> Array:
        if name not in tensors:
            raise DnaError(f"weights {path}: tensor {name!r} is missing")
        value = tensors[name]
        if value.shape != shape:
            raise DnaError(
                f"weights {path}: tensor {name!r} has shape {list(value.shape)}, "
                f"expected {list(shape)}"
            )
        if not np.issubdtype(value.dtype, np.floating):
            raise DnaError(f"weights {path}: tensor {name!r} is {value.dtype}, not floating point")
        if not np.isfinite(value).all():
            raise DnaError(f"weights {path}: tensor {name!r} holds NaN or infinity")
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
                raise DnaError(
                    f"weights {path}: tensor {source.normalization[3]!r} holds a negative variance"
                )
            factor = scale / np.sqrt(variance + naming.epsilon)
            weight = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
            bias = (bias - mean) * factor + shift
        for what, value in (("weight", weight), ("bias", bias)):
            with np.errstate(over="ignore"):
                single = np.ascontiguousarray(value, dtype=np.float32)
            if not np.isfinite(single).all():
                raise DnaError(
                    f"weights {path}: {source.weight!r} overflows when its normalization is folded"
                )
            state[f"{layer}.{what}"] = single
    _refuse_unused(tensors, used, path)
    return state


def _refuse_unused(tensors: Mapping[str, Array], used: set[str], path: Path) -> None:
    """A deeper network holds all of ResNet50's names and more: it must not pass for one."""
    for name in tensors:
        if name not in used and not name.endswith("num_batches_tracked"):
            raise DnaError(f"weights {path}: tensor {name!r} is no part of ResNet50")
