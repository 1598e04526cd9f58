"""From a photograph on disk to the float32 array that a network wants.

Every preprocessing decodes alike, scales the short side to 256 pixels, cuts 224 x 224 from the
centre and normalises. They differ in the resampling and in the numbers, because each repeats what
its weights were trained or are judged with:

============= ============== ======== ==========================================================
name          resize         channels normalisation
============= ============== ======== ==========================================================
caffe         Pillow bilinear BGR     minus [103.939, 116.779, 123.68]: Keras' ResNet50
torchvision   Pillow bilinear RGB     / 255, minus mean, / deviation: torchvision's ResNet50, and
                                      "imagenet_pytorch" of the MLPerf reference code
mlperf        OpenCV area     RGB     minus [123.68, 116.78, 103.94]: "imagenet" of the MLPerf
                                      reference code (resnet50)
============= ============== ======== ==========================================================

Keras and torchvision resize with Pillow, whose bilinear filter widens when it shrinks and works in
integers, so its pixels are the same on every CPU. The reference code resizes resnet50's images with
OpenCV's area averaging; Pillow's box filter rounds differently, so OpenCV does it here too.

There is one decoder, Pillow: it says what is wrong with a file where OpenCV returns nothing. It
yields the pixels of ``cv2.imread``, with which all of the reference code's preprocessings begin:
the orientation that a camera noted is applied, grey and palette become RGB, alpha is dropped,
16-bit colours keep their high byte, and CMYK is converted by OpenCV's formula.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from sw.artifact import Manifest
from sw.errors import DnaError

F32Array = npt.NDArray[np.float32]
U8Array = npt.NDArray[np.uint8]

SHORT_SIDE = 256
CROP = 224
SHAPE = (CROP, CROP, 3)

CAFFE_MEANS_BGR = np.array([103.939, 116.779, 123.68], np.float32)
MLPERF_MEANS_RGB = np.array([123.68, 116.78, 103.94], np.float32)
TORCHVISION_MEANS_RGB = np.array([0.485, 0.456, 0.406], np.float32)
TORCHVISION_DEVIATIONS_RGB = np.array([0.229, 0.224, 0.225], np.float32)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")
FAITHFUL_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK"})
MIN_SIDE = 8
MAX_ASPECT = 100  # a strip as thin would need gigabytes once its short side has 256 pixels
# Pillow warns from 89 megapixels on and refuses from twice that; phones make 108. A filter for the
# whole process, since one put up for a while is not safe with several threads.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _cmyk_to_rgb(image: Image.Image) -> Image.Image:
    """Ink to light as OpenCV does it: ``k - ((255 - c) * k >> 8)``, c and k as light let through.

    Pillow's own conversion differs from it by up to 2 of 255.
    """
    light = 255 - np.asarray(image, np.int32)
    black = light[..., 3:]
    return Image.fromarray((black - ((255 - light[..., :3]) * black >> 8)).astype(np.uint8))


def decode(path: Path) -> Image.Image:
    """Decode a photograph to upright 8-bit RGB.

    Raises:
        DnaError: the file is missing, empty, truncated, not an image, of a kind that has no
            faithful 8-bit RGB form (16-bit grey, floating point), or too large, small or thin.
    """
    with _opened(path) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _cmyk_to_rgb(upright) if upright.mode == "CMYK" else upright.convert("RGB")


def check_image(path: Path) -> None:
    """Check all that can be known of a photograph without decoding it.

    Raises:
        DnaError: as :func:`decode`; only damage behind the header stays unseen.
    """
    with _opened(path):
        pass


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The image with its header checked; the decoder's complaints become one line."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check_size(image, path)
            if image.mode not in FAITHFUL_MODES:
                raise DnaError(
                    f"{path}: pixels of kind {image.mode!r} have no faithful 8-bit RGB form; "
                    "convert the image to 8-bit RGB"
                )
            yield image
    except UnidentifiedImageError as error:
        empty = path.is_file() and path.stat().st_size == 0
        what = "is empty" if empty else f"is not an image ({', '.join(FORMATS)})"
        raise DnaError(f"{path} {what}") from error
    except Image.DecompressionBombError as error:
        raise DnaError(f"{path} is too large to be a photograph: {error}") from error
    except _DECODER_ERRORS as error:
        raise DnaError(f"cannot read image {path}: {_reason(error)}") from error


def _check_size(image: Image.Image, path: Path) -> None:
    short, long = sorted(image.size)
    if short < MIN_SIDE or long > MAX_ASPECT * short:
        raise DnaError(
            f"{path} is {image.width} x {image.height} pixels, which is no photograph: both sides "
            f"must be at least {MIN_SIDE} and one at most {MAX_ASPECT} times the other"
        )


def _resized(image: Image.Image) -> tuple[int, int]:
    """Width and height with the short side 256; the long one is cut off to whole pixels."""
    width, height = image.size
    if width <= height:
        return SHORT_SIDE, SHORT_SIDE * height // width
    return SHORT_SIDE * width // height, SHORT_SIDE


def _centre(pixels: U8Array, top: int, left: int) -> F32Array:
    return pixels[top : top + CROP, left : left + CROP].astype(np.float32)


def _bilinear(image: Image.Image) -> F32Array:
    """Float32 [224, 224, 3], 0 to 255; the crop's corner is rounded as torchvision rounds it."""
    pixels = np.asarray(image.resize(_resized(image), Image.Resampling.BILINEAR))
    height, width, _ = pixels.shape
    return _centre(pixels, round((height - CROP) / 2), round((width - CROP) / 2))


