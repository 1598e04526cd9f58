import contextlib
import hashlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from harness.data import fetch, preprocess
from harness.data.preprocess import check_image, decode
from sw.errors import DnaError
from sw.preprocessing import Preprocessing
from tests.support.tiny import load_image


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """A deterministic picture of gradients and waves: uint8 [height, width, channels]."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        (x * (3 + c) // 2 + y * (5 - c) // 3 + (x * y) // (37 + 11 * c)) % 256
        for c in range(channels)
    ]
    return np.stack(planes, axis=-1).astype(np.uint8)


def save(path, pixels: np.ndarray, mode: str | None = None, **options):
    Image.fromarray(pixels, mode).save(path, **options) if mode else Image.fromarray(pixels).save(
        path, **options
    )
    return path


@pytest.fixture(scope="module")
def photographs():
    fetch.fetch(Console(quiet=True))
    return [path for path, _ in fetch.photographs()]


def bilinear_by_triangles(pixels: np.ndarray, out: int, axis: int) -> np.ndarray:
    """Resize one axis by the antialiased triangle filter, in float64."""
    size = pixels.shape[axis]
    ratio = size / out
    support = max(ratio, 1.0)
    centres = (np.arange(out) + 0.5) * ratio
    distance = np.abs(np.arange(size) + 0.5 - centres[:, None]) / support
    weights = np.clip(1 - distance, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)


def area_average(pixels: np.ndarray, out: int, axis: int) -> np.ndarray:
    """Resize one axis by averaging the area that each output pixel covers, in float64."""
    size = pixels.shape[axis]
    edges = np.arange(out + 1) * size / out
    starts = np.arange(size)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights = np.clip(overlap, 0, None) / (size / out)
    return np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)


def expected_uint8(pixels: np.ndarray, resize, crop) -> np.ndarray:
    """The crop of the resized picture before normalisation, in float64."""
    height, width, _ = pixels.shape
    scale = 256 / min(height, width)
    new = (256, int(width * scale)) if height < width else (int(height * scale), 256)
    resized = resize(resize(pixels.astype(np.float64), new[0], 0), new[1], 1)
    top, left = crop(new[0]), crop(new[1])
    return resized[top : top + 224, left : left + 224]


@pytest.mark.parametrize(("height", "width"), [(300, 421), (521, 275), (256, 256), (230, 340)])
def test_against_an_independent_computation(tmp_path, height, width):
    pixels = picture(height, width)
    path = save(tmp_path / "p.png", pixels)

    bilinear = expected_uint8(pixels, bilinear_by_triangles, lambda size: round((size - 224) / 2))
    caffe = load_image(path, "caffe")[..., ::-1] + np.array([123.68, 116.779, 103.939])
    assert np.abs(caffe - bilinear).max() <= 1.51  # two roundings to uint8, one per axis
    torchvision = load_image(path, "torchvision") * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]
    np.testing.assert_allclose(torchvision * 255, caffe, atol=1e-3)

    if min(height, width) >= 256:  # OpenCV's area mode interpolates when it enlarges
        area = expected_uint8(pixels, area_average, lambda size: int((size - 224) / 2))
        mlperf = load_image(path, "mlperf") + np.array([123.68, 116.78, 103.94])
        assert np.abs(mlperf - area).max() <= 0.51


def test_mlperf_is_the_reference_codes_computation(tmp_path):
    """Step by step with OpenCV from cv2.imread on, as the reference code's description has it."""
    path = save(tmp_path / "p.jpg", picture(333, 500), quality=90)
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, (384, 256), interpolation=cv2.INTER_AREA)[16:240, 80:304]
    expected = image.astype(np.float32) - np.array([123.68, 116.78, 103.94], np.float32)
    np.testing.assert_array_equal(load_image(path, "mlperf"), expected)


CAFFE_RGB = np.array([123.68, 116.779, 103.939])
CHECKSUMS = {
    "caffe": "1b30ddbc6f8624a0ef1544496d3482d4024bc99df8db349698cd4831e79a4b26",
    "torchvision": "99f5a0d9b83a46f0bf4af9585f1bf3f7ca36d08adc400a3d46e3964af7a5316c",
    "mlperf": "93865fa8e18c04007862e567f1b1053f73628247e5487394adb2cc4b047e81fc",
    "mobilenet": "1ec30b8db1c09ef2e7310b2e76639d1b4e4b098986fd558fecf0b8b16500bccc",
}


