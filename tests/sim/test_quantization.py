"""Both implementations of ``quantize`` on the same values."""

import numpy as np
import pytest

from sim import quantization
from sim.functional import isa
from sim.quantization import dequantize, quantize
from sw.artifact import Quantization
from sw.errors import DnaError
from tests import skips

needs_kernel = pytest.mark.skipif(not isa.available(), reason=skips.KERNELS)


@pytest.fixture(params=[isa.NONE, pytest.param("", marks=needs_kernel)], autouse=True)
def implementation(request, monkeypatch):
    monkeypatch.setenv(isa.VARIABLE, request.param)


def test_rounds_halves_to_even_and_clamps():
    real = np.array([0.25, 0.75, -0.25, -0.75, 1000, -1000, np.inf, -np.inf], np.float32)
    got = quantize(real, Quantization(0.5, 3, (8,)))
    assert got.dtype == np.int8
    assert got.tolist() == [3, 5, 3, 1, 127, -128, 127, -128]


def test_divides_in_float32():
    """f32(0.35 / 0.1) is a tie where the float64 quotient of the same numbers is not."""
    real, scale = np.float32(0.35), float(np.float32(0.1))
    assert float(real) / scale < 3.5 == float(real / np.float32(scale))
    assert quantize(np.array([real]), Quantization(scale, 0, (1,))).tolist() == [4]


def test_dequantize_is_the_inverse_on_every_value():
    source = Quantization(float(np.float32(0.0371)), -17, (256,))
    every = np.arange(-128, 128).astype(np.int8)
    assert (quantize(dequantize(every, source), source) == every).all()


@pytest.mark.parametrize("size", [1, 15, 16, 17, 40])
def test_nan_is_refused_wherever_it_is(size):
    for place in range(size):
        real = np.zeros(size, np.float32)
        real[place] = np.nan
        with pytest.raises(DnaError, match="contains NaN"):
            quantize(real, Quantization(1.0, 0, (size,)))


@pytest.mark.parametrize("shape", [(0,), (1,), (15,), (3, 16), (1, 7, 5, 3)])
def test_keeps_the_shape(shape):
    got = quantize(np.full(shape, 2, np.float32), Quantization(1.0, 1, shape))
    assert got.shape == shape and (got == 3).all()


def test_takes_any_order_of_memory():
    real = np.arange(-60, 60, dtype=np.float32).reshape(10, 12)
    for view in (real.T, real[:, ::-1], real[::2, 1::3]):
        assert (quantize(view, Quantization(1.0, 0, view.shape)) == view).all()


@needs_kernel
@pytest.mark.parametrize("seed", range(20))
def test_the_kernel_has_the_bits_of_numpy(seed):
    rng = np.random.default_rng(seed)
    values = Quantization(float(np.float32(rng.uniform(1e-3, 2))), int(rng.integers(-128, 128)), ())
    steps = rng.integers(-300, 300, 5000) / np.float32(2)  # ties among them
    near = np.nextafter(steps * np.float32(values.scale), rng.choice([-9e9, 9e9], 5000))
    bits = rng.integers(0, 2**32, 5000, dtype=np.uint32).view(np.float32)
    for real in (steps * values.scale, near, bits[~np.isnan(bits)]):
        array = real.astype(np.float32)
        with np.errstate(over="ignore"):
            plain = quantization._plain(array, values)
        for each in isa.available():
            assert (quantization._vectorized(array, values, each) == plain).all()
