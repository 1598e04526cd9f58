"""ResNet50 in Keras, batch normalization folded into the convolutions.

The same network as ``sw.models.resnet50``, with the same names of layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sw.frontends.ranges import Range
from sw.models import weights
from sw.models.architecture import CLASSES, EXPANSION, IMAGE, STAGES, VERSIONS, Version


class _FakeQuantization(keras.layers.Layer):  # type: ignore[misc]
    """Rounds to the 256 values of a range; TensorFlow's converter takes the range from it."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self._range = (low, high)

    def call(self, x: Any) -> Any:
        """Float32 of any shape to the same."""
        return tf.quantization.fake_quant_with_min_max_args(x, *self._range)


class _Builder:
    """Builds the layers, and notes every activation that is quantized."""

    def __init__(self, version: Version, ranges: Mapping[str, Range]) -> None:
        self.version = version
        self.ranges = ranges
        self.activations: dict[str, Any] = {}

    def noted(self, x: Any, name: str) -> Any:
        self.activations[name] = x
        return _FakeQuantization(*self.ranges[name])(x) if name in self.ranges else x

    def conv(
        self,
        x: Any,
        name: str,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        activation: str | None = None,
    ) -> Any:
        """A convolution padded by half its kernel on every side, as PyTorch pads."""
        if kernel > 1:
            x = keras.layers.ZeroPadding2D(kernel // 2)(x)
        layer = keras.layers.Conv2D(channels, kernel, stride, activation=activation, name=name)
        return self.noted(layer(x), name)

    def bottleneck(self, x: Any, name: str, width: int, stride: int, project: bool) -> Any:
        first, second = (stride, 1) if self.version == "v1" else (1, stride)
        out = EXPANSION * width
        shortcut = self.conv(x, f"{name}.downsample", out, stride=stride) if project else x
        x = self.conv(x, f"{name}.conv1", width, stride=first, activation="relu")
        x = self.conv(x, f"{name}.conv2", width, 3, second, "relu")
        x = keras.layers.Add()([self.conv(x, f"{name}.conv3", out), shortcut])
        return self.noted(keras.layers.ReLU()(x), name)

    def network(self) -> Any:
        image = keras.Input(batch_shape=(1, *IMAGE))
        x = self.conv(self.noted(image, "image"), "conv1", 64, 7, 2, "relu")
        x = keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))
        for stage, (width, depth) in enumerate(STAGES):
            for block in range(depth):
                stride = 2 if stage > 0 and block == 0 else 1
                x = self.bottleneck(x, f"layer{stage + 1}.{block}", width, stride, block == 0)
        x = self.noted(keras.layers.GlobalAveragePooling2D()(x), "avgpool")
        logits = self.noted(keras.layers.Dense(CLASSES, name="fc")(x), "fc")
        return keras.Model(image, logits)


def build(version: Version, ranges: Mapping[str, Range] | None = None) -> tuple[Any, Any]:
    """The network from image, float32 [1, 224, 224, 3], to logits, with random weights.

    Args:
        ranges: of activations by name, to quantize them to.

    Returns:
        The network; and one that shares its weights and gives every activation by name.

    Raises:
        ValueError: ``version`` is unknown.
    """
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {VERSIONS}, not {version!r}")
    builder = _Builder(version, ranges or {})
    model = builder.network()
    return model, keras.Model(model.input, builder.activations)


def load(path: Path, version: Version | None = None) -> tuple[Any, Any, weights.Weights, Version]:
    """ResNet50 with the trained weights of a file.

    Args:
        path: what ``torch.save`` wrote, or safetensors, with Keras or torchvision names.
        version: default: what weights of that naming are published as.

    Returns:
        The two networks of :func:`build`, what was found in the file, and the version.

    Raises:
        DnaError: the file cannot be used; the message names it and the tensor at fault.
    """
    found = weights.read(path)
    version = version or found.naming.version
    model, observed = build(version)
    trained = [layer for layer in model.layers if layer.weights]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in trained:
        shape = tuple(layer.kernel.shape)
        # PyTorch's order: outputs first.
        shapes[f"{layer.name}.weight"] = (*shape[:-3:-1], *shape[:-2])
        shapes[f"{layer.name}.bias"] = (shape[-1],)
    folded = weights.fold(found, shapes)
    for layer in trained:
        kernel = folded[f"{layer.name}.weight"]
        kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
        layer.set_weights([kernel, folded[f"{layer.name}.bias"]])
    return model, observed, found, version


def with_ranges(model: Any, version: Version, ranges: Mapping[str, Range]) -> Any:
    """A copy of ``model`` whose activations are quantized to ``ranges``."""
    copy, _ = build(version, ranges)
    copy.set_weights(model.get_weights())
    return copy