@pytest.mark.parametrize("name", CHECKSUMS)  # `yolo` is held to OpenCV in test_letterbox.py
def test_checksum_of_a_synthetic_picture(tmp_path, name):
    """Halved exactly, so that not even the order of OpenCV's additions could show."""
    path = save(tmp_path / "p.png", picture(512, 700))
    array = load_image(path, name)
    assert array.shape == (224, 224, 3)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    digest = hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
    assert digest == CHECKSUMS[name]


def test_mobilenet_is_minus_one_to_one(tmp_path):
    path = save(tmp_path / "p.png", picture(512, 700))
    pixels = load_image(path, "caffe")[..., ::-1] + CAFFE_RGB
    mobilenet = load_image(path, "mobilenet")
    np.testing.assert_allclose(mobilenet, pixels / 127.5 - 1, atol=1e-6)
    assert -1 <= mobilenet.min() < -0.9 and 0.9 < mobilenet.max() <= 1


@pytest.mark.parametrize("side", [32, 96, 160, 299])
def test_other_inputs_see_the_same_part_of_a_picture(tmp_path, side):
    """The middle 224 / 256 of the short side, whatever the size."""
    path = save(tmp_path / "p.png", picture(768, 768))
    pixels = load_image(path, "caffe", (side, side, 3))[..., ::-1] + CAFFE_RGB
    short = side * 256 // 224
    resized = bilinear_by_triangles(bilinear_by_triangles(picture(768, 768), short, 0), short, 1)
    corner = round((short - side) / 2)
    expected = resized[corner : corner + side, corner : corner + side]
    assert np.abs(pixels - expected).max() <= 1.51


def test_short_side_cuts_a_wide_input(tmp_path):
    path = save(tmp_path / "p.png", picture(100, 150))
    how = Preprocessing(resize="short_side", size=100)
    array = preprocess.load_image(path, how, (60, 90, 3))
    assert np.array_equal(array, picture(100, 150)[20:80, 30:120])


def test_stretch_takes_all_of_the_picture(tmp_path):
    path = save(tmp_path / "p.png", picture(90, 60))
    array = preprocess.load_image(path, Preprocessing(resize="stretch"), (30, 40, 3))
    halves = bilinear_by_triangles(bilinear_by_triangles(picture(90, 60), 30, 0), 40, 1)
    assert np.abs(array - halves).max() <= 1.51


def test_keep_takes_the_middle_first(tmp_path):
    path = save(tmp_path / "p.png", picture(80, 160))
    how = Preprocessing(resize="stretch", keep=0.5, resampling="nearest", channels="BGR")
    array = preprocess.load_image(path, how, (40, 80, 3))
    assert np.array_equal(array, picture(80, 160)[20:60, 40:120, ::-1])


def test_grey_is_one_channel(tmp_path):
    path = save(tmp_path / "p.png", picture(64, 64))
    how = Preprocessing(resize="stretch", channels="grey", divisor=2, mean=(1,), deviation=(4,))
    array = preprocess.load_image(path, how, (64, 64, 1))
    luma = picture(64, 64) @ np.array([0.299, 0.587, 0.114])
    assert np.abs((array[..., 0] * 4 + 1) * 2 - luma).max() <= 1
    assert array.flags.c_contiguous and array.dtype == np.float32


@pytest.mark.parametrize(
    "resampling", ["bilinear", "bicubic", "lanczos", "nearest", "area", "linear"]
)
def test_every_resampling_halves_a_flat_picture(tmp_path, resampling):
    path = save(tmp_path / "p.png", np.full((40, 40, 3), (10, 20, 30), np.uint8))
    how = Preprocessing(resize="short_side", size=20, resampling=resampling)
    array = preprocess.load_image(path, how, (20, 20, 3))
    assert (array == [10, 20, 30]).all()


PHOTOGRAPHS_CHECKSUM = "20069f90c739e73bcf75ed559a9bacd86afe0c6778d444d728436866869e1689"


@pytest.mark.network
def test_checksum_of_the_photographs(photographs):
    digest = hashlib.sha256()
    for path in photographs:
        digest.update(load_image(path, "caffe").astype("<f4").tobytes())
    assert digest.hexdigest() == PHOTOGRAPHS_CHECKSUM


def assert_same_as_opencv(path) -> None:
    np.testing.assert_array_equal(np.asarray(decode(path))[..., ::-1], cv2.imread(str(path)))


