"""ResNet50 against a numpy reading of the Keras topology that the weights were published with."""

import json

import numpy as np
import pytest
import safetensors.numpy
from rich.console import Console

from tests import skips

pytest.importorskip("torch", reason=skips.not_installed("quantize"))

import torch

from harness.data import fetch
from sw.models import resnet50
from tests.support.tiny import load_image


class KerasModel:
    """Runs a Keras ``model.json`` layer by layer, batch normalization apart; float32 NHWC."""

    def __init__(self, topology, tensors):
        self._config = json.loads(topology)["modelTopology"]["model_config"]["config"]
        self._tensors = tensors

    def logits(self, image):
        values = {}
        for layer in self._config["layers"]:
            operands = [values[node[0]] for nodes in layer["inbound_nodes"] for node in nodes]
            apply = getattr(self, layer["class_name"])
            values[layer["name"]] = apply(layer["config"], *(operands or [image]))
        (output,) = self._config["output_layers"]
        return values[output[0]]

    def _of(self, config, what):
        return self._tensors[f"{config['name']}/{what}"]

    def InputLayer(self, config, x):  # noqa: N802
        return x

    def ZeroPadding2D(self, config, x):  # noqa: N802
        return np.pad(x, [*config["padding"], [0, 0]])

    def Conv2D(self, config, x):  # noqa: N802
        kernel = self._of(config, "kernel")
        height, width = config["strides"]
        assert config["dilation_rate"] == [1, 1] and config["activation"] == "linear"
        if config["padding"] == "same":
            assert (height, width) == (1, 1)
            x = np.pad(x, [[n // 2, n // 2] for n in kernel.shape[:2]] + [[0, 0]])
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (0, 1))
        windows = windows[::height, ::width]  # [H, W, in, kernel height, kernel width]
        return np.tensordot(windows, kernel, ((3, 4, 2), (0, 1, 2))) + self._of(config, "bias")

    def BatchNormalization(self, config, x):  # noqa: N802
        deviation = np.sqrt(self._of(config, "moving_variance") + config["epsilon"])
        normal = (x - self._of(config, "moving_mean")) / deviation
        return normal * self._of(config, "gamma") + self._of(config, "beta")

    def Activation(self, config, x):  # noqa: N802
        assert config["activation"] == "relu"
        return np.maximum(x, 0)

    def MaxPooling2D(self, config, x):  # noqa: N802
        height, width = config["strides"]
        assert config["padding"] == "valid"
        windows = np.lib.stride_tricks.sliding_window_view(x, config["pool_size"], (0, 1))
        return windows[::height, ::width].max((3, 4))

    def Add(self, config, x, y):  # noqa: N802
        return x + y

    def GlobalAveragePooling2D(self, config, x):  # noqa: N802
        return x.mean((0, 1))

    def Dense(self, config, x):  # noqa: N802
        assert config["activation"] == "softmax"  # left to the host: these are the logits
        return x @ self._of(config, "kernel") + self._of(config, "bias")


@pytest.mark.network
def test_logits_equal_the_published_topology():
    fetch.fetch(Console(quiet=True))
    tensors = safetensors.numpy.load_file(fetch.weights_path())
    independent = KerasModel(fetch.topology_path().read_bytes(), tensors)
    model, found = resnet50.load(fetch.weights_path())
    for path, label in fetch.photographs()[:2]:
        image = load_image(path, found.naming.preprocessing)
        expected = independent.logits(image)
        with torch.inference_mode():
            got = model(torch.from_numpy(image).permute(2, 0, 1)[None])[0].numpy()
        assert expected.argmax() == label
        np.testing.assert_allclose(got, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("version", "first", "second"), [("v1", (2, 2), (1, 1)), ("v1.5", (1, 1), (2, 2))]
)
def test_the_version_places_the_stride(version, first, second):
    with torch.device("meta"):
        model = resnet50.ResNet50(version)
        assert model(torch.empty(1, 3, 224, 224)).shape == (1, 1000)
    for stage in (model.layer2, model.layer3, model.layer4):
        assert (stage[0].conv1.stride, stage[0].conv2.stride) == (first, second)
        assert stage[0].downsample.stride == (2, 2)
        assert stage[1].conv1.stride == stage[1].conv2.stride == (1, 1)
    assert model.layer1[0].conv1.stride == model.layer1[0].conv2.stride == (1, 1)


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="'v2'"):
        resnet50.ResNet50("v2")
