"""TFLite models for tests, written directly: one operator after the other, or random ones."""

import dataclasses
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.functions import function_options
from sw.frontends.tflite.writer import TfliteWriter
from sw.numerics import Function
from tests.support.programs import listed

CODE = schema.BuiltinOperator
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6 = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)
CONSTANTS = ("SUB", "MINIMUM", "MAXIMUM")
"""What has a constant, and is a function by that."""
SPREAD = 50.0
"""Root mean square in steps of int8 that the output scales aim at."""


@dataclasses.dataclass(frozen=True)
class Made:
    """A tensor that was written: its index, shape with batch, and quantization."""

    index: int
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class Maker(TfliteWriter):
    """Writes operators and works out the shapes of their outputs.

    Each method takes the tensors that it reads and returns the one that it writes. What is not
    given is drawn.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.rng = rng
        self.source: Made | None = None

    def zero_point(self) -> int:
        return int(self.rng.choice([-128, -128, 127, 0, int(self.rng.integers(-128, 128))]))

    def made(self, shape, scale, zero_point, kind=schema.TensorType.INT8, **fields) -> Made:
        scale = float(np.float32(scale))
        fields.setdefault("quantization", self.quantization([scale], [zero_point]))
        index = self.tensor(f"tensor{len(self.tensors)}", shape, kind, **fields)
        return Made(index, tuple(shape), scale, zero_point)

    def input(self, shape, edge: str = "int8") -> Made:
        """An int8 input, or a float32 or uint8 one with the QUANTIZE behind it."""
        x = self.made(shape, self.rng.uniform(0.005, 2), self.zero_point())
        self.source = x
        if edge == "float32":
            index = self.tensor("real", shape, schema.TensorType.FLOAT32)
            self.source = dataclasses.replace(x, index=index)
        elif edge == "uint8":
            self.source = self.made(shape, x.scale, x.zero_point + 128, schema.TensorType.UINT8)
        if edge != "int8":
            self.operator(CODE.QUANTIZE, [self.source.index], x.index, schema.QuantizeOptionsT())
        return x

    def weights(self, x: Made, shape, channels: int, fan_in: int, dimension: int):
        """Weights and bias of a random kind, and a fitting scale of the output."""
        rng = self.rng
        values = rng.integers(-127, 128, shape).astype(np.int8)
        scales = np.full(channels, rng.uniform(0.001, 0.01), np.float32)
        if rng.random() < 0.3:  # neighbours in float32
            scales = (scales.view(np.int32) + rng.integers(-2, 3, channels, np.int32)).view("f4")
        elif rng.random() < 0.6:
            scales = (scales * rng.uniform(0.3, 1.5, channels)).astype(np.float32)
        else:
            scales = scales[:1]
        scale = x.scale * float(scales.mean()) * 73 * SPREAD * math.sqrt(fan_in) / SPREAD
        bias = rng.integers(-2000, 2000, channels).astype(np.int32)
        return (
            self.constant(
                f"weights{len(self.tensors)}",
                values,
                quantization=self.quantization(scales, np.zeros(len(scales)), dimension),
            ),
            self.constant(
                f"bias{len(self.tensors)}",
                bias,
                quantization=self.quantization(np.float32(x.scale) * scales, np.zeros(len(scales))),
            ),
            scale * float(rng.uniform(0.5, 2)),
        )

    def windows(self, x: Made, kernel, stride, mode, channels):
        sizes = [
            -(-n // s) if mode == SAME else (n - k) // s + 1
            for n, k, s in zip(x.shape[1:3], kernel, stride, strict=True)
        ]
        return (1, *sizes, channels)

    def conv(self, x: Made, channels, kernel, stride=(1, 1), mode=SAME, act=NONE) -> Made:
        weights, bias, scale = self.weights(
            x, (channels, *kernel, x.shape[3]), channels, math.prod(kernel) * x.shape[3], 0
        )
        y = self.made(self.windows(x, kernel, stride, mode, channels), scale, self.zero_point())
        self.operator(
            CODE.CONV_2D,
            [x.index, weights, bias],
            y.index,
            schema.Conv2DOptionsT(
                padding=mode, strideH=stride[0], strideW=stride[1], fusedActivationFunction=act
            ),
        )
        return y

    def depthwise(self, x: Made, times, kernel, stride=(1, 1), mode=SAME, act=NONE) -> Made:
        channels = x.shape[3] * times
        weights, bias, scale = self.weights(
            x, (1, *kernel, channels), channels, math.prod(kernel), 3
        )
        y = self.made(self.windows(x, kernel, stride, mode, channels), scale, self.zero_point())
        self.operator(
            CODE.DEPTHWISE_CONV_2D,
            [x.index, weights, bias],
            y.index,
            schema.DepthwiseConv2DOptionsT(
                padding=mode,
                strideH=stride[0],
                strideW=stride[1],
                depthMultiplier=times,
                fusedActivationFunction=act,
            ),
        )
        return y

    def fully_connected(self, x: Made, channels: int, act=NONE, bias: bool = True) -> Made:
        inputs = math.prod(x.shape)
        weights, biases, scale = self.weights(x, (channels, inputs), channels, inputs, 0)
        y = self.made((1, channels), scale, self.zero_point())
        self.operator(
            CODE.FULLY_CONNECTED,
            [x.index, weights, *([biases] if bias else [])],
            y.index,
            schema.FullyConnectedOptionsT(fusedActivationFunction=act),
        )
        return y

    def add(self, a: Made, b: Made, act=NONE) -> Made:
        scale = math.hypot(a.scale, b.scale) * float(self.rng.uniform(0.7, 2))
        y = self.made(a.shape, scale, self.zero_point())
        self.operator(
            CODE.ADD, [a.index, b.index], y.index, schema.AddOptionsT(fusedActivationFunction=act)
        )
        return y

    def multiply(self, a: Made, b: Made, act=NONE) -> Made:
        scale = a.scale * b.scale * float(self.rng.uniform(20, 100))
        y = self.made(a.shape, scale, self.zero_point())
        self.operator(
            CODE.MUL, [a.index, b.index], y.index, schema.MulOptionsT(fusedActivationFunction=act)
        )
        return y

    def function(self, x: Made, kind: str) -> Made:
        fixed = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}
        same = x.scale * float(self.rng.uniform(0.5, 2)), self.zero_point()
        y = self.made(x.shape, *fixed.get(kind, same))
        alpha = float(self.rng.uniform(0.05, 0.9))
        self.operator(
            getattr(CODE, kind.upper()), [x.index], y.index, function_options(kind, alpha)
        )
        return y

    def concatenate(self, parts, axis: int = -1, act=NONE) -> Made:
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        y = self.made(shape, parts[0].scale, parts[0].zero_point)
        self.operator(
            CODE.CONCATENATION,
            [part.index for part in parts],
            y.index,
            schema.ConcatenationOptionsT(axis=axis, fusedActivationFunction=act),
        )
        return y

    def slice(self, x: Made, begin: int, count: int, strided: bool) -> Made:
        """Channels; with ``strided`` by STRIDED_SLICE, else by SLICE."""
        y = self.made((*x.shape[:-1], count), x.scale, x.zero_point)
        rest = [0] * (len(x.shape) - 1)
        if strided:
            bounds = [[*rest, begin], [*rest, begin + count], [1] * len(x.shape)]
            mask = (1 << len(rest)) - 1
            code = CODE.STRIDED_SLICE
            options = schema.StridedSliceOptionsT(beginMask=mask, endMask=mask)
        else:
            bounds = [[*rest, begin], [*x.shape[:-1], count]]
            code, options = CODE.SLICE, schema.SliceOptionsT()
        given = [
            self.constant(f"bounds{len(self.tensors)}_{place}", np.array(each, np.int32))
            for place, each in enumerate(bounds)
        ]
        self.operator(code, [x.index, *given], y.index, options)
        return y

    def resize_nearest(self, x: Made, factor, half: bool = False) -> Made:
        size = [n * f for n, f in zip(x.shape[1:3], factor, strict=True)]
        y = self.made((1, *size, x.shape[3]), x.scale, x.zero_point)
        given = self.constant(f"size{len(self.tensors)}", np.array(size, np.int32))
        options = schema.ResizeNearestNeighborOptionsT(halfPixelCenters=half)
        self.operator(CODE.RESIZE_NEAREST_NEIGHBOR, [x.index, given], y.index, options)
        return y

    def with_number(self, x: Made, code: str, *, first: bool = False, act=NONE) -> Made:
        """ADD, SUB, MUL, MINIMUM or MAXIMUM of a map and one number."""
        rng = self.rng
        scale = x.scale * float(rng.uniform(0.3, 2))
        other = self.number((), scale)
        extreme = code in ("MINIMUM", "MAXIMUM")  # of one scale and zero point, as converters do
        product = x.scale * scale * 60 if code == "MUL" else x.scale * float(rng.uniform(0.7, 2))
        y = self.made(x.shape, x.scale if extreme else product, self.zero_point())
        if extreme:
            y = self.like(y, x)
            other = self.number((), x.scale, x.zero_point)
        options = function_options(code.lower(), 0.0)
        if not extreme:
            options.fusedActivationFunction = act
        reads = [other, x.index] if first else [x.index, other]
        self.operator(getattr(CODE, code), reads, y.index, options)
        return y

    def number(self, shape, scale: float, zero_point: int | None = None) -> int:
        """Index of a constant."""
        zero_point = self.zero_point() if zero_point is None else zero_point
        values = self.rng.integers(-128, 128, shape or (1,)).reshape(shape).astype(np.int8)
        quantized = self.quantization([scale], [zero_point])
        return self.constant(f"number{len(self.tensors)}", values, quantization=quantized)

    def like(self, y: Made, x: Made) -> Made:
        """``y`` with the quantization of ``x``."""
        self.tensors[y.index].quantization = self.quantization([x.scale], [x.zero_point])
        return dataclasses.replace(y, scale=x.scale, zero_point=x.zero_point)

    def times_numbers(self, x: Made) -> Made:
        """MUL by a number for each channel."""
        scale = x.scale * float(self.rng.uniform(0.3, 2))
        other = self.number((1, 1, x.shape[3]), scale, 0)
        y = self.made(x.shape, x.scale * scale * 60, self.zero_point())
        self.operator(CODE.MUL, [x.index, other], y.index, schema.MulOptionsT())
        return y

    def pool(self, x: Made, code, kernel, stride, mode=VALID, act=NONE) -> Made:
        shape = self.windows(x, kernel, stride, mode, x.shape[3])
        y = self.made(shape, x.scale, x.zero_point)
        self.operator(
            code,
            [x.index],
            y.index,
            schema.Pool2DOptionsT(
                padding=mode,
                strideH=stride[0],
                strideW=stride[1],
                filterHeight=kernel[0],
                filterWidth=kernel[1],
                fusedActivationFunction=act,
            ),
        )
        return y

    def mean(self, x: Made, keep: bool) -> Made:
        axes = self.constant(f"axes{len(self.tensors)}", np.array([1, 2], np.int32))
        shape = (1, 1, 1, x.shape[3]) if keep else (1, x.shape[3])
        y = self.made(shape, x.scale * self.rng.uniform(0.2, 1), self.zero_point())
        self.operator(CODE.MEAN, [x.index, axes], y.index, schema.ReducerOptionsT(keepDims=keep))
        return y

    def pad(self, x: Made, amounts) -> Made:
        amounts = np.array(amounts, np.int32)
        paddings = self.constant(f"paddings{len(self.tensors)}", amounts)
        shape = tuple(int(n) for n in np.array(x.shape) + amounts.sum(axis=1))
        y = self.made(shape, x.scale, x.zero_point)
        self.operator(CODE.PAD, [x.index, paddings], y.index, schema.PadOptionsT())
        return y

    def reshape(self, x: Made, shape) -> Made:
        target = self.constant(f"shape{len(self.tensors)}", np.array(shape, np.int32))
        y = self.made(shape, x.scale, x.zero_point)
        self.operator(CODE.RESHAPE, [x.index, target], y.index, schema.ReshapeOptionsT())
        return y

    def flatten(self, x: Made, computed: bool) -> Made:
        """One row; its shape may be computed, as converters write it."""
        size = math.prod(x.shape)
        if not computed:
            return self.reshape(x, (1, size))

        def integers(*shape: int) -> int:
            return self.tensor(f"shape{len(self.tensors)}", shape, schema.TensorType.INT32)

        def fixed(*values: int) -> int:
            return self.constant(f"fixed{len(self.tensors)}", np.array(values, np.int32))

        shape, batch, target = integers(len(x.shape)), integers(), integers(2)
        self.operator(
            CODE.SHAPE, [x.index], shape, schema.ShapeOptionsT(outType=schema.TensorType.INT32)
        )
        slicing = schema.StridedSliceOptionsT(shrinkAxisMask=1)
        self.operator(CODE.STRIDED_SLICE, [shape, fixed(0), fixed(1), fixed(1)], batch, slicing)
        row = self.constant(f"fixed{len(self.tensors)}", np.array(size, np.int32))
        self.operator(CODE.PACK, [batch, row], target, schema.PackOptionsT(valuesCount=2))
        y = self.made((1, size), x.scale, x.zero_point)
        self.operator(CODE.RESHAPE, [x.index, target], y.index, schema.ReshapeOptionsT())
        return y

    def transpose(self, x: Made, order) -> Made:
        axes = self.constant(f"order{len(self.tensors)}", np.array(order, np.int32))
        y = self.made([x.shape[axis] for axis in order], x.scale, x.zero_point)
        self.operator(CODE.TRANSPOSE, [x.index, axes], y.index, schema.TransposeOptionsT())
        return y

    def softmax(self, x: Made) -> Made:
        y = self.made(x.shape, 1 / 256, -128)
        self.operator(CODE.SOFTMAX, [x.index], y.index, schema.SoftmaxOptionsT(beta=1.0))
        return y

    def log_softmax(self, x: Made) -> Made:
        y = self.made(x.shape, 16 / 256, 127)
        self.operator(CODE.LOG_SOFTMAX, [x.index], y.index, schema.LogSoftmaxOptionsT())
        return y

    def arg_max(self, x: Made) -> Made:
        axis = self.constant(f"axis{len(self.tensors)}", np.array(len(x.shape) - 1, np.int32))
        index = self.tensor("class", x.shape[:-1], schema.TensorType.INT32)
        options = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
        self.operator(CODE.ARG_MAX, [x.index, axis], index, options)
        return Made(index, x.shape[:-1], 1, 0)

    def dequantize(self, x: Made) -> Made:
        index = self.tensor("result", x.shape, schema.TensorType.FLOAT32)
        self.operator(CODE.DEQUANTIZE, [x.index], index, schema.DequantizeOptionsT())
        return dataclasses.replace(x, index=index)

    def finish(self, y: Made) -> bytes:
        assert self.source is not None
        return self.file([self.source.index], [y.index])


def random_model(rng: np.random.Generator) -> bytes:
    """A network of 2 to 8 random operators: shapes, windows, scales and bounds as they come."""
    net = Maker(rng)
    shape = (1, int(rng.integers(3, 20)), int(rng.integers(3, 20)), int(rng.integers(1, 14)))
    edges = ["int8", "int8", "float32", "uint8"] if listed("quantization") else ["int8"]
    x = net.input(shape, str(rng.choice(edges)))
    seen = [x]
    for number in range(int(rng.integers(1, 7))):
        names = [name for name in DRAWS if listed(name) and (number or name != "view")]
        x = DRAWS[str(rng.choice(names))](Draw(net, x, seen))
        seen.append(x)
    act = random_activation(rng)
    ending = rng.integers(4)
    if ending == 0 and listed("mean"):
        x = net.mean(x, keep=bool(rng.integers(2)))
    elif ending == 1 and listed("average-pool"):
        x = net.pool(x, CODE.AVERAGE_POOL_2D, x.shape[1:3], (1, 1), VALID, act)
    if ending < 3 and math.prod(x.shape) < 4000 and listed("fully connected"):
        if listed("view") and rng.integers(2):
            computed = listed("shape arithmetic") and listed("slice")
            x = net.flatten(x, computed and bool(rng.integers(2)))
        x = net.fully_connected(x, int(rng.integers(1, 30)), act, bool(rng.integers(2)))
        if listed("softmax") and rng.integers(2):
            tails = (net.softmax, net.log_softmax, net.arg_max)
            x = tails[int(rng.integers(len(tails)))](x)
    elif listed("view") and len(x.shape) == 4 and rng.integers(2):
        x = net.transpose(x, rng.permutation(4))
    integer = net.tensors[x.index].type == schema.TensorType.INT32
    dequantized = listed("quantization") and rng.integers(3) == 0 and not integer
    return net.finish(net.dequantize(x) if dequantized else x)


def random_activation(rng: np.random.Generator) -> int:
    """None in half of the cases."""
    return int(rng.choice([NONE, NONE, RELU, RELU6] if listed("activation") else [NONE]))


class Draw:
    """What a random operator is made of: ``x`` to read, what else there is, a window that fits.

    Attributes:
        net: the model so far.
        x: what the operator reads.
        seen: every tensor so far, ``x`` last.
    """

    def __init__(self, net: Maker, x: Made, seen: list[Made]) -> None:
        rng = net.rng
        self.net, self.x, self.seen = net, x, seen
        self.act = random_activation(rng)
        self.mode = int(rng.choice([SAME, VALID]))
        self.kernel = self.fitting(rng.integers(1, 8, 2))
        self.stride = tuple(int(s) for s in (rng.integers(1, 3, 2)))
        if rng.integers(2):
            self.kernel = (self.kernel[0], min(self.kernel[0], x.shape[2]))
            self.stride = (self.stride[0], self.stride[0])
        self.channels = int(rng.integers(1, 21))

    def fitting(self, kernel) -> tuple[int, int]:
        """A kernel no larger than the map."""
        height, width = (int(min(k, n)) for k, n in zip(kernel, self.x.shape[1:3], strict=True))
        return height, width

    def convolution(self) -> Made:
        return self.net.conv(self.x, self.channels, self.kernel, self.stride, self.mode, self.act)

    def depthwise(self) -> Made:
        times = int(self.net.rng.integers(1, 3)) if self.x.shape[3] < 12 else 1
        return self.net.depthwise(self.x, times, self.kernel, self.stride, self.mode, self.act)

    def addition(self) -> Made:
        x, rng = self.x, self.net.rng
        same = [other for other in self.seen[:-1] if other.shape == x.shape]
        if same:
            return self.net.add(x, same[int(rng.integers(len(same)))], self.act)
        if not listed("convolution"):
            return self.net.add(x, x, self.act)
        return self.net.add(x, self.net.conv(x, x.shape[3], (1, 1), act=self.act), self.act)

    def function(self) -> Made:
        if self.net.rng.integers(3) == 0:
            code = str(self.net.rng.choice(CONSTANTS))
            first = bool(self.net.rng.integers(2))
            return self.net.with_number(self.x, code, first=first, act=self.act)
        kinds = get_args(Function)
        return self.net.function(self.x, str(self.net.rng.choice(kinds)))

    def multiplication(self) -> Made:
        """A value times a function of it."""
        if self.net.rng.integers(3) == 0:
            return self.net.times_numbers(self.x)
        other = self.function() if listed("function") else self.x
        operands = [self.x, other][:: 1 if self.net.rng.integers(2) else -1]
        return self.net.multiply(*operands, self.act)

    def concatenation(self) -> Made:
        """Of what there is twice; of it and a maximum of single values, which have its scale."""
        parts = [self.x, self.x]
        if listed("max-pool") and self.net.rng.integers(2):
            parts[1] = self.net.pool(self.x, CODE.MAX_POOL_2D, (1, 1), (1, 1))
        return self.net.concatenate(parts)

    def slice(self) -> Made:
        channels = self.x.shape[3]
        begin = int(self.net.rng.integers(channels))
        count = int(self.net.rng.integers(1, channels - begin + 1))
        return self.net.slice(self.x, begin, count, bool(self.net.rng.integers(2)))

    def resize(self) -> Made:
        factor = [int(n) for n in self.net.rng.integers(1, 3, 2)]
        return self.net.resize_nearest(self.x, factor, bool(self.net.rng.integers(2)))

    def pool(self, code: int) -> Made:
        return self.net.pool(self.x, code, self.kernel, self.stride, self.mode, self.act)

    def padding(self) -> Made:
        """PAD, and behind it what may take it in, or what may not."""
        amounts = self.net.rng.integers(0, 3, (4, 2))
        amounts[0] = 0
        amounts[3] *= int(self.net.rng.integers(3) == 0)
        self.x = self.net.pad(self.x, amounts)
        if listed("max-pool") and self.net.rng.integers(2):
            kernel = self.fitting([max(k, 3) for k in self.kernel])  # more than padding
            return self.net.pool(self.x, CODE.MAX_POOL_2D, kernel, self.stride, self.mode)
        return self.convolution() if listed("convolution") else self.x

    def view(self) -> Made:
        """A view that changes nothing, or one that is undone."""
        if self.net.rng.integers(2):
            return self.net.reshape(self.x, self.x.shape)
        order = self.net.rng.permutation(4)
        return self.net.transpose(self.net.transpose(self.x, order), np.argsort(order))


DRAWS: dict[str, Callable[[Draw], Made]] = {
    "convolution": Draw.convolution,
    "depthwise convolution": Draw.depthwise,
    "addition": Draw.addition,
    "multiplication": Draw.multiplication,
    "function": Draw.function,
    "concatenation": Draw.concatenation,
    "slice": Draw.slice,
    "nearest resize": Draw.resize,
    "max-pool": lambda draw: draw.pool(CODE.MAX_POOL_2D),
    "average-pool": lambda draw: draw.pool(CODE.AVERAGE_POOL_2D),
    "padding": Draw.padding,
    "view": Draw.view,
}
"""How to draw an operator of a row of the table anywhere in a model."""

ENDS = ("fully connected", "mean", "activation", "quantization", "softmax", "shape arithmetic")
"""Rows that :func:`random_model` draws at the edges of a model, or within other operators."""


def _example(*operators: Callable[[Maker, Made], Made], edge: str = "int8") -> bytes:
    """Operators behind a convolution of a map of 6 x 7 pixels and 4 channels."""
    net = Maker(np.random.default_rng(5))
    x = net.conv(net.input((1, 6, 7, 3), edge), 4, (1, 1))
    for operator in operators:
        x = operator(net, x)
    return net.finish(x)


EXAMPLES: dict[str, Callable[[], bytes]] = {
    "convolution": lambda: _example(lambda net, x: net.conv(x, 5, (3, 2), (2, 1))),
    "depthwise convolution": lambda: _example(lambda net, x: net.depthwise(x, 2, (3, 3))),
    "fully connected": lambda: _example(lambda net, x: net.fully_connected(x, 5)),
    "addition": lambda: _example(lambda net, x: net.add(x, x)),
    "multiplication": lambda: _example(lambda net, x: net.multiply(x, net.function(x, "logistic"))),
    "function": lambda: _example(lambda net, x: net.function(x, "leaky_relu")),
    "concatenation": lambda: _example(lambda net, x: net.concatenate([x, x])),
    "slice": lambda: _example(lambda net, x: net.slice(x, 1, 2, False)),
    "nearest resize": lambda: _example(lambda net, x: net.resize_nearest(x, (2, 3))),
    "max-pool": lambda: _example(
        lambda net, x: net.pool(x, CODE.MAX_POOL_2D, (2, 3), (1, 2), SAME)
    ),
    "average-pool": lambda: _example(
        lambda net, x: net.pool(x, CODE.AVERAGE_POOL_2D, (2, 3), (1, 2), SAME)
    ),
    "mean": lambda: _example(lambda net, x: net.mean(x, keep=False)),
    "padding": lambda: _example(lambda net, x: net.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]])),
    "activation": lambda: _example(lambda net, x: net.conv(x, 4, (1, 1), act=RELU6)),
    "view": lambda: _example(lambda net, x: net.fully_connected(net.reshape(x, (1, 168)), 5)),
    "quantization": lambda: _example(lambda net, x: net.dequantize(x), edge="uint8"),
    "softmax": lambda: _example(lambda net, x: net.softmax(net.fully_connected(x, 5))),
    "shape arithmetic": lambda: _example(
        lambda net, x: net.fully_connected(net.flatten(x, True), 5)
    ),
}
"""A model with an operator of each row of the table."""
