"""TFLite models for tests, written directly: one operator after the other, or random ones."""

import dataclasses
import math

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sim.functional.tflite_writer import TfliteWriter

CODE = schema.BuiltinOperator
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6 = (
    schema.ActivationFunctionType.NONE,
    schema.ActivationFunctionType.RELU,
    schema.ActivationFunctionType.RELU6,
)
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

    def softmax(self, x: Made) -> Made:
        y = self.made(x.shape, 1 / 256, -128)
        self.operator(CODE.SOFTMAX, [x.index], y.index, schema.SoftmaxOptionsT(beta=1.0))
        return y

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
    x = net.input(shape, str(rng.choice(["int8", "int8", "float32", "uint8"])))
    seen = [x]
    for _ in range(int(rng.integers(1, 7))):
        x = _random_operator(net, x, seen)
        seen.append(x)
    act = int(rng.choice([NONE, RELU, RELU6]))
    ending = rng.integers(4)
    if ending == 0:
        x = net.mean(x, keep=bool(rng.integers(2)))
    elif ending == 1:
        x = net.pool(x, CODE.AVERAGE_POOL_2D, x.shape[1:3], (1, 1), VALID, act)
    if ending < 3 and math.prod(x.shape) < 4000:
        if rng.integers(2):
            x = net.reshape(x, (1, math.prod(x.shape)))
        x = net.fully_connected(x, int(rng.integers(1, 30)), act, bool(rng.integers(2)))
        x = net.softmax(x) if rng.integers(2) else x
    return net.finish(net.dequantize(x) if rng.integers(3) == 0 else x)


def _random_operator(net: Maker, x: Made, seen: list[Made]) -> Made:
    rng = net.rng
    act = int(rng.choice([NONE, NONE, RELU, RELU6]))
    mode = int(rng.choice([SAME, VALID]))
    kernel = tuple(int(min(k, n)) for k, n in zip(rng.integers(1, 8, 2), x.shape[1:3], strict=True))
    stride = tuple(int(s) for s in (rng.integers(1, 3, 2)))
    if rng.integers(2):
        kernel, stride = (kernel[0], min(kernel[0], x.shape[2])), (stride[0], stride[0])
    channels = int(rng.integers(1, 21))
    same = [other for other in seen[:-1] if other.shape == x.shape]
    kind = rng.choice(["conv", "depthwise", "add", "max", "average", "pad"])
    if kind == "add" and same:
        return net.add(x, same[int(rng.integers(len(same)))], act)
    if kind == "add":
        return net.add(x, net.conv(x, x.shape[3], (1, 1), act=act), act)
    if kind == "depthwise":
        times = int(rng.integers(1, 3)) if x.shape[3] < 12 else 1
        return net.depthwise(x, times, kernel, stride, mode, act)
    if kind in ("max", "average"):
        code = CODE.MAX_POOL_2D if kind == "max" else CODE.AVERAGE_POOL_2D
        return net.pool(x, code, kernel, stride, mode, act)
    if kind == "pad":
        amounts = rng.integers(0, 3, (4, 2))
        amounts[[0, 3]] = 0
        x = net.pad(x, amounts)
        if rng.integers(2):
            kernel = tuple(max(k, 3) for k in kernel)  # a window has more than padding
            kernel = tuple(int(min(k, n)) for k, n in zip(kernel, x.shape[1:3], strict=True))
            return net.pool(x, CODE.MAX_POOL_2D, kernel, stride, mode)
    return net.conv(x, channels, kernel, stride, mode, act)
