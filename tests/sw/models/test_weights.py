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
    model, naming = resnet50.load(_saved(tmp_path / f"w.{suffix}", torchvision))
    assert (naming.name, naming.preprocessing) == ("torchvision", "torchvision")
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
    model, naming = resnet50.load(_saved(tmp_path / "w.safetensors", keras))
    assert (naming.name, naming.preprocessing) == ("keras", "caffe")
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


def _changed(name, change):
    def apply(state):
        state[name] = change(state[name])

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: s.pop("layer2.3.conv2.weight"), r"'layer2\.3\.conv2\.weight' is missing"),
        (lambda s: s.pop("fc.bias"), r"'fc\.bias' is missing"),
        (_changed("fc.weight", lambda v: v[:10].copy()), r"'fc\.weight' has shape \[10, 2048\]"),
        (_changed("layer1.0.bn1.bias", lambda v: v * np.float32(np.nan)), r"bn1\.bias' holds NaN"),
        (_changed("conv1.weight", lambda v: v / np.float32(0)), r"'conv1\.weight' holds NaN"),
        (_changed("bn1.running_var", lambda v: -v), "negative variance"),
        (_changed("bn1.weight", lambda v: v * np.float32(2e38)), r"'conv1\.weight' overflows"),
        (_changed("bn1.weight", lambda v: v.astype(np.int32)), r"'bn1\.weight' is int32"),
        (lambda s: s.update({"layer3.6.conv1.weight": s["fc.bias"]}), "no part of ResNet50"),
        (lambda s: s.pop("conv1.weight"), "not a ResNet50"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_spoilt_tensor_is_named(torchvision, tmp_path, spoil, message):
    state = dict(torchvision)
    spoil(state)
    path = _saved(tmp_path / "w.safetensors", state)
    with pytest.raises(DnaError, match=message) as caught:
        resnet50.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_truncated_files_are_refused(tmp_path, suffix):
    path = _saved(tmp_path / f"w.{suffix}", {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DnaError, match=f"cannot read weights {path}"):
        weights.read(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "do not exist"),
        (lambda p: p.write_bytes(b""), "cannot read"),
        (lambda p: p.write_bytes(b"hello"), "cannot read"),
        (lambda p: torch.save(torch.zeros(3), p), "hold a Tensor, not a state dictionary"),
        (lambda p: torch.save({"epoch": 3}, p), "'epoch' is a int, not a tensor"),
        (lambda p: torch.save(torch.nn.Linear(1, 1), p), "cannot read"),
    ],
)
def test_other_files_are_refused(tmp_path, make, message):
    path = tmp_path / "w.pth"
    make(path)
    with pytest.raises(DnaError, match=message) as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)


def test_other_suffixes_are_refused(tmp_path):
    (tmp_path / "w.h5").touch()
    with pytest.raises(DnaError, match="must end in"):
        weights.read(tmp_path / "w.h5")
