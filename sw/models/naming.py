"""The two namings of a ResNet50's tensors that are in use, and where each layer of ours is in them.

Keras calls a convolution ``res2a_branch2b``, its normalization ``bn2a_branch2b``, stores kernels
HWIO and gives every convolution a bias; torchvision calls them ``layer1.0.conv2`` and
``layer1.0.bn2`` and stores OIHW without bias.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from sw.models.architecture import Version


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
        first_stage: how the names of the first stage of blocks begin.
        layer: finds a layer of our network in a file.
        to_torch: axes that bring a kernel to OIHW, and a matrix to [out, in].
    """

    name: str
    version: Version
    preprocessing: str
    epsilon: float
    mark: str
    first_stage: str
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
    first_stage="res2a_",
    layer=_keras_layer,
    to_torch={4: (3, 2, 0, 1), 2: (1, 0)},
)
TORCHVISION = Naming(
    name="torchvision",
    version="v1.5",
    preprocessing="torchvision",
    epsilon=1e-5,
    mark="conv1.weight",
    first_stage="layer1.",
    layer=_torchvision_layer,
    to_torch={4: (0, 1, 2, 3), 2: (0, 1)},
)
NAMINGS = (KERAS, TORCHVISION)
