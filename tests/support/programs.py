"""Random networks and machines for the compiler, and the check that a program computes them."""

import math
import re
from collections.abc import Callable
from typing import get_args

import msgspec
import numpy as np

from hw.config import DnaConfig
from hw.isa import FORMATS, Opcode
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sw.compiler import Program, compile_graph
from sw.errors import DnaError
from sw.frontends.tflite.functions.tables import function_table
from sw.graph import Graph
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.numerics import Function
from sw.operations import Lookup, Padding
from sw.operators import table

LAYER_MACS = 300_000
"""Of the largest random layer."""

LAYER_SIZE = {"fully connected": 40}
"""Rows and columns, at most, where it is not 24."""

WINDOW_LIMITS = {field.name: field.range[1] for field in FORMATS[Opcode.CONV].fields}
"""The largest kernel and stride that an instruction can name."""


def listed(name: str) -> bool:
    """Whether the table of operators has a row of this name."""
    return any(row.name == name for row in table.TABLE)


def random_config(rng: np.random.Generator, feature_words: int | None = None) -> DnaConfig:
    """Any legal machine that is not large."""
    while True:
        modules = 1 << int(rng.integers(0, 4))
        rows = 1 << int(rng.integers(1, 5))
        if modules * rows >= 8:
            break

    def power(low: int, high: int) -> int:
        return 1 << int(rng.integers(low.bit_length() - 1, high.bit_length()))

    lanes = power(rows, modules * rows)
    return DnaConfig(
        name="random",
        modules=modules,
        rows=rows,
        columns=rows,
        lanes=lanes,
        accumulation_depth=max(2, power(1, 64)),
        dram_bytes_per_cycle=power(8, min(modules * rows, 64)),
        feature_words=feature_words or power(max(256, 2 * modules), 8192),
        weight_fifo_words=max(2, power(1, 64)),
        depthwise_words=int(rng.choice([0, power(1, lanes // rows)])),
    )


WORD = 16
"""Channels that fill whole words of every machine that is drawn."""

FUNCTIONS = get_args(Function)
FIXED = {"logistic": Output(1 / 256, -128), "tanh": Output(1 / 128, 0)}
"""What LiteRT insists on."""

Draw = Callable[["RandomNetwork"], None]


class RandomNetwork:
    """Operations of every kind on whatever tensors there are.

    Attributes:
        builder: what there is.
        spatial: feature maps, the latest last.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        height, width = rng.integers(1, 15, 2)
        channels = int(rng.choice([1, 2, 3, 3, 3, 5, 8, 17]))
        self.begin((int(height), int(width), channels))
        self.count = 0

    def begin(self, shape: tuple[int, ...]) -> None:
        """Forget what there is for an input of ``shape``."""
        output = self.output("none")
        self.builder = GraphBuilder("input", shape, output.scale, output.zero_point)
        self.spatial = ["input"]

    def output(self, activation: str | None = None, factor: float = 1.0) -> Output:
        """A scale and a zero point, and an activation if none is given."""
        scale, zero_point = float(self.rng.uniform(0.5, 1.5)), int(self.rng.integers(-128, 128))
        if activation is None:
            activation = str(self.rng.choice(["none", "relu", "relu6"]))
        return Output(factor * scale, zero_point, activation)

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def pick(self) -> str:
        """A spatial tensor, more likely a late one."""
        back = int(self.rng.geometric(0.6))
        return self.spatial[max(0, len(self.spatial) - back)]

    def weights(self, shape: tuple[int, ...]) -> Weights:
        rng = self.rng
        fan_in = int(np.prod(shape[1:]))
        scale = rng.uniform(0.3, 1.0, shape[0]) / (30 * fan_in**0.5)
        return Weights(
            rng.integers(-128, 128, shape).astype(np.int8),
            rng.integers(-3000, 3000, shape[0]).astype(np.int32),
            scale.astype(np.float32),
        )

    def window(self, x: str, *, square: bool = False, seen: bool = False) -> Window:
        """A window that fits ``x``.

        Args:
            square: one stride for both directions.
            seen: every window has a value of ``x``.
        """
        rng = self.rng
        height, width, _ = self.builder.tensor(x).shape
        sides = [int(n) for n in rng.integers(0, 3, 4) * int(rng.random() < 0.8)]
        kernel = (
            int(rng.integers(1, min(5, height + sides[0] + sides[1]) + 1)),
            int(rng.integers(1, min(5, width + sides[2] + sides[3]) + 1)),
        )
        stride = tuple(int(n) for n in rng.integers(1, 4, 2))
        if square:
            stride = (stride[0], stride[0])
        if seen:
            sides = [min(side, kernel[i // 2] - 1) for i, side in enumerate(sides)]
            kernel = (min(kernel[0], height), min(kernel[1], width))
            sides = [min(side, kernel[i // 2] - 1) for i, side in enumerate(sides)]
        return Window(kernel, stride, Padding(*sides))

    def conv(
        self,
        x: str,
        channels: int | None = None,
        window: Window | None = None,
        output: Output | None = None,
    ) -> str:
        window = window or self.window(x)
        out = channels or int(self.rng.integers(1, 40))
        weights = self.weights((out, *window.kernel, self.builder.tensor(x).shape[2]))
        name = self.builder.conv2d(self.name("conv"), x, weights, output or self.output(), window)
        self.spatial.append(name)
        return name

    def depthwise(self, x: str, window: Window | None = None, times: int | None = None) -> str:
        window = window or self.window(x)
        channels = self.builder.tensor(x).shape[2]
        times = times or (int(self.rng.integers(1, 5)) if channels < 20 else 1)
        weights = self.weights((times * channels, *window.kernel))
        name = self.builder.depthwise_conv2d(
            self.name("depthwise"), x, weights, self.output(), window
        )
        self.spatial.append(name)
        return name

    def max_pool(self, x: str, window: Window | None = None) -> None:
        window = window or self.window(x, square=bool(self.rng.integers(2)))
        self.spatial.append(self.builder.max_pool2d(self.name("pool"), x, window))

    def average_pool(self, x: str, window: Window | None = None) -> None:
        window = window or self.window(x, seen=True)
        if self.rng.random() < 0.1:  # the whole map
            height, width, _ = self.builder.tensor(x).shape
            window = Window((height, width))
        self.spatial.append(self.builder.average_pool2d(self.name("average"), x, window))

    def add(self, a: str, b: str) -> str:
        subtract = bool(self.rng.random() < 0.3)
        return self.builder.add(self.name("add"), a, b, self.output(factor=2), subtract=subtract)

    def extremum(self, a: str, b: str) -> str:
        largest = bool(self.rng.integers(2))
        return self.builder.extremum(
            self.name("extremum"), a, b, self.output("none"), largest=largest
        )

    def chosen(self) -> str:
        """The larger or smaller one of two, with a function of one of them now and then."""
        x = self.pick()
        operands = self.operands(x)
        if listed("function") and self.rng.random() < 0.2:
            operands = (x, self.function(x))
        self.spatial.append(self.extremum(*operands))
        return self.spatial[-1]

    def residual(self) -> None:
        """An addition of one of the forms that networks have, and some that they have not."""
        x = self.pick()
        total = self.add(*self.operands(x))
        if listed("function") and self.rng.random() < 0.3:
            total = self.function(total)
        self.spatial.append(total)

    def operands(self, x: str) -> tuple[str, str]:
        """Two maps to be added, one of them perhaps ``x``."""
        channels = self.builder.tensor(x).shape[2]
        same, point = Window((3, 3), padding=Padding(1, 1, 1, 1)), Window((1, 1))
        forms = [lambda: (x, x)]
        if listed("mean"):
            forms += [lambda: (x, self.mean(x, keep_dims=True))] * 2
        if listed("mean") and listed("convolution"):
            forms.append(lambda: (self.conv(x, channels, same), self.mean(x, keep_dims=True)))
        if listed("convolution"):
            forms += [
                lambda: (self.conv(x, channels, same), x),
                lambda: (self.conv(x, 12, same), self.conv(x, 12, point)),
                lambda: (self.conv(x, 12, point), self.conv(x, 12, same))[::-1],
                lambda: (x, self.read_twice(self.conv(x, channels, same))),
            ]
        if listed("convolution") and listed("function"):
            forms.append(lambda: (x, self.function(self.conv(x, channels, same))))
        if listed("depthwise convolution"):
            forms.append(lambda: (x, self.depthwise(x, same, 1)))
        return forms[int(self.rng.integers(len(forms)))]()

    def read_twice(self, x: str) -> str:
        """``x``, which another operation reads, too."""
        self.conv(x)
        return x

    def function(self, x: str, kind: Function | None = None) -> str:
        """A function of ``x``, any but the least likely ones."""
        kind = kind or FUNCTIONS[int(self.rng.integers(len(FUNCTIONS)))]
        output = FIXED.get(kind) or self.output("none")
        alpha = float(np.float32(self.rng.uniform(0.05, 0.9))) if kind == "leaky_relu" else 0.0
        source = self.builder.tensor(x)
        quantized = (source.scale, source.zero_point), (output.scale, output.zero_point)
        table = function_table(kind, *quantized, alpha)
        name = self.name(kind)
        function = Lookup(name=name, inputs=(x,), output=name, function=kind, alpha=alpha)
        return self.builder.lookup(function, table, output)

    def perhaps_convolved(self) -> str:
        x = self.pick()
        return self.conv(x) if listed("convolution") and self.rng.random() < 0.6 else x

    def times(self, x: str) -> str:
        """What ``x`` can be multiplied with."""
        return self.function(x) if listed("function") else x

    def chain(self) -> None:
        """One or several functions, behind whatever is there; sometimes what is between is read."""
        x = self.perhaps_convolved()
        for _ in range(int(self.rng.integers(1, 3))):
            x = self.function(x)
            if self.rng.random() < 0.3:
                self.spatial.append(x)
        self.spatial.append(x)

    def product(self) -> None:
        """Of a value and a function of it, or of two maps."""
        x = self.perhaps_convolved()
        if self.rng.random() < 0.3:
            self.spatial.append(self.times_function(x))
            return
        product = self.multiply(*self.operands(x))
        if listed("function") and self.rng.random() < 0.3:
            product = self.function(product)
        self.spatial.append(product)

    def multiply(self, a: str, b: str) -> str:
        factor = float(self.rng.choice([2, 60]))
        return self.builder.multiply(self.name("mul"), a, b, self.output(factor=factor))

    def times_function(self, x: str) -> str:
        y = self.times(x)
        operands = (x, y) if self.rng.random() < 0.5 else (y, x)
        return self.builder.multiply(self.name("mul"), *operands, self.output(factor=2))

    def joint(self, x: str, count: int) -> str:
        """A concatenation of convolutions of ``x``, half of the time all but the last in words."""
        parts = [x]
        if listed("convolution"):
            window, output = self.window(x), self.output()
            counts = self.rng.integers(1, 3, count) * WORD
            if self.rng.random() < 0.5:
                counts = self.rng.integers(1, 20, count)
            parts = [self.conv(x, int(n), window, output) for n in counts]
            parts.append(self.conv(x, None, window, output))
        if len(parts) == 1 or self.rng.random() < 0.2:
            parts.insert(0, parts[0])
        self.spatial.append(self.builder.concatenate(self.name("join"), parts))
        return self.spatial[-1]

    def stack(self, x: str) -> str:
        """A map and one of other rows or columns of its quantization, joined along these."""
        axis, output = int(self.rng.integers(2)), self.output()
        height, width, _ = self.builder.tensor(x).shape
        parts = [x, x]
        if listed("convolution"):
            kernel = [1, 1]
            kernel[axis] = int(self.rng.integers(1, min((height, width)[axis], 15) + 1))
            windows = (Window((1, 1)), Window((kernel[0], kernel[1])))
            parts = [self.conv(x, 7, window, output) for window in windows]
        if self.rng.random() < 0.3:
            parts.append(parts[0])
        self.spatial.append(self.builder.concatenate(self.name("stack"), parts, axis))
        return self.spatial[-1]

    def section(self, x: str) -> str:
        """Some rows or columns of ``x``."""
        axis = int(self.rng.integers(2))
        extent = self.builder.tensor(x).shape[axis]
        begin = int(self.rng.integers(extent))
        count = int(self.rng.integers(1, extent - begin + 1))
        name = self.name("section")
        self.spatial.append(self.builder.slice_channels(name, x, begin, count, axis))
        return self.spatial[-1]

    def slice(self, x: str) -> str:
        """Some channels of ``x``, half of the time from a word on."""
        channels = self.builder.tensor(x).shape[2]
        begin = WORD * int(self.rng.integers(0, -(-channels // WORD)))
        if self.rng.random() < 0.5:
            begin = int(self.rng.integers(channels))
        count = int(self.rng.integers(1, channels - begin + 1))
        self.spatial.append(self.builder.slice_channels(self.name("slice"), x, begin, count))
        return self.spatial[-1]

    def resize(self, x: str) -> str:
        height, width, channels = self.builder.tensor(x).shape
        most = max(1, min(3, 3000 // (height * width * channels)))
        factor = tuple(int(n) for n in self.rng.integers(1, most + 1, 2))
        self.spatial.append(self.builder.resize_nearest(self.name("resize"), x, factor))
        return self.spatial[-1]

    def in_turns(self, x: str) -> str:
        """``x`` and others of its form: its rows or columns from another one on, or itself."""
        height, width, channels = self.builder.tensor(x).shape
        most = 3 if height * width * channels < 1500 else 2
        factor = tuple(int(n) for n in self.rng.integers(1, most, 2))
        maps = [x]
        for _ in range(math.prod(factor) - 1):
            other = x
            if listed("max-pool") and self.rng.integers(2):
                window = Window((3, 3), padding=Padding(1, 1, 1, 1))
                other = self.builder.max_pool2d(self.name("pool"), x, window)
            maps.append(other)
        self.spatial.append(self.builder.interleave(self.name("turns"), maps, factor))
        return self.spatial[-1]

    def mean(self, x: str, keep_dims: bool | None = None, axes: tuple[int, ...] = (0, 1)) -> str:
        keep = bool(self.rng.integers(2)) if keep_dims is None else keep_dims
        return self.builder.mean(
            self.name("mean"), x, self.output("none"), keep_dims=keep, axes=axes
        )

    def mean_of_one_axis(self, x: str) -> None:
        """Of each row or column."""
        self.spatial.append(self.mean(x, True, (int(self.rng.integers(2)),)))

    def dense(self, x: str, outputs: int | None = None) -> str:
        inputs = int(np.prod(self.builder.tensor(x).shape))
        weights = self.weights((outputs or int(self.rng.integers(1, 30)), inputs))
        return self.builder.fully_connected(self.name("fc"), x, weights, self.output())

    def finish(self) -> Graph:
        rows = [row.name for row in table.TABLE if row.operation is not None]
        steps = [STEPS[name] for name in rows for _ in range(OFTEN.get(name, 1)) if name in STEPS]
        for _ in range(int(self.rng.integers(1, 6))):
            steps[int(self.rng.integers(len(steps)))](self)
        x = self.spatial[-1]
        if x == "input" or self.rng.random() < 0.6:
            if "mean" in rows and self.rng.random() < 0.7:
                x = self.mean(x)
            if "fully connected" in rows:
                for _ in range(int(self.rng.integers(1, 3))):
                    x = self.dense(x)
                if "function" in rows and self.rng.random() < 0.2:
                    x = self.function(x)
                if "addition" in rows and self.rng.random() < 0.2:
                    classes = self.builder.tensor(x).shape[0]
                    x = self.add(x, self.dense(x, classes))
        return self.builder.finish(x)


STEPS: dict[str, Draw] = {
    "convolution": lambda net: net.conv(net.pick()),
    "depthwise convolution": lambda net: net.depthwise(net.pick()),
    "addition": lambda net: net.residual(),
    "multiplication": lambda net: net.product(),
    "extremum": lambda net: net.chosen(),
    "function": lambda net: net.chain(),
    "concatenation": lambda net: (
        net.joint(net.pick(), int(net.rng.integers(1, 4)))
        if net.rng.random() < 0.6
        else net.stack(net.pick())
    ),
    "slice": lambda net: (net.slice if net.rng.random() < 0.6 else net.section)(net.pick()),
    "nearest resize": lambda net: net.resize(net.pick()),
    "interleaving": lambda net: net.in_turns(net.pick()),
    "max-pool": lambda net: net.max_pool(net.pick()),
    "average-pool": lambda net: net.average_pool(net.pick()),
    "mean": lambda net: net.mean_of_one_axis(net.pick()),
}
"""How to draw one of a row of the table of operators, anywhere in a network."""

OFTEN = {"convolution": 3, "depthwise convolution": 2, "addition": 3}
"""How many times as often as the others a row is drawn: these have most ways to be compiled."""

ENDS = ("fully connected",)
"""Rows that :meth:`RandomNetwork.finish` draws, at the end, as it does a mean of all."""


def lone_convolution() -> Graph:
    """A convolution of an image, called ``conv1``."""
    network = RandomNetwork(np.random.default_rng(0))
    return network.builder.finish(network.conv("input"))


def random_network(rng: np.random.Generator) -> Graph:
    """A small graph with every operation and shape that the compiler takes, useful or not."""
    return RandomNetwork(rng).finish()


def with_more_outputs(rng: np.random.Generator, graph: Graph) -> Graph:
    """``graph`` with some of its inner maps among its outputs, if it has any."""
    inner = [operation.output for operation in graph.operations if operation.output != graph.output]
    count = int(rng.integers(0, min(len(inner), 3) + 1))
    others = tuple(str(name) for name in rng.choice(inner, count, replace=False)) if count else ()
    return msgspec.structs.replace(graph, others=others)


def random_layer(rng: np.random.Generator) -> Graph:
    """One operation (two for half of the additions) as no network has it.

    Large kernels, strides that leave rows out, channels that fill no word, maps too large for the
    kernel of a classifier.
    """
    kinds = [row.name for row in table.TABLE if row.operation is not None]
    kind = str(rng.choice([*kinds, "image"] if listed("convolution") else kinds))
    network = RandomNetwork(rng)
    if kind == "image":
        return _first_layer(network)
    size = LAYER_SIZE.get(kind, 24)
    while True:
        height, width = (int(n) for n in rng.integers(1, size + 1, 2))
        channels = int(rng.choice([1, 2, 3, 4, 7, 8, 9, 16, 31, 64, 65]))
        outputs = int(rng.choice([1, 3, 4, 5, 8, 15, 16, 33, 64, 70]))
        sides = [int(n) for n in rng.integers(0, 6, 4)]
        rows, columns = height + sides[0] + sides[1], width + sides[2] + sides[3]
        largest = (
            min(rows, WINDOW_LIMITS["kernel_height"]),
            min(columns, WINDOW_LIMITS["kernel_width"]),
        )
        kernel = tuple(int(rng.integers(1, size + 1)) for size in largest)
        stride = tuple(int(n) for n in rng.integers(1, WINDOW_LIMITS["stride"] + 1, 2))
        taps = kernel[0] * kernel[1] if "convolution" in kind else 1
        work = height * width * channels * outputs * taps // (stride[0] * stride[1])
        if work <= LAYER_MACS:
            break
    network.begin((height, width, channels))
    if kind == "average-pool":
        kernel = (min(kernel[0], height), min(kernel[1], width))
        sides = [min(side, kernel[i // 2] - 1) for i, side in enumerate(sides)]
    window = Window(kernel, stride, Padding(*sides))
    name = LAYERS[kind](network, window, outputs) or network.spatial[-1]
    return network.builder.finish(name)


def _lone_addition(network: RandomNetwork, _window: Window, _outputs: int) -> str:
    channels = network.builder.tensor("input").shape[2]
    half = listed("convolution") and network.rng.random() < 0.5
    operand = network.conv("input", channels, Window((1, 1))) if half else "input"
    return network.add("input", operand)


def _lone_mean(network: RandomNetwork) -> str:
    axes = ((0, 1), (0,), (1,))[int(network.rng.integers(3))]
    return network.mean("input", None if len(axes) == 2 else True, axes)


LAYERS: dict[str, Callable[[RandomNetwork, Window, int], str | None]] = {
    "convolution": lambda net, window, outputs: net.conv("input", outputs, window),
    "depthwise convolution": lambda net, window, _: net.depthwise("input", window),
    "fully connected": lambda net, _, outputs: net.dense("input", outputs),
    "addition": _lone_addition,
    "multiplication": lambda net, _window, _outputs: net.multiply(*net.operands("input")),
    "extremum": lambda net, _window, _outputs: net.extremum(*net.operands("input")),
    "function": lambda net, _window, _outputs: net.function("input"),
    "concatenation": lambda net, _window, _outputs: net.joint("input", 1),
    "slice": lambda net, _window, _outputs: net.slice("input"),
    "nearest resize": lambda net, _window, _outputs: net.resize("input"),
    "interleaving": lambda net, _window, _outputs: net.in_turns("input"),
    "max-pool": lambda net, window, _: net.max_pool("input", window),
    "average-pool": lambda net, window, _: net.average_pool("input", window),
    "mean": lambda net, _window, _outputs: _lone_mean(net),
}
"""How to draw one of a row by itself: over the input, with a window and output channels."""


def _first_layer(network: RandomNetwork) -> Graph:
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
    network.begin((int(rng.integers(4, 25)), width, int(rng.integers(1, 4))))
    window = Window(kernel, stride, Padding(top, bottom, left, right))
    outputs = int(rng.integers(1, 25))
    x = network.conv("input", outputs, window)
    if listed("addition") and rng.random() < 0.5:
        x = network.add(x, network.conv("input", outputs, window))
    return network.builder.finish(x)


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
