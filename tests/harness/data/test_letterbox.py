"""A photograph in the middle of a network's input, in proportion, as YOLO's are."""

import cv2
import numpy as np
import pytest
from PIL import Image

from harness.data.preprocess import check_image, letterbox, load_image
from sw.errors import DnaError
from sw.preprocessing import GREY, Preprocessing, named

SHAPE = (48, 64, 3)


def save(path, width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path, pixels


@pytest.mark.parametrize(
    "size", [(64, 48), (128, 96), (100, 50), (50, 100), (33, 31), (640, 427), (13, 200)]
)
def test_pixels_are_opencv_s_with_grey_around(tmp_path, size):
    width, height = size
    path, pixels = save(tmp_path / "p.png", width, height)
    gain = min(SHAPE[0] / height, SHAPE[1] / width)
    inner = round(width * gain), round(height * gain)
    resized = cv2.resize(pixels, inner, interpolation=cv2.INTER_LINEAR)
    across, down = ((whole - part) / 2 for whole, part in zip((64, 48), inner, strict=True))
    expected = cv2.copyMakeBorder(
        resized,
        round(down - 0.1),
        round(down + 0.1),
        round(across - 0.1),
        round(across + 0.1),
        cv2.BORDER_CONSTANT,
        value=(GREY,) * 3,
    )
    assert expected.shape == SHAPE
    array = load_image(path, named("yolo", SHAPE), SHAPE)
    np.testing.assert_array_equal(array, expected.astype(np.float32) / np.float32(255))


def test_the_place_is_where_the_pixels_are(tmp_path):
    path = tmp_path / "white.png"
    Image.new("RGB", (90, 30), "white").save(path)
    array = load_image(path, named("yolo", SHAPE), SHAPE)[..., 0]
    place = letterbox((90, 30), SHAPE)
    rows, columns = np.nonzero(array == 1)
    assert (columns.min(), rows.min()) == (place.left, place.top)
    assert (columns.max() + 1, rows.max() + 1) == (
        place.left + place.width,
        place.top + place.height,
    )
    assert place.gain == pytest.approx(64 / 90)


def test_grey_and_other_filters(tmp_path):
    path, _ = save(tmp_path / "p.png", 30, 60)
    how = Preprocessing(resize="letterbox", resampling="nearest", channels="grey")
    array = load_image(path, how, (48, 48, 1))
    assert (array[:, :12] == GREY).all() and (array[:, 36:] == GREY).all()
    assert len(np.unique(array[:, 12:36])) > 20
    with pytest.raises(ValueError, match="'letterbox' has no size"):
        Preprocessing(resize="letterbox", size=5)
    with pytest.raises(DnaError, match="makes images of shape"):
        named("yolo", (48, 48, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_photograph(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "p.jpg"
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert check_image(path) == ((40, 20) if orientation <= 4 else (20, 40))
