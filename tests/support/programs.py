"""Random networks and machines for the compiler, and the check that a program computes them."""

import re

import numpy as np

from hw.config import DnaConfig
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import Program, compile_graph
from sw.errors import DnaError
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.operations import Padding

LAYER_MACS = 300_000
"""Of the largest random layer."""

LAYER_SIZE = {"conv": 24, "max_pool": 24, "mean": 24, "fully_connected": 15, "add": 24}
"""Rows and columns, at most; a fully connected layer over more than 15 is refused."""


def random_config(rng: np.random.Generator, feature_words: int | None = None) -> DnaConfig:
    """Any legal machine that is not large."""
    while True:
        modules = 1 << int(rng.integers(0, 4))
        rows = 1 << int(rng.integers(1, 5))
        if modules * rows >= 8:
            break

    def power(low: int, high: int) -> int:
        return 1 << int(rng.integers(low.bit_length() - 1, high.bit_length()))

    return DnaConfig(
        name="random",
        modules=modules,
        rows=rows,
        columns=rows,
        lanes=power(rows, modules * rows),
        accumulation_depth=power(1, 64),
        dram_bytes_per_cycle=power(8, min(modules * rows, 64)),
        feature_words=feature_words or power(max(256, 2 * modules), 8192),
        weight_fifo_words=power(1, 64),
    )


