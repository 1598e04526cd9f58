"""How a photograph becomes the input of a network, as data: the manifest of an artifact holds it.

A photograph is resized, cut to the height and width of the network's input from its centre, brought
into the order of channels, and every value ``v`` (0 to 255) becomes ``(v / divisor - mean) /
deviation``. Each of the named ones repeats what its weights were trained or are judged with:

============= ============== ======== ==========================================================
name          resampling     channels normalisation
============= ============== ======== ==========================================================
caffe         Pillow bilinear BGR     minus [103.939, 116.779, 123.68]: Keras' ResNet50
torchvision   Pillow bilinear RGB     / 255, minus mean, / deviation: torchvision's ResNet50, and
                                      "imagenet_pytorch" of the MLPerf reference code
mlperf        OpenCV area     RGB     minus [123.68, 116.78, 103.94]: "imagenet" of the MLPerf
                                      reference code (resnet50)
mobilenet     Pillow bilinear RGB     / 127.5, minus 1: TensorFlow's MobileNet, Inception, and
                                      most of what TensorFlow Hub has
yolo          OpenCV linear  RGB      / 255: Ultralytics' YOLO, and "yolo" of the MLPerf reference
                                      code
============= ============== ======== ==========================================================

The named ones scale the short side to 256 for an input of 224, and in that ratio for every other;
but ``yolo`` brings the whole photograph into the input, in proportion, with grey around it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import msgspec

from sw.errors import DnaError

ARRAY = "array"
"""What a network without a preprocessing is said to have: it takes arrays, and no photographs."""
MAX_SIZE = 8192
CHANNELS = {"RGB": 3, "BGR": 3, "grey": 1}
GREY = 114
"""Of the bars of a letterbox, of 255, as Ultralytics' networks were trained with."""