def _area(image: Image.Image) -> F32Array:
    """Float32 [224, 224, 3], 0 to 255; the crop's corner is cut off as the reference code's is."""
    import cv2

    pixels = cv2.resize(np.asarray(image), _resized(image), interpolation=cv2.INTER_AREA)
    height, width, _ = pixels.shape
    return _centre(pixels.astype(np.uint8, copy=False), (height - CROP) // 2, (width - CROP) // 2)


def _caffe(image: Image.Image) -> F32Array:
    return _bilinear(image)[..., ::-1] - CAFFE_MEANS_BGR


def _torchvision(image: Image.Image) -> F32Array:
    unit = _bilinear(image) / np.float32(255)
    return (unit - TORCHVISION_MEANS_RGB) / TORCHVISION_DEVIATIONS_RGB


def _mlperf(image: Image.Image) -> F32Array:
    return _area(image) - MLPERF_MEANS_RGB


PREPROCESSINGS: dict[str, Callable[[Image.Image], F32Array]] = {
    "caffe": _caffe,
    "torchvision": _torchvision,
    "mlperf": _mlperf,
}
"""The preprocessings by name: upright RGB image to float32 [224, 224, 3]."""


def check_input(manifest: Manifest) -> None:
    """Fail if photographs cannot be made into what a network takes.

    Raises:
        DnaError: there is no such preprocessing, or the network's images have another shape.
    """
    _preprocessing(manifest.preprocessing)
    if tuple(manifest.input.shape) != SHAPE:
        raise DnaError(
            f"the network takes images of shape {manifest.input.shape}; photographs become {SHAPE}"
        )


def _preprocessing(name: str) -> Callable[[Image.Image], F32Array]:
    if name not in PREPROCESSINGS:
        raise DnaError(f"no preprocessing {name!r}; there are {', '.join(PREPROCESSINGS)}")
    return PREPROCESSINGS[name]


def load_image(path: Path, name: str) -> F32Array:
    """Decode and preprocess a photograph.

    Args:
        path: an image file.
        name: one of ``caffe``, ``torchvision``, ``mlperf``.

    Returns:
        float32 [224, 224, 3] (height, width, channel), C-contiguous.

    Raises:
        DnaError: there is no such preprocessing, or the file is no usable photograph; the message
            names it.
    """
    preprocess = _preprocessing(name)
    return np.ascontiguousarray(preprocess(decode(Path(path))))
