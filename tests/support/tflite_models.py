"""TFLite models for tests, written directly: one operator after the other, or random ones."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.writer import TfliteWriter
from sw.frontends.tflite.functions.tables import function_options

CODE = schema.BuiltinOperator
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6 = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)
CONSTANTS = {
    **dict.fromkeys(("ADD", "SUB"), "addition"),
    "MUL": "multiplication",
    **dict.fromkeys(("MINIMUM", "MAXIMUM"), "extremum"),
}
"""What is a function with a constant, and its row."""
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

    def conv(
        self,
        x: Made,
        channels,
        kernel,
        stride=(1, 1),
        mode=SAME,
        act=NONE,
        dilation=(1, 1),
        groups=1,
    ) -> Made:
        each = x.shape[3] // groups
        weights, bias, scale = self.weights(
            x, (channels, *kernel, each), channels, math.prod(kernel) * each, 0
        )
        spread = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        y = self.made(self.windows(x, spread, stride, mode, channels), scale, self.zero_point())
        self.operator(
            CODE.CONV_2D,
            [x.index, weights, bias],
            y.index,
            schema.Conv2DOptionsT(
                padding=mode,
                strideH=stride[0],
                strideW=stride[1],
                dilationHFactor=dilation[0],
                dilationWFactor=dilation[1],
                fusedActivationFunction=act,
            ),
        )
        return y

    def transposed(
        self, x: Made, channels, kernel, stride=(2, 2), mode=SAME, act=NONE, more=(0, 0)
    ) -> Made:
        """TRANSPOSE_CONV; of a result that is ``more`` rows and columns longer or shorter."""
        weights, bias, scale = self.weights(
            x, (channels, *kernel, x.shape[3]), channels, math.prod(kernel) * x.shape[3], 0
        )
        sizes = [
            (size * step if mode == SAME else (size - 1) * step + extent) + grown
            for size, extent, step, grown in zip(x.shape[1:3], kernel, stride, more, strict=True)
        ]
        shape = (1, *sizes, channels)
        size = self.constant(f"size{len(self.tensors)}", np.array(shape, np.int32))
        y = self.made(shape, scale, self.zero_point())
        self.operator(
            CODE.TRANSPOSE_CONV,
            [size, weights, x.index, bias],
            y.index,
            schema.TransposeConvOptionsT(
                padding=mode,
                strideH=stride[0],
                strideW=stride[1],
                fusedActivationFunction=act,
            ),
        )
        return y

    def depth_to_space(self, x: Made, block: int) -> Made:
        _, height, width, channels = x.shape
        shape = (1, height * block, width * block, channels // block**2)
        y = self.made(shape, x.scale, x.zero_point)
        options = schema.DepthToSpaceOptionsT(blockSize=block)
        self.operator(CODE.DEPTH_TO_SPACE, [x.index], y.index, options)
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

    def add(self, a: Made, b: Made, act=NONE, *, subtract: bool = False) -> Made:
        scale = math.hypot(a.scale, b.scale) * float(self.rng.uniform(0.7, 2))
        y = self.made(max(a.shape, b.shape, key=math.prod), scale, self.zero_point())
        options = schema.SubOptionsT() if subtract else schema.AddOptionsT()
        options.fusedActivationFunction = act
        code = CODE.SUB if subtract else CODE.ADD
        self.operator(code, [a.index, b.index], y.index, options)
        return y

    def extremum(self, a: Made, b: Made, *, largest: bool) -> Made:
        """Of two maps of one scale, as converters write it, whatever they are."""
        y = self.made(max(a.shape, b.shape, key=math.prod), a.scale, a.zero_point)
        code = CODE.MAXIMUM if largest else CODE.MINIMUM
        self.operator(code, [a.index, b.index], y.index, schema.MaximumMinimumOptionsT())
        return y

    def numbers(self, x: Made) -> Made:
        """A number for each channel."""
        scale, zero_point = x.scale * float(self.rng.uniform(0.3, 2)), self.zero_point()
        shape = (1, 1, 1, x.shape[3])
        return Made(self.number(shape, scale, zero_point), shape, scale, zero_point)

    def prelu(self, x: Made, steep: bool = False) -> Made:
        """PRELU; slopes to 1, or ``steep`` to 2 and below 0."""
        channels = x.shape[3]
        slopes = self.rng.integers(-127 if steep else 0, 128, (1, 1, channels)).astype(np.int8)
        scale = (2 if steep else 1) / 127
        given = self.constant(
            f"slopes{len(self.tensors)}", slopes, quantization=self.quantization([scale], [0])
        )
        y = self.made(x.shape, x.scale * float(self.rng.uniform(0.5, 2)), self.zero_point())
        self.operator(CODE.PRELU, [x.index, given], y.index, None)
        return y

    def multiply(self, a: Made, b: Made, act=NONE) -> Made:
        scale = a.scale * b.scale * float(self.rng.uniform(20, 100))
        y = self.made(max(a.shape, b.shape, key=math.prod), scale, self.zero_point())
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
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        y = self.made(shape, parts[0].scale, parts[0].zero_point)
        self.operator(
            CODE.CONCATENATION,
            [part.index for part in parts],
            y.index,
            schema.ConcatenationOptionsT(axis=axis, fusedActivationFunction=act),
        )
        return y

    def slice(self, x: Made, begin: int, count: int, strided: bool, axis: int = 3) -> Made:
        """Channels, or rows or columns; with ``strided`` by STRIDED_SLICE, else by SLICE."""
        shape, first, last = list(x.shape), [0] * len(x.shape), [0] * len(x.shape)
        shape[axis], first[axis], last[axis] = count, begin, begin + count
        y = self.made(shape, x.scale, x.zero_point)
        if strided:
            bounds = [first, last, [1] * len(x.shape)]
            mask = ((1 << len(x.shape)) - 1) ^ (1 << axis)
            code = CODE.STRIDED_SLICE
            options = schema.StridedSliceOptionsT(beginMask=mask, endMask=mask)
        else:
            bounds = [first, shape]
            code, options = CODE.SLICE, schema.SliceOptionsT()
        given = [
            self.constant(f"bounds{len(self.tensors)}_{place}", np.array(each, np.int32))
            for place, each in enumerate(bounds)
        ]
        self.operator(code, [x.index, *given], y.index, options)
        return y

    def split(self, x: Made, axis: int, count: int) -> list[Made]:
        """SPLIT into equal parts."""
        shape = list(x.shape)
        shape[axis] //= count
        given = self.constant(f"axis{len(self.tensors)}", np.array(axis, np.int32))
        parts = [self.made(shape, x.scale, x.zero_point) for _ in range(count)]
        options = schema.SplitOptionsT(numSplits=count)
        self.operator(CODE.SPLIT, [given, x.index], parts[0].index, options)
        self.operators[-1].outputs = np.array([part.index for part in parts], np.int32)
        return parts

    def resize_nearest(self, x: Made, factor, half: bool = False) -> Made:
        size = [n * f for n, f in zip(x.shape[1:3], factor, strict=True)]
        y = self.made((1, *size, x.shape[3]), x.scale, x.zero_point)
        given = self.constant(f"size{len(self.tensors)}", np.array(size, np.int32))
        options = schema.ResizeNearestNeighborOptionsT(halfPixelCenters=half)
        self.operator(CODE.RESIZE_NEAREST_NEIGHBOR, [x.index, given], y.index, options)
        return y

    def resize_bilinear(self, x: Made, factor, way: str) -> Made:
        """Way: ``plain``, ``aligned`` or ``half``."""
        size = [n * f for n, f in zip(x.shape[1:3], factor, strict=True)]
        if way == "aligned":
            size = [(n - 1) * f + 1 for n, f in zip(x.shape[1:3], factor, strict=True)]
        y = self.made((1, *size, x.shape[3]), x.scale, x.zero_point)
        given = self.constant(f"size{len(self.tensors)}", np.array(size, np.int32))
        options = schema.ResizeBilinearOptionsT(
            alignCorners=way == "aligned", halfPixelCenters=way == "half"
        )
        self.operator(CODE.RESIZE_BILINEAR, [x.index, given], y.index, options)
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

    def mean(self, x: Made, keep: bool, over: tuple[int, ...] = (1, 2)) -> Made:
        axes = self.constant(f"axes{len(self.tensors)}", np.array(over, np.int32))
        shape = [1 if axis in over else size for axis, size in enumerate(x.shape)]
        if not keep:
            shape = [size for axis, size in enumerate(shape) if axis not in over]
        y = self.made(shape, x.scale * self.rng.uniform(0.2, 1), self.zero_point())
        self.operator(CODE.MEAN, [x.index, axes], y.index, schema.ReducerOptionsT(keepDims=keep))
        return y

    def pad(self, x: Made, amounts, value: int | None = None) -> Made:
        """PAD, or with a value PADV2."""
        amounts = np.array(amounts, np.int32)
        paddings = self.constant(f"paddings{len(self.tensors)}", amounts)
        shape = tuple(int(n) for n in np.array(x.shape) + amounts.sum(axis=1))
        y = self.made(shape, x.scale, x.zero_point)
        if value is None:
            self.operator(CODE.PAD, [x.index, paddings], y.index, schema.PadOptionsT())
            return y
        filler = self.constant(
            f"filler{len(self.tensors)}",
            np.array(value, np.int8),
            quantization=self.quantization([x.scale], [x.zero_point]),
        )
        self.operator(CODE.PADV2, [x.index, paddings, filler], y.index, schema.PadV2OptionsT())
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
    "grouped convolution": lambda: _example(lambda net, x: net.conv(x, 6, (3, 2), groups=2)),
    "transposed convolution": lambda: _example(lambda net, x: net.transposed(x, 5, (3, 2))),
    "fully connected": lambda: _example(lambda net, x: net.fully_connected(x, 5)),
    "addition": lambda: _example(lambda net, x: net.add(x, x)),
    "multiplication": lambda: _example(lambda net, x: net.multiply(x, net.function(x, "logistic"))),
    "extremum": lambda: _example(lambda net, x: net.extremum(x, x, largest=True)),
    "parametric ReLU": lambda: _example(lambda net, x: net.prelu(x)),
    "bilinear resize": lambda: _example(lambda net, x: net.resize_bilinear(x, (2, 2), "half")),
    "function": lambda: _example(lambda net, x: net.function(x, "leaky_relu")),
    "concatenation": lambda: _example(lambda net, x: net.concatenate([x, x])),
    "slice": lambda: _example(lambda net, x: net.slice(x, 1, 2, False)),
    "nearest resize": lambda: _example(lambda net, x: net.resize_nearest(x, (2, 3))),
    "interleaving": lambda: _example(lambda net, x: net.depth_to_space(x, 2)),
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
