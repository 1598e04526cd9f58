import numpy as np
import pytest
import safetensors.numpy

from tests import skips

pytest.importorskip("torch", reason=skips.not_installed("quantize"))

import torch

from sw.errors import DnaError
from sw.models import resnet50, weights

BLOCKS = (3, 4, 6, 3)


def _normalization(rng, channels):
    return [
        rng.uniform(0.5, 1.5, channels),
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.uniform(0.5, 1.5, channels),
    ]


def _layers():
    """(place, kernel shape OIHW) of every convolution; place is (stage, block, part) or None."""
    yield None, (64, 3, 7, 7)
    channels = 64
    for stage, depth in enumerate(BLOCKS):
        width = 64 << stage
        for block in range(depth):
            yield (stage, block, 0), (width, channels, 1, 1)
            yield (stage, block, 1), (width, width, 3, 3)
            yield (stage, block, 2), (4 * width, width, 1, 1)
            if block == 0:
                yield (stage, block, 3), (4 * width, channels, 1, 1)
            channels = 4 * width


@pytest.fixture(scope="module")
def torchvision():
    """Random weights of a torchvision-style state dictionary."""
    rng = np.random.default_rng(1)
    state = {}
    for place, shape in _layers():
        convolution, normalization = "conv1", "bn1"
        if place:
            stage, block, part = place
            prefix = f"layer{stage + 1}.{block}."
            convolution, normalization = (
                (f"{prefix}downsample.0", f"{prefix}downsample.1")
                if part == 3
                else (f"{prefix}conv{part + 1}", f"{prefix}bn{part + 1}")
            )
        state[f"{convolution}.weight"] = rng.normal(size=shape, scale=0.05)
        for name, value in zip(
            ("weight", "bias", "running_mean", "running_var"),
            _normalization(rng, shape[0]),
            strict=True,
        ):
            state[f"{normalization}.{name}"] = value
    state["fc.weight"], state["fc.bias"] = rng.normal(size=(1000, 2048)), rng.normal(size=1000)
    return {name: value.astype(np.float32) for name, value in state.items()}


@pytest.fixture(scope="module")
def keras():
    """Random weights with Keras names."""
    rng = np.random.default_rng(2)
    state = {}
    for place, shape in _layers():
        convolution, normalization = "conv1", "bn_conv1"
        if place:
            stage, block, part = place
            branch = f"{stage + 2}{chr(ord('a') + block)}_branch{('2a', '2b', '2c', '1')[part]}"
            convolution, normalization = f"res{branch}", f"bn{branch}"
        state[f"{convolution}/kernel"] = rng.normal(size=shape, scale=0.05).transpose(2, 3, 1, 0)
        state[f"{convolution}/bias"] = rng.normal(size=shape[0])
        for name, value in zip(
            ("gamma", "beta", "moving_mean", "moving_variance"),
            _normalization(rng, shape[0]),
            strict=True,
        ):
            state[f"{normalization}/{name}"] = value
    state["fc1000/kernel"] = rng.normal(size=(2048, 1000))
    state["fc1000/bias"] = rng.normal(size=1000)
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in state.items()}


