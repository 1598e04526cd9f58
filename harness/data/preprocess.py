"""From a photograph on disk to the float32 array that a network wants.

:mod:`sw.preprocessing` says what there is to say of a preprocessing; here it is done. Keras and
torchvision resize with Pillow, whose filters widen when they shrink and work in integers, so the
pixels are the same on every CPU. The MLPerf reference code resizes resnet50's images with OpenCV's
area averaging; Pillow's box filter rounds differently, so OpenCV does it here too, as it does the
interpolation of yolo's images.

There is one decoder, Pillow: it says what is wrong with a file where OpenCV returns nothing. It
yields the pixels of ``cv2.imread``, with which all of the reference code's preprocessings begin:
the orientation that a camera noted is applied, grey and palette become RGB, alpha is dropped,
16-bit colours keep their high byte, and CMYK is converted by OpenCV's formula.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from sw.errors import DnaError
from sw.preprocessing import GREY, Preprocessing

F32Array = npt.NDArray[np.float32]
U8Array = npt.NDArray[np.uint8]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")
FAITHFUL_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK"})
_STANDS = 4  # a camera's orientations up to this one have width and height as they are
MIN_SIDE = 8
MAX_ASPECT = 100  # a strip as thin would need gigabytes once its short side is resized
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


def check_image(path: Path) -> tuple[int, int]:
    """Check all that can be known of a photograph without decoding it: its width and height.

    They are those of the upright photograph.

    Raises:
        DnaError: as :func:`decode`; only damage behind the header stays unseen.
    """
    with _opened(path) as image:
        width, height = image.size
        lies = image.getexif().get(ExifTags.Base.Orientation, 1) > _STANDS
        return (height, width) if lies else (width, height)


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


def _kept(image: Image.Image, share: float) -> Image.Image:
    """The middle of an image, so much of its height and of its width."""
    if share == 1:
        return image
    width, height = (max(round(side * share), 1) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


class Letterbox(NamedTuple):
    """Where a photograph lies in the input: in the middle, in proportion, as large as it can be.

    Attributes:
        gain: pixels of the input to a pixel of the photograph.
        width, height: of the photograph in the input.
        left, top: of it.
    """

    gain: float
    width: int
    height: int
    left: int
    top: int


def letterbox(size: tuple[int, int], shape: tuple[int, ...]) -> Letterbox:
    """The place of a photograph; sides and bars are rounded as Ultralytics rounds them.

    Args:
        size: width and height of the photograph.
        shape: of the input: height, width, ...
    """
    gain = min(shape[0] / size[1], shape[1] / size[0])
    width, height = (max(round(side * gain), 1) for side in size)
    left, top = (round((shape[1] - width) / 2 - 0.1), round((shape[0] - height) / 2 - 0.1))
    return Letterbox(gain, width, height, left, top)


def _target(image: Image.Image, how: Preprocessing, shape: tuple[int, ...]) -> tuple[int, int]:
    """Width and height to resize to; a long side in proportion is cut off to whole pixels."""
    if how.size is None:
        return shape[1], shape[0]
    width, height = image.size
    if width <= height:
        return how.size, how.size * height // width
    return how.size * width // height, how.size


def _resized(image: Image.Image, how: Preprocessing, shape: tuple[int, ...]) -> U8Array:
    """Uint8 [height, width] or [height, width, 3] of the input's height and width."""
    if how.resize == "letterbox":
        place = letterbox(image.size, shape)
        pixels = _scaled(image, (place.width, place.height), how)
        framed = np.full((*shape[:2], *pixels.shape[2:]), GREY, np.uint8)
        bottom, right = place.top + place.height, place.left + place.width
        framed[place.top : bottom, place.left : right] = pixels
        return framed
    size = _target(image, how, shape)
    pixels = _scaled(image, size, how)
    top, left = (size[1] - shape[0]) / 2, (size[0] - shape[1]) / 2
    if how.resampling != "area":  # whose corner the reference code cuts off to whole pixels
        top, left = round(top), round(left)  # as torchvision rounds it
    cut: U8Array = pixels[int(top) :, int(left) :][: shape[0], : shape[1]]
    return cut


def _scaled(image: Image.Image, size: tuple[int, int], how: Preprocessing) -> U8Array:
    """All of an image, of another width and height."""
    if how.resampling in _FILTERS:
        return np.asarray(image.resize(size, _FILTERS[how.resampling]))
    import cv2

    ways = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}
    resized = cv2.resize(np.asarray(image), size, interpolation=ways[how.resampling])
    pixels: U8Array = resized.astype(np.uint8, copy=False)
    return pixels


def load_image(path: Path, how: Preprocessing, shape: tuple[int, ...]) -> F32Array:
    """Decode and preprocess a photograph.

    Args:
        path: an image file.
        how: the preprocessing.
        shape: of the network's input, (height, width, channels).

    Returns:
        float32 of ``shape``, C-contiguous.

    Raises:
        DnaError: the preprocessing does not fit the shape, or the file is no usable photograph; the
            message names it.
    """
    how.check(tuple(shape))
    image = _kept(decode(Path(path)), how.keep)
    pixels = _resized(image.convert("L") if how.channels == "grey" else image, how, shape)
    values = pixels.reshape(shape).astype(np.float32)
    if how.channels == "BGR":
        values = values[..., ::-1]
    mean, deviation = (np.array(each, np.float32) for each in (how.mean, how.deviation))
    return np.ascontiguousarray((values / np.float32(how.divisor) - mean) / deviation)