class _RandomNetwork:
    """Operations of every kind on whatever tensors there are."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        height, width = rng.integers(1, 15, 2)
        channels = int(rng.choice([1, 2, 3, 3, 3, 5, 8, 17]))
        self.builder = GraphBuilder("input", (int(height), int(width), channels), *self.values())
        self.spatial = ["input"]
        self.count = 0

    def values(self) -> tuple[float, int]:
        """A scale and a zero point."""
        return float(self.rng.uniform(0.5, 1.5)), int(self.rng.integers(-128, 128))

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def pick(self) -> str:
        """A spatial tensor, more likely a late one."""
        back = int(self.rng.geometric(0.6))
        return self.spatial[max(0, len(self.spatial) - back)]

    def weights(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        rng = self.rng
        fan_in = int(np.prod(shape[1:]))
        scale = rng.uniform(0.3, 1.0, shape[0]) / (30 * fan_in**0.5)
        return {
            "weights": rng.integers(-128, 128, shape).astype(np.int8),
            "bias": rng.integers(-3000, 3000, shape[0]).astype(np.int32),
            "weight_scale": scale.astype(np.float32),
        }

    def relu(self) -> str:
        return str(self.rng.choice(["none", "relu", "relu6"]))

    def window(self, x: str, square: bool) -> dict[str, object]:
        """A kernel, stride and padding that fit ``x``."""
        rng = self.rng
        height, width, _ = self.builder.tensor(x).shape
        top, bottom, left, right = (int(n) for n in rng.integers(0, 3, 4))
        kernel = (
            int(rng.integers(1, min(5, height + top + bottom) + 1)),
            int(rng.integers(1, min(5, width + left + right) + 1)),
        )
        stride = tuple(int(n) for n in rng.integers(1, 4, 2))
        if square:
            stride = (stride[0], stride[0])
        return {
            "kernel": kernel,
            "stride": stride,
            "padding": Padding(top, bottom, left, right),
        }

    def conv(self, x: str, channels: int | None = None, **window: object) -> str:
        window = window or self.window(x, square=False)
        kernel = window.pop("kernel")
        out = channels or int(self.rng.integers(1, 40))
        shape = (out, *kernel, self.builder.tensor(x).shape[2])
        scale, zero_point = self.values()
        name = self.builder.conv2d(
            self.name("conv"),
            x,
            **self.weights(shape),
            scale=scale,
            zero_point=zero_point,
            activation=self.relu(),
            **window,
        )
        self.spatial.append(name)
        return name

    def pool(self) -> None:
        x = self.pick()
        self.spatial.append(
            self.builder.max_pool2d(self.name("pool"), x, **self.window(x, square=True))
        )

    def add(self, a: str, b: str) -> None:
        scale, zero_point = self.values()
        self.spatial.append(
            self.builder.add(
                self.name("add"),
                a,
                b,
                scale=2 * scale,
                zero_point=zero_point,
                activation=self.relu(),
            )
        )

    def residual(self) -> None:
        """An addition of one of the forms that networks have, and some that they have not."""
        x = self.pick()
        channels = self.builder.tensor(x).shape[2]
        same = {"kernel": (3, 3), "padding": Padding(1, 1, 1, 1)}
        match int(self.rng.integers(0, 5)):
            case 0:
                self.add(self.conv(x, channels, **same), x)
            case 1:
                self.add(x, x)
            case 2:
                shortcut = self.conv(x, 12, kernel=(1, 1))
                self.add(self.conv(x, 12, **same), shortcut)
            case 3:
                main = self.conv(x, 12, **same)
                self.add(main, self.conv(x, 12, kernel=(1, 1)))
            case 4:
                branch = self.conv(x, channels, **same)
                self.conv(branch)
                self.add(x, branch)

    def classifier(self, x: str) -> str:
        # A fully connected layer over more than 15 rows or columns is refused.
        if max(self.builder.tensor(x).shape[:2]) > 15 or self.rng.random() < 0.7:
            scale, zero_point = self.values()
            x = self.builder.mean(self.name("mean"), x, scale=scale, zero_point=zero_point)
        for _ in range(int(self.rng.integers(1, 3))):
            scale, zero_point = self.values()
            inputs = int(np.prod(self.builder.tensor(x).shape))
            x = self.builder.fully_connected(
                self.name("fc"),
                x,
                **self.weights((int(self.rng.integers(1, 30)), inputs)),
                scale=scale,
                zero_point=zero_point,
                activation=self.relu(),
            )
        return x

    def finish(self) -> Graph:
        for _ in range(int(self.rng.integers(1, 6))):
            step = self.rng.choice([self.pool, self.residual, lambda: self.conv(self.pick())])
            step()
        x = self.spatial[-1]
        if x == "input" or self.rng.random() < 0.6:
            x = self.classifier(x)
        return self.builder.finish(x)


def random_network(rng: np.random.Generator) -> Graph:
    """A small graph with every operation and shape that the compiler takes, useful or not."""
    return _RandomNetwork(rng).finish()


def random_layer(rng: np.random.Generator) -> Graph:
    """One operation (two for half of the additions) as no network has it.

    Large kernels, strides that leave rows out, channels that fill no word.
    """
    kind = rng.choice(["conv", "conv", "image", "max_pool", "mean", "fully_connected", "add"])
    network = _RandomNetwork(rng)
    if kind == "image":
        return _first_layer(network)
    while True:
        height, width = (int(n) for n in rng.integers(1, LAYER_SIZE[kind] + 1, 2))
        channels = int(rng.choice([1, 2, 3, 4, 7, 8, 9, 16, 31, 64, 65]))
        outputs = int(rng.choice([1, 3, 4, 5, 8, 15, 16, 33, 64, 70]))
        top, bottom, left, right = (int(n) for n in rng.integers(0, 6, 4))
        rows, columns = height + top + bottom, width + left + right
        kernel = tuple(int(rng.integers(1, min(12, size) + 1)) for size in (rows, columns))
        stride = tuple(int(n) for n in rng.integers(1, 6, 2))
        taps = kernel[0] * kernel[1] if kind == "conv" else 1
        work = height * width * channels * outputs * taps // (stride[0] * stride[1])
        if work <= LAYER_MACS:
            break
    window = {"kernel": kernel, "stride": stride, "padding": Padding(top, bottom, left, right)}
    builder = network.builder = GraphBuilder("input", (height, width, channels), *network.values())
    scale, zero_point = network.values()
    target = {"scale": scale, "zero_point": zero_point}
    match kind:
        case "conv":
            return builder.finish(network.conv("input", outputs, **window))
        case "max_pool":
            window["stride"] = (stride[0], stride[0])
            return builder.finish(builder.max_pool2d("pool", "input", **window))
        case "mean":
            return builder.finish(builder.mean("mean", "input", **target))
        case "fully_connected":
            weights = network.weights((outputs, height * width * channels))
            return builder.finish(builder.fully_connected("fc", "input", **weights, **target))
    other = network.conv("input", channels, kernel=(1, 1)) if rng.random() < 0.5 else "input"
    network.add("input", other)
    return builder.finish(network.spatial[-1])


def _first_layer(network: _RandomNetwork) -> Graph:
    """A convolution over an image, small kernel and few channels, that packed windows suit.

    Half of the time with an addition behind it.
    """
    rng = network.rng
    kernel = tuple(int(n) for n in rng.integers(2, 5, 2))
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    top, bottom, left, right = (int(n) for n in rng.integers(0, 3, 4))
    # Output columns of which two, three or four may be computed together.
    columns = 12 * int(rng.integers(1, 4))
    width = (columns - 1) * stride[1] + kernel[1] - left - right
    shape = (int(rng.integers(4, 25)), width, int(rng.integers(1, 4)))
    network.builder = GraphBuilder("input", shape, *network.values())
    window = {"kernel": kernel, "stride": stride, "padding": Padding(top, bottom, left, right)}
    outputs = int(rng.integers(1, 25))
    x = network.conv("input", outputs, **window)
    if rng.random() < 0.5:
        network.add(x, network.conv("input", outputs, **window))
    return network.builder.finish(network.spatial[-1])


def noise(rng: np.random.Generator, graph: Graph) -> np.ndarray:
    """int8 values for the input of ``graph``."""
    return rng.integers(-128, 128, graph.tensors[graph.input].shape).astype(np.int8)


def least_feature_words(graph: Graph, config: DnaConfig) -> int | None:
    """None if ``graph`` compiles; else the feature memory that the refusal asks for."""
    try:
        compile_graph(graph, config)
    except DnaError as error:
        least = re.search(r"needs feature_words of at least (\d+)$", str(error))
        if least is None:
            raise
        return int(least[1])
    return None


def check_program(
    graph: Graph,
    config: DnaConfig,
    image: np.ndarray,
    seeds: tuple[int | None, ...] = (None,),
    bandwidth: float = 1.0,
) -> Program:
    """Compile ``graph`` and compare every tensor with the reference, once for each seed."""
    program = compile_graph(graph, config, bandwidth)
    expected = ReferenceModel(graph).run_all(image)
    for seed in seeds:
        result = interpret_program(program, image, expected, seed=seed)
        assert result.values == sum(int(np.prod(layer.shape)) for layer in program.layers) > 0
        assert result.mismatches == 0, next((layer for layer in result.layers if layer.first), None)
    return program