def _saved(path, state):
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file(state, path)
    else:
        tensors = {name: torch.from_numpy(value) for name, value in state.items()}
        torch.save(tensors | {"bn1.num_batches_tracked": torch.tensor(3)}, path)
    return path


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_torchvision_names(tmp_path, torchvision, suffix):
    model, found = resnet50.load(_saved(tmp_path / f"w.{suffix}", torchvision))
    assert (found.naming.name, found.naming.preprocessing) == ("torchvision", "torchvision")
    assert model.version == "v1.5"
    x = torch.randn(2, 512, 7, 7, generator=torch.Generator().manual_seed(0))
    tensors = {name: torch.from_numpy(value) for name, value in torchvision.items()}
    for ours, convolution, bn in (
        (model.layer4[1].conv2, "layer4.1.conv2", "layer4.1.bn2"),
        (model.layer2[0].downsample, "layer2.0.downsample.0", "layer2.0.downsample.1"),
    ):
        x = torch.randn(2, ours.in_channels, 7, 7, generator=torch.Generator().manual_seed(0))
        y = torch.nn.functional.conv2d(
            x, tensors[f"{convolution}.weight"], None, ours.stride, ours.padding
        )
        y = torch.nn.functional.batch_norm(
            y,
            *(tensors[f"{bn}.{name}"] for name in ("running_mean", "running_var")),
            *(tensors[f"{bn}.{name}"] for name in ("weight", "bias")),
            eps=1e-5,
        )
        torch.testing.assert_close(ours(x), y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(model.fc.weight.detach(), tensors["fc.weight"])


def test_keras_names(tmp_path, keras):
    model, found = resnet50.load(_saved(tmp_path / "w.safetensors", keras))
    assert (found.naming.name, found.naming.preprocessing) == ("keras", "caffe")
    assert model.version == "v1"
    factor = keras["bn4f_branch2c/gamma"] / np.sqrt(keras["bn4f_branch2c/moving_variance"] + 1e-3)
    kernel = keras["res4f_branch2c/kernel"] * factor
    np.testing.assert_allclose(
        model.layer3[5].conv3.weight.detach().numpy(), kernel.transpose(3, 2, 0, 1), rtol=1e-5
    )
    bias = keras["res4f_branch2c/bias"] - keras["bn4f_branch2c/moving_mean"]
    np.testing.assert_allclose(
        model.layer3[5].conv3.bias.detach().numpy(),
        bias * factor + keras["bn4f_branch2c/beta"],
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_array_equal(model.fc.weight.detach().numpy(), keras["fc1000/kernel"].T)


def test_version_can_be_chosen(tmp_path, keras):
    model, _ = resnet50.load(_saved(tmp_path / "w.safetensors", keras), "v1.5")
    assert model.version == "v1.5"


SHAPES = {
    "conv1.weight": (2, 3, 7, 7),
    "conv1.bias": (2,),
    "layer1.0.conv1.weight": (4, 2, 1, 1),
    "layer1.0.conv1.bias": (4,),
    "fc.weight": (5, 4),
    "fc.bias": (5,),
}
"""A network of three of ResNet50's layers, which is quickly read."""


def _small(prefix):
    rng = np.random.default_rng(4)
    state = {}
    for convolution, normalization in (("conv1", "bn1"), ("layer1.0.conv1", "layer1.0.bn1")):
        shape = SHAPES[f"{convolution}.weight"]
        state[f"{convolution}.weight"] = rng.normal(size=shape)
        statistics = ("weight", "bias", "running_mean", "running_var")
        values = _normalization(rng, shape[0])
        state |= {
            f"{normalization}.{what}": value for what, value in zip(statistics, values, strict=True)
        }
    state |= {"fc.weight": rng.normal(size=(5, 4)), "fc.bias": rng.normal(size=5)}
    return {f"{prefix}{name}": torch.from_numpy(value) for name, value in state.items()}


def _folded(path, state):
    torch.save(state, path)
    return weights.fold(weights.read(path), SHAPES)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_a_checkpoint_of_a_training_run_is_the_network_in_it(tmp_path, kind):
    """DataParallel's prefix, a dictionary around it; what is narrow is as if it were wide."""
    narrow = {name: value.to(kind) for name, value in _small("module.").items()}
    plain = {name.removeprefix("module."): value.double() for name, value in narrow.items()}
    counters = {"module.bn1.num_batches_tracked": torch.tensor(5)}
    wrapped = {"epoch": 90, "state_dict": narrow | counters}
    expected = _folded(tmp_path / "plain.pth", plain)
    got = _folded(tmp_path / "model_best.pth.tar", wrapped)
    assert got.keys() == SHAPES.keys() == expected.keys()
    for name, value in got.items():
        assert value.dtype == np.float32 and value.shape == SHAPES[name]
        np.testing.assert_array_equal(value, expected[name])


def _changed(name, change):
    def apply(state):
        state[f"module.{name}"] = change(state[f"module.{name}"])

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("module.layer1.0.conv1.weight"), r"0\.conv1\.weight' is missing"),
        (lambda s: s.pop("module.fc.bias"), r"'module\.fc\.bias' is missing"),
        (lambda s: s.pop("module.conv1.weight"), "are not a ResNet50"),
        (_changed("fc.weight", lambda v: v[:3]), r"\.weight' has shape \[3, 4\], expected \[5, 4"),
        (_changed("bn1.bias", lambda v: v * np.nan), r"'module\.bn1\.bias' holds NaN"),
        (_changed("conv1.weight", lambda v: v / 0), r"'module\.conv1\.weight' holds NaN"),
        (_changed("bn1.running_var", lambda v: -v), r"'module\.bn1\.running_var' holds a negative"),
        (_changed("bn1.weight", lambda v: v * 2e38), r"'module\.conv1\.weight' overflows"),
        (_changed("bn1.weight", lambda v: v.int()), r"'module\.bn1\.weight' is int32"),
        (_changed("fc.bias", lambda v: v.to(torch.complex64)), "is complex64, not floating point"),
        (_changed("fc.bias", lambda v: v.char()), "is int8, not floating point"),
        (
            _changed("fc.bias", lambda v: v.to(torch.float8_e5m2)),
            r"'module\.fc\.bias' is float8_e5m2, not floating point; nearest: float64, float32",
        ),
        (_changed("fc.bias", lambda v: v.to("meta")), r"'module\.fc\.bias' has no values"),
        (
            lambda s: s.update({"module.layer3.6.conv1.weight": s["module.fc.bias"]}),
            r"'module\.layer3\.6\.conv1\.weight' is no part of ResNet50",
        ),
    ],
)
def test_a_spoilt_tensor_is_named_as_in_the_file(tmp_path, spoil, message):
    state = _small("module.")
    spoil(state)
    path = tmp_path / "w.pth"
    with pytest.raises(DnaError, match=message) as caught:
        _folded(path, state)
    assert str(path) in str(caught.value)
