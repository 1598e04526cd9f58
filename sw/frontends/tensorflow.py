"""TensorFlow's full-integer post-training quantization: a Keras model to a TFLite file.

The converter observes the activations on calibration images and writes int8 weights with a scale
for each output channel; :mod:`sw.frontends.tflite` makes the integer graph of the file. By itself
it takes the whole range that it observed. Where we build the network, fake quantizations tell it
the ranges of the least squared error instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from sw.errors import DnaError
from sw.frontends.ranges import Histogram, Range

F32Array = npt.NDArray[np.float32]
Progress = Callable[[str, int], None]


_NAME = re.compile(r"[A-Za-z0-9_.\\/>-]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.\\/>-]")
"""What TensorFlow's graphs call their nodes, and the characters that are no part of a name."""


class FloatModel:
    """A model in float32 with one image in and one row of classes out.

    Args:
        call: what computes it: float32 [1, height, width, channels] to float32 [1, classes].
        shape: of an image, (height, width, channels).
        converter: makes a TFLiteConverter for it.
    """

    def __init__(
        self, call: Callable[[Any], Any], shape: tuple[int, ...], converter: Callable[[], Any]
    ) -> None:
        self.shape = shape
        self._converter = converter
        spec = tf.TensorSpec((1, *shape), tf.float32)
        self._function = tf.function(call).get_concrete_function(spec)

    def run(self, image: F32Array) -> F32Array:
        """The classes of one image, float32 [height, width, channels] to [classes]."""
        result: F32Array = self._function(tf.constant(image[np.newaxis])).numpy().reshape(-1)
        return result

    def quantize(self, images: Iterable[F32Array], progress: Progress | None = None) -> bytes:
        """The model with int8 weights, activations, input and output, as a TFLite file.

        Args:
            images: to calibrate with, preprocessed.
            progress: called with a stage and the number of images done.

        Raises:
            DnaError: the converter cannot express the model in int8.
        """
        converter = self._converter()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _samples(images, progress)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
        try:
            content: bytes = converter.convert()
        except DnaError:  # of an image
            raise
        except Exception as error:  # the converter fails in any way that its own code can
            raise DnaError(f"TensorFlow cannot quantize the model: {_reason(error)}") from error
        return content


def of_keras(model: Any) -> FloatModel:
    """A Keras model in float32.

    Raises:
        DnaError: it does not take one image, or the converter cannot name its parts.
    """
    shape = tuple(model.input_shape) if isinstance(model.input_shape, tuple) else ()
    if len(shape) != 4 or None in shape[1:] or shape[0] not in (None, 1):
        raise DnaError(
            f"the model takes {model.input_shape}; nearest: one image, (1, height, width, channels)"
        )
    layers = model._flatten_layers(include_self=False)
    for what, names in (
        ("input", (tensor.name for tensor in model.inputs)),
        ("layer", (layer.name for layer in layers)),
    ):
        for name in names:
            if not _NAME.fullmatch(name):
                nearest = _NO_NAME.sub("_", name)
                raise DnaError(
                    f"TensorFlow's converter takes no {what} called {name!r}; nearest: {nearest!r}"
                )
    return FloatModel(
        lambda x: model(x, training=False),
        shape[1:],
        lambda: tf.lite.TFLiteConverter.from_keras_model(model),
    )


def load(path: Path) -> FloatModel:
    """A ``.keras`` or ``.h5`` file, or the folder of a SavedModel.

    Raises:
        DnaError: it cannot be read, or does not take one image.
    """
    if not path.exists():
        raise DnaError(f"cannot read {path}: there is no such file or folder")
    try:
        if path.is_file():
            return of_keras(tf.keras.models.load_model(path, compile=False))
        saved = tf.saved_model.load(str(path))
        signature = saved.signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        ((output, _),) = signature.structured_outputs.items()
        shape = tuple(spec.shape)
        if len(shape) != 4 or None in shape[1:]:
            raise DnaError(
                f"{path} takes {shape}; nearest: one image, (1, height, width, channels)"
            )
        return FloatModel(
            lambda x: signature(**{name: x})[output],
            shape[1:],
            lambda: tf.lite.TFLiteConverter.from_saved_model(str(path)),
        )
    except DnaError:
        raise
    except Exception as error:  # Keras runs the layers of the file, which fail in their own ways
        raise DnaError(f"cannot read {path} as a Keras model: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What is wrong, out of TensorFlow's many lines: the first, or the one below the frames."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("Arguments received by")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    framed = lines[0].startswith(("in user code", "Exception encountered"))
    return lines[-1 if framed else 0][:300]


def observed_ranges(
    observed: Any, images: Sequence[F32Array], progress: Progress | None = None
) -> dict[str, Range]:
    """The best range of every activation, over two passes through the images.

    Args:
        observed: a Keras model from an image to its activations by name.
    """
    bounds: dict[str, Range] = {}
    for done, image in enumerate(images):
        for name, values in observed(image[np.newaxis], training=False).items():
            low, high = bounds.get(name, (0.0, 0.0))
            bounds[name] = (
                min(low, float(tf.reduce_min(values))),
                max(high, float(tf.reduce_max(values))),
            )
        if progress is not None:
            progress("observing bounds", done + 1)
    histograms = {name: Histogram(*bound) for name, bound in bounds.items()}
    for done, image in enumerate(images):
        for name, values in observed(image[np.newaxis], training=False).items():
            histograms[name].add(values.numpy())
        if progress is not None:
            progress("observing values", done + 1)
    return {name: histogram.best() for name, histogram in histograms.items()}


def _samples(images: Iterable[F32Array], progress: Progress | None) -> Iterator[list[F32Array]]:
    for done, image in enumerate(images):
        yield [image[np.newaxis]]
        if progress is not None:
            progress("calibrating", done + 1)
