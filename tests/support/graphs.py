"""Random integer graphs for tests: plausible scales, so that values spread over int8."""

import math

import numpy as np

from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.operations import Lookup, Padding

IMAGE_RMS = 60.0
"""Root mean square, in steps of int8, that the scales below aim at for every tensor."""

ASYMMETRIC = Padding(0, 1, 1, 0)


def ones(*shape: int, scale: float = 0.01) -> Weights:
    """Weights of ``shape`` that are all one, without a bias."""
    channels = shape[0]
    return Weights(
        np.ones(shape, np.int8), np.zeros(channels, np.int32), np.full(channels, scale, np.float32)
    )


class _Network:
    """A GraphBuilder that picks weights and scales, tracking the size of the values it expects."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...]) -> None:
        self.rng = rng
        scale = float(rng.uniform(0.5, 1.5)) / IMAGE_RMS
        self.builder = GraphBuilder("input", shape, scale, int(rng.integers(-20, 20)))
        self.rms = {"input": scale * IMAGE_RMS}

    def _quantization(self, rms: float, relu: bool) -> tuple[float, int]:
        scale = rms / (IMAGE_RMS if relu else IMAGE_RMS / 1.5)
        return scale, -128 if relu else int(self.rng.integers(-12, 13))

    def _weights(self, x: str, shape: tuple[int, ...]) -> Weights:
        weights = np.clip(np.rint(self.rng.normal(0, 32, shape)), -127, 127).astype(np.int8)
        fan_in = math.prod(shape[1:])
        spread = 1 / (math.sqrt(fan_in) * 32 * self.rms[x])
        scale = (spread * self.rng.uniform(0.7, 1.3, shape[0])).astype(np.float32)
        unit = self.builder.tensor(x).scale * scale.astype(np.float64)
        bias = np.rint(self.rng.normal(0, 0.3, shape[0]) / unit)
        return Weights(weights, bias.astype(np.int32), scale)

    def conv(
        self,
        name: str,
        x: str,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        padding: Padding | int = 0,
        relu: bool = True,
    ) -> str:
        if isinstance(padding, int):
            padding = Padding(padding, padding, padding, padding)
        shape = (channels, kernel, kernel, self.builder.tensor(x).shape[2])
        scale, zero_point = self._quantization(1.0, relu)
        self.rms[name] = 1.0
        return self.builder.conv2d(
            name,
            x,
            self._weights(x, shape),
            Output(scale, zero_point, "relu" if relu else "none"),
            Window((kernel, kernel), (stride, stride), padding),
        )

    def depthwise(self, name: str, x: str, kernel: int = 3, stride: int = 1) -> str:
        channels, side = self.builder.tensor(x).shape[2], kernel // 2
        scale, zero_point = self._quantization(1.0, True)
        weights = self._weights(x, (channels, kernel, kernel))
        self.rms[name] = 1.0
        return self.builder.depthwise_conv2d(
            name,
            x,
            weights,
            Output(scale, zero_point, "relu"),
            Window((kernel, kernel), (stride, stride), Padding(side, side, side, side)),
        )

    def add(self, name: str, a: str, b: str) -> str:
        self.rms[name] = math.hypot(self.rms[a], self.rms[b])
        scale, zero_point = self._quantization(self.rms[name], True)
        return self.builder.add(name, a, b, Output(scale, zero_point, "relu"))

    def max_pool(self, name: str, x: str) -> str:
        self.rms[name] = self.rms[x]
        return self.builder.max_pool2d(name, x, Window((3, 3), (2, 2), Padding(1, 1, 1, 1)))

    def classifier(self, x: str, classes: int) -> Graph:
        scale, _ = self._quantization(self.rms[x], True)
        self.rms["mean"] = self.rms[x]
        self.builder.mean("mean", x, Output(scale, -128))
        shape = (classes, self.builder.tensor("mean").shape[0])
        logits, zero_point = self._quantization(1.0, False)
        self.builder.fully_connected(
            "logits", "mean", self._weights("mean", shape), Output(logits, zero_point)
        )
        return self.builder.finish("logits")

    def bottleneck(
        self, name: str, x: str, width: int, stride: int, project: bool, stride_in_3x3: bool
    ) -> str:
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        shortcut = x
        if project:
            shortcut = self.conv(f"{name}.shortcut", x, 4 * width, stride=stride, relu=False)
        y = self.conv(f"{name}.conv1", x, width, stride=first)
        y = self.conv(f"{name}.conv2", y, width, kernel=3, stride=second, padding=1)
        y = self.conv(f"{name}.conv3", y, 4 * width, relu=False)
        return self.add(f"{name}.add", y, shortcut)


def random_resnet50(
    rng: np.random.Generator, size: int = 224, classes: int = 1000, stride_in_3x3: bool = False
) -> Graph:
    """ResNet50 v1 (v1.5 with ``stride_in_3x3``) with random weights, for ``size`` x ``size``."""
    network = _Network(rng, (size, size, 3))
    x = network.conv("conv1", "input", 64, kernel=7, stride=2, padding=3)
    x = network.max_pool("pool1", x)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            name = f"stage{stage + 1}.block{block + 1}"
            x = network.bottleneck(name, x, 64 << stage, stride, block == 0, stride_in_3x3)
    return network.classifier(x, classes)


def random_small_graph(
    rng: np.random.Generator,
    shape: tuple[int, int, int] = (13, 11, 3),
    classes: int = 10,
    padding: Padding = ASYMMETRIC,
    depthwise: bool = False,
) -> Graph:
    """Every operation of ResNet50 once or more, on a few hundred values.

    Args:
        padding: of the first convolution.
        depthwise: there is a depthwise convolution, too.
    """
    network = _Network(rng, shape)
    x = network.conv("conv1", "input", 8, kernel=3, stride=2, padding=padding)
    x = network.max_pool("pool1", x)
    x = network.bottleneck("block1", x, 4, 1, True, False)
    if depthwise:
        x = network.depthwise("depthwise", x)
    x = network.bottleneck("block2", x, 4, 1, False, True)
    x = network.bottleneck("block3", x, 8, 2, True, False)
    return network.classifier(x, classes)


def random_detector(
    rng: np.random.Generator, size: int, channels: tuple[int, ...], scales: int = 3
) -> Graph:
    """Maps of strides 8, 16 and so on, behind a few convolutions; ``channels`` are of each scale.

    Each of them is a map of its own.
    """
    network = _Network(rng, (size, size, 3))
    x = network.conv("stem1", "input", 8, kernel=3, stride=2, padding=1)
    x = network.conv("stem2", x, 8, kernel=3, stride=2, padding=1)
    outputs = []
    for scale in range(scales):
        x = network.conv(f"down{scale}", x, 8, kernel=3, stride=2, padding=1)
        outputs += [
            network.conv(f"head{scale}.{part}", x, count, relu=False)
            for part, count in enumerate(channels)
        ]
    return network.builder.finish(*outputs)


def depthwise_graph(rng: np.random.Generator, shape: tuple[int, int, int]) -> Graph:
    """Depthwise convolutions of several sizes between narrow ones, one of them with a shortcut."""
    network = _Network(rng, shape)
    x = network.conv("stem", "input", 10)
    y = network.conv("expand", x, 21)
    y = network.depthwise("depthwise3", y)
    y = network.conv("project", y, 10, relu=False)
    x = network.add("add", y, x)
    x = network.depthwise("depthwise5", x, kernel=5, stride=2)
    x = network.conv("narrow", x, 7)
    x = network.depthwise("depthwise7", x, kernel=7)
    return network.classifier(x, 10)


def gated_graph(rng: np.random.Generator, shape: tuple[int, int, int]) -> Graph:
    """What detectors are made of: gates, joins, slices, resizes, pools; two maps as outputs."""
    network = _Network(rng, shape)
    builder = network.builder

    def gated(name: str, x: str) -> str:
        source = builder.tensor(x)
        reals = source.scale * (np.arange(-128, 128) - source.zero_point)
        steps = np.clip(np.rint(256 / (1 + np.exp(-reals))) - 128, -128, 127).astype(np.int8)
        gate = Lookup(name=f"{name}.gate", inputs=(x,), output=f"{name}.gate", function="logistic")
        builder.lookup(gate, np.roll(steps, 128), Output(1 / 256, -128))
        scale, zero_point = network._quantization(1.0, False)
        network.rms[name] = 1.0
        return builder.multiply(name, x, gate.name, Output(scale, zero_point))

    x = gated("stem", network.conv("stem.conv", "input", 16, kernel=3, padding=1, relu=False))
    halves = [builder.slice_channels(f"half{i}", x, 8 * i, 8) for i in range(2)]
    scale, zero_point = builder.tensor(x).scale, builder.tensor(x).zero_point
    builder.extremum("larger", *halves, Output(scale, zero_point), largest=True)
    x = builder.concatenate("joined", [halves[1], "larger", halves[0]])
    network.rms[x] = 1.0
    small = network.max_pool("small", network.depthwise("depthwise", x))
    large = builder.resize_nearest("large", small, (2, 2))
    network.rms[large] = 1.0
    first = network.conv("first", large, 5, relu=False)
    return builder.finish(first, gated("second", network.conv("second.conv", small, 9, relu=False)))


MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)) + 5 * ((512, 1),)
"""Channels and stride of the blocks of MobileNetV1 but for the last two."""


def random_mobilenet_v1(
    rng: np.random.Generator, size: int = 224, width: float = 1.0, classes: int = 1000
) -> Graph:
    """MobileNetV1 with random weights: a convolution, then depthwise and 1 x 1 in turn."""
    network = _Network(rng, (size, size, 3))
    x = network.conv("conv1", "input", int(32 * width), kernel=3, stride=2, padding=1)
    for number, (channels, stride) in enumerate((*MOBILENET_V1, (1024, 2), (1024, 1)), 1):
        x = network.depthwise(f"depthwise{number}", x, stride=stride)
        x = network.conv(f"pointwise{number}", x, int(channels * width))
    return network.classifier(x, classes)


def random_image(rng: np.random.Generator, graph: Graph) -> np.ndarray:
    """A smooth int8 image for ``graph``: coarse noise enlarged, fine noise on top."""
    height, width, channels = graph.tensors[graph.input].shape
    coarse = rng.normal(0, 50, (height // 8 + 1, width // 8 + 1, channels))
    large = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return np.clip(np.rint(large + rng.normal(0, 20, large.shape)), -128, 127).astype(np.int8)