Resampling = Literal["bilinear", "bicubic", "lanczos", "nearest", "area", "linear"]


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From upright 8-bit RGB to float32 of the input's shape.

    Attributes:
        name: what it is called in reports: one of the named ones, or the file that it came from.
        resize: ``short_side``: the short side becomes ``size``, the long one keeps the proportion;
            ``stretch``: both sides become the input's, whatever the proportion; ``letterbox``: the
            whole photograph in the middle of the input, in proportion, the rest is ``GREY``.
        size: pixels of the short side; of ``short_side`` only.
        keep: the share of height and of width, around the centre, that is kept before the resize.
        resampling: Pillow's filters, which widen when they shrink; ``area`` is OpenCV's average,
            ``linear`` its interpolation, which does not widen.
        channels: their order; ``grey`` is one channel, by ITU-R 601-2.
        divisor: of every value.
        mean: subtracted then, of all channels or one for each, in their order.
        deviation: divided by then, likewise.
    """

    name: str = ""
    resize: Literal["short_side", "stretch", "letterbox"]
    size: int | None = None
    keep: float = 1.0
    resampling: Resampling = "bilinear"
    channels: Literal["RGB", "BGR", "grey"] = "RGB"
    divisor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if (self.size is None) == (self.resize == "short_side"):
            needs = "needs a size" if self.size is None else f"has no size, not {self.size}"
            raise ValueError(f"resize {self.resize!r} {needs}")
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise ValueError(f"size {self.size} is not in 1 to {MAX_SIZE}")
        if not 0 < self.keep <= 1:
            raise ValueError(f"keep {self.keep} is not above 0 and at most 1")
        for what, values in (("mean", self.mean), ("deviation", self.deviation)):
            if len(values) not in (1, CHANNELS[self.channels]):
                raise ValueError(f"{what} has {len(values)} values for channels {self.channels!r}")
            if not all(map(math.isfinite, values)):
                raise ValueError(f"{what} {list(values)} is not finite")
        for what, values in (("divisor", (self.divisor,)), ("deviation", self.deviation)):
            # As float32, in which it is divided: what is too small for it would be zero.
            if not all(math.isfinite(value) and abs(value) > 1e-30 for value in values):
                raise ValueError(f"{what} {list(values)} cannot be divided by")

    def check(self, shape: tuple[int, ...]) -> None:
        """Fail if no input of ``shape`` can be made.

        Raises:
            DnaError: it has another number of channels, is no image, or is larger than the resized
                photograph.
        """
        photographs = f"preprocessing {self.name!r} makes"
        if len(shape) != 3 or shape[2] != CHANNELS[self.channels]:
            raise DnaError(
                f"the network takes arrays of shape {shape}; {photographs} images of shape "
                f"(height, width, {CHANNELS[self.channels]})"
            )
        if self.size is not None and self.size < max(shape[:2]):
            raise DnaError(
                f"the network takes images of shape {shape}; {photographs} the short side "
                f"{self.size}, of which no {shape[0]} x {shape[1]} can be cut"
            )


class _Named(msgspec.Struct, frozen=True):
    resize: Literal["short_side", "letterbox"] = "short_side"
    resampling: Resampling = "bilinear"
    channels: Literal["RGB", "BGR"] = "RGB"
    divisor: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    deviation: tuple[float, ...] = (1.0,)


PRESETS = {
    "caffe": _Named(channels="BGR", mean=(103.939, 116.779, 123.68)),
    "torchvision": _Named(
        divisor=255.0, mean=(0.485, 0.456, 0.406), deviation=(0.229, 0.224, 0.225)
    ),
    "mlperf": _Named(resampling="area", mean=(123.68, 116.78, 103.94)),
    "mobilenet": _Named(divisor=127.5, mean=(1.0,)),
    "yolo": _Named(resize="letterbox", resampling="linear", divisor=255.0),
}
NAMES = (ARRAY, *PRESETS)


def named(name: str, shape: tuple[int, ...]) -> Preprocessing | None:
    """A named preprocessing for an input of ``shape``; None for ``array``.

    An input of one channel is fed grey photographs where the normalisation is the same for all.

    Raises:
        DnaError: there is none of this name, or the input is no image for it.
    """
    if name == ARRAY:
        return None
    if name not in PRESETS:
        raise DnaError(f"no preprocessing {name!r}; there are {', '.join(PRESETS)} and {ARRAY}")
    known = PRESETS[name]
    grey = shape[2:] == (1,) and len(known.mean) == len(known.deviation) == 1
    made = Preprocessing(
        name=name,
        resize=known.resize,
        size=_short_side(shape) if known.resize == "short_side" else None,
        resampling=known.resampling,
        channels="grey" if grey else known.channels,
        divisor=known.divisor,
        mean=known.mean,
        deviation=known.deviation,
    )
    made.check(shape)
    return made


def _short_side(shape: tuple[int, ...]) -> int:
    return min(max(shape[:2], default=1) * 256 // 224, MAX_SIZE)


def upgraded(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest, decoded from JSON: format 1 had the name of a preprocessing.

    Raises:
        DnaError: there is none of this name, or it does not fit the input.
        ValueError: the manifest has no such shape.
    """
    name = manifest.get("preprocessing")
    if not isinstance(name, str):
        return manifest
    shape = msgspec.convert(manifest.get("input"), type=_Shaped).shape
    made = named(name, shape)
    return {**manifest, "preprocessing": made and msgspec.to_builtins(made)}


class _Shaped(msgspec.Struct):
    shape: tuple[int, ...]


def chosen(choice: str, shape: tuple[int, ...]) -> Preprocessing | None:
    """What an option names: a named preprocessing, or a JSON file with the fields of one.

    Raises:
        DnaError: there is no such name or file, a field is wrong, or it does not fit the input.
    """
    if not choice.endswith(".json"):
        return named(choice, shape)
    made = read(Path(choice))
    made.check(shape)
    return made


def check_choice(choice: str) -> None:
    """Fail before the network is read if ``choice`` is no name and no file that can be used.

    Raises:
        DnaError: it is not.
    """
    if choice.endswith(".json"):
        read(Path(choice))
    elif choice not in NAMES:
        raise DnaError(
            f"no preprocessing {choice!r}; there are {', '.join(NAMES)}, or a JSON file "
            "(NAME.json) with fields of your own"
        )


def read(path: Path) -> Preprocessing:
    """A preprocessing from a JSON file; its name is that of the file.

    Raises:
        DnaError: the file cannot be read, or a field is unknown, missing or wrong.
    """
    try:
        made = msgspec.json.decode(path.read_bytes(), type=Preprocessing)
    except OSError as error:
        raise DnaError(f"cannot read preprocessing {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DnaError(f"preprocessing {path} cannot be used: {error}") from error
    return msgspec.structs.replace(made, name=path.name)
