import numpy as np
import pytest
from PIL import Image

from harness.data.inputs import check_file, load_array, load_input
from sim.quantization import quantize
from sw import artifact
from sw.artifact import Quantization
from sw.errors import DnaError
from tests.support.tiny import load_image, save_artifact

QUANTIZATION = Quantization(0.5, 3, (2, 3, 1))


def save(path, array):
    np.save(path, array)
    return path


@pytest.mark.parametrize("shape", [(2, 3, 1), (1, 2, 3, 1), (6,), (2, 3), (1, 2, 3)])
def test_shapes_that_are_the_same_array(tmp_path, shape):
    values = np.arange(6, dtype=np.int8).reshape(shape)
    found = load_array(save(tmp_path / "a.npy", values), QUANTIZATION)
    assert found.tolist() == np.arange(6).reshape(2, 3, 1).tolist()


@pytest.mark.parametrize("shape", [(3, 2), (1, 3, 2), (3, 2, 1), (5,), (6, 1, 2), (2, 2, 3, 1)])
def test_other_orders_of_axes_are_another_array(tmp_path, shape):
    path = save(tmp_path / "a.npy", np.zeros(shape, np.int8))
    with pytest.raises(DnaError, match=r"a\.npy has shape .*; the network takes \(2, 3, 1\)"):
        load_array(path, QUANTIZATION)


def test_nan_is_named(tmp_path):
    path = save(tmp_path / "a.npy", np.full((2, 3, 1), np.nan, np.float32))
    with pytest.raises(DnaError, match=r"a\.npy: .*NaN"):
        load_array(path, QUANTIZATION)


def test_archives_and_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(6))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    save(tmp_path / "b.npy", np.array([{}], object))
    (tmp_path / "c.npy").write_bytes(b"")
    for name in ("a", "b", "c", "absent"):
        with pytest.raises(DnaError, match=rf"cannot read .*{name}\.npy"):
            load_array(tmp_path / f"{name}.npy", QUANTIZATION)


@pytest.mark.parametrize("side", [32, 224])
def test_photographs_and_arrays_for_an_input_of_any_size(tmp_path, side):
    manifest = artifact.load(save_artifact(tmp_path / "tiny", side=side)).manifest
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    check_file(manifest, tmp_path / "a.png")
    found = load_input(manifest, tmp_path / "a.png")
    expected = load_image(tmp_path / "a.png", "caffe", (side, side, 3))
    assert np.array_equal(found, quantize(expected, manifest.input))
    check_file(manifest, save(tmp_path / "a.npy", found))
    assert np.array_equal(load_input(manifest, tmp_path / "a.npy"), found)
    with pytest.raises(DnaError, match="has shape"):
        check_file(manifest, save(tmp_path / "b.npy", found[:-1]))
    with pytest.raises(DnaError, match="holds int64"):
        check_file(manifest, save(tmp_path / "b.npy", found.astype(np.int64)))


def test_a_network_of_arrays_takes_no_photographs(tmp_path):
    network = save_artifact(tmp_path / "tiny", side=32, preprocessing="array")
    manifest = artifact.load(network).manifest
    for use in (check_file, load_input):
        with pytest.raises(DnaError, match=r"tiny takes arrays of shape \(32, 32, 3\), no photog"):
            use(manifest, tmp_path / "a.jpg")