@pytest.mark.network
def test_photographs_decode_as_in_opencv(photographs):
    for path in photographs:
        assert_same_as_opencv(path)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_in_opencv(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "p.jpg", picture(48, 80), exif=exif)
    assert decode(path).size == ((80, 48) if orientation < 5 else (48, 80))
    assert_same_as_opencv(path)


@pytest.mark.parametrize(
    ("name", "mode", "channels"),
    [
        ("colour.jpg", "RGB", 3),
        ("grey.jpg", "L", 1),
        ("cmyk.jpg", "CMYK", 4),
        ("grey.png", "L", 1),
        ("alpha.png", "RGBA", 4),
        ("greyalpha.png", "LA", 2),
        ("colour.bmp", "RGB", 3),
        ("colour.webp", "RGB", 3),
    ],
)
def test_kinds_of_image_decode_as_in_opencv(tmp_path, name, mode, channels):
    pixels = picture(40, 50, channels).squeeze()
    Image.fromarray(pixels, mode).save(tmp_path / name)
    assert decode(tmp_path / name).mode == "RGB"
    assert_same_as_opencv(tmp_path / name)


def test_palette_and_bilevel(tmp_path):
    image = Image.fromarray(picture(40, 50))
    image.quantize(16).save(tmp_path / "palette.png", transparency=3)
    image.convert("1").save(tmp_path / "bilevel.png")
    assert_same_as_opencv(tmp_path / "palette.png")
    assert_same_as_opencv(tmp_path / "bilevel.png")


def test_16_bit_colour_keeps_the_high_byte(tmp_path):
    pixels = picture(40, 50).astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / "deep.png"), pixels)
    assert_same_as_opencv(tmp_path / "deep.png")


def test_16_bit_grey_and_float_are_refused(tmp_path):
    deep = picture(40, 50, 1).squeeze().astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "float.tiff")
    for name in ("deep.png", "float.tiff"):
        with pytest.raises(DnaError, match=f"{name}: pixels of kind .* no faithful 8-bit RGB"):
            decode(tmp_path / name)


def test_tiny_and_thin_images_are_refused(tmp_path):
    for height, width in ((1, 1), (7, 300), (300, 7), (8, 801)):
        path = save(tmp_path / "small.png", picture(height, width))
        with pytest.raises(DnaError, match=rf"small\.png is {width} x {height} pixels"):
            load_image(path, "caffe")
    path = save(tmp_path / "small.png", picture(8, 8))
    assert load_image(path, "caffe").shape == (224, 224, 3)


@pytest.mark.parametrize("name", ["p.jpg", "p.png"])
def test_truncated_images_are_refused(tmp_path, name):
    data = save(tmp_path / name, picture(64, 64)).read_bytes()
    for length in (0, 1, 10, 40, len(data) // 2, len(data) - 30):
        (tmp_path / name).write_bytes(data[:length])
        with pytest.raises(DnaError) as caught:
            load_image(tmp_path / name, "caffe")
        assert str(tmp_path / name) in str(caught.value)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DnaError, match="is empty"):
        check_image(tmp_path / name)


def test_what_is_no_image(tmp_path):
    (tmp_path / "p.jpg").write_text("hello, I am a text file\n" * 99)
    with pytest.raises(DnaError, match=r"p\.jpg is not an image"):
        load_image(tmp_path / "p.jpg", "caffe")
    with pytest.raises(DnaError, match=r"cannot read image .*absent\.jpg: No such file"):
        load_image(tmp_path / "absent.jpg", "caffe")
    with pytest.raises(DnaError, match=r"cannot read image .*: Is a directory"):
        load_image(tmp_path, "caffe")


def test_decompression_bomb(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100))
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    with pytest.raises(DnaError, match=r"bomb\.png is too large to be a photograph"):
        load_image(tmp_path / "bomb.png", "caffe")


def test_bytes_flipped_anywhere_are_no_crash(tmp_path):
    """A flipped byte either still decodes or is one line; it never is another exception."""
    for kind in ("PNG", "JPEG"):
        stream = io.BytesIO()
        Image.fromarray(picture(24, 24)).save(stream, kind)
        data = stream.getvalue()
        path = tmp_path / "p"
        for position in range(0, len(data), 7):
            damaged = bytearray(data)
            damaged[position] ^= 0x55
            path.write_bytes(damaged)
            with contextlib.suppress(DnaError):
                assert decode(path).mode == "RGB"


def test_unknown_preprocessing(tmp_path):
    with pytest.raises(DnaError, match="no preprocessing 'vgg'; there are caffe, torchvision, mlp"):
        load_image(tmp_path / "never read", "vgg")
