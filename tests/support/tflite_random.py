"""Random TFLite models: operators of every row of the table, one behind the other."""

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.numerics import Function
from tests.support.programs import listed
from tests.support.tflite_models import (
    CODE,
    CONSTANTS,
    NONE,
    RELU,
    RELU6,
    SAME,
    VALID,
    Made,
    Maker,
)


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


MOST_PIXELS = 200
"""Of a map that an operator makes larger."""


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
        if self.net.rng.integers(5) == 0:
            kernel = self.fitting((2, 2))
            dilation = [
                int(min(n, 3)) if k == 2 else 1
                for n, k in zip(np.subtract(self.x.shape[1:3], 1), kernel, strict=True)
            ]
            return self.net.conv(
                self.x, self.channels, kernel, (1, 1), self.mode, self.act, dilation
            )
        return self.net.conv(self.x, self.channels, self.kernel, self.stride, self.mode, self.act)

    def grouped(self) -> Made:
        """Of what has no groups a depthwise convolution."""
        channels = self.x.shape[3]
        groups = [n for n in range(2, channels) if channels % n == 0]
        if not groups:
            return self.depthwise() if listed("depthwise convolution") else self.x
        count = int(self.net.rng.choice(groups))
        outputs = count * int(self.net.rng.integers(1, 4))
        return self.net.conv(
            self.x, outputs, self.kernel, self.stride, self.mode, self.act, groups=count
        )

    def transposed(self) -> Made:
        """Of what is not too large yet."""
        rng = self.net.rng
        if math.prod(self.x.shape[1:3]) > MOST_PIXELS:
            return self.convolution() if listed("convolution") else self.x
        kernel, stride = (tuple(int(n) for n in rng.integers(1, 4, 2)) for _ in range(2))
        if self.mode == SAME:
            kernel = tuple(max(pair) for pair in zip(kernel, stride, strict=True))
            more = [-int(rng.integers(0, step)) for step in stride]
        else:
            more = [int(rng.integers(0, step)) for step in stride]
        return self.net.transposed(self.x, self.channels, kernel, stride, self.mode, self.act, more)

    def interleaving(self) -> Made:
        """Behind a convolution that makes the channels."""
        if math.prod(self.x.shape[1:3]) > MOST_PIXELS:
            return self.convolution() if listed("convolution") else self.x
        block = int(self.net.rng.integers(1, 4))
        channels = block**2 * int(self.net.rng.integers(1, 5))
        x = self.net.conv(self.x, channels, (1, 1)) if listed("convolution") else self.x
        block = block if x is not self.x else 1
        return self.net.depth_to_space(x, block)

    def depthwise(self) -> Made:
        times = int(self.net.rng.integers(1, 3)) if self.x.shape[3] < 12 else 1
        return self.net.depthwise(self.x, times, self.kernel, self.stride, self.mode, self.act)

    def pixel(self) -> Made:
        """A pixel for all of ``x``, computed or not."""
        if listed("mean") and self.net.rng.integers(2):
            return self.net.mean(self.x, keep=True)
        return self.net.numbers(self.x)

    def addition(self) -> Made:
        x, rng = self.x, self.net.rng
        if rng.integers(3) == 0:
            return self.net.add(x, self.pixel(), self.act, subtract=bool(rng.integers(2)))
        same = [other for other in self.seen[:-1] if other.shape == x.shape]
        if same:
            other = same[int(rng.integers(len(same)))]
            return self.net.add(x, other, self.act, subtract=bool(rng.integers(2)))
        if not listed("convolution"):
            return self.net.add(x, x, self.act)
        return self.net.add(x, self.net.conv(x, x.shape[3], (1, 1), act=self.act), self.act)

    def function(self) -> Made:
        codes = [code for code, row in CONSTANTS.items() if listed(row)]
        if codes and self.net.rng.integers(3) == 0:
            code = str(self.net.rng.choice(codes))
            first = bool(self.net.rng.integers(2))
            return self.net.with_number(self.x, code, first=first, act=self.act)
        kinds = get_args(Function)
        return self.net.function(self.x, str(self.net.rng.choice(kinds)))

    def multiplication(self) -> Made:
        """A value times a function of it, or another value."""
        if self.net.rng.integers(3) == 0:
            return self.net.times_numbers(self.x)
        if self.net.rng.integers(2) == 0:
            others = [self.pixel(), *(each for each in self.seen if each.shape == self.x.shape)]
            operands = [self.x, others[int(self.net.rng.integers(len(others)))]]
            return self.net.multiply(*operands[:: 1 - 2 * int(self.net.rng.integers(2))], self.act)
        other = self.function() if listed("function") else self.x
        operands = [self.x, other][:: 1 if self.net.rng.integers(2) else -1]
        return self.net.multiply(*operands, self.act)

    def extremum(self) -> Made:
        """Of what there is and a maximum of single values of it, or of a pixel, or itself."""
        others = [self.x]
        if listed("max-pool"):
            others.append(self.net.pool(self.x, CODE.MAX_POOL_2D, (1, 1), (1, 1)))
        if listed("mean"):
            others.append(self.net.like(self.net.mean(self.x, keep=True), self.x))
        other = others[int(self.net.rng.integers(len(others)))]
        return self.net.extremum(self.x, other, largest=bool(self.net.rng.integers(2)))

    def bilinear(self) -> Made:
        factor = [int(n) for n in self.net.rng.choice([1, 2, 2, 4], 2)]
        if math.prod(self.x.shape) > 1500:
            factor = [2, 1]
        return self.net.resize_bilinear(
            self.x, factor, str(self.net.rng.choice(["plain", "aligned", "half"]))
        )

    def mean(self) -> Made:
        return self.net.mean(self.x, True, (int(self.net.rng.integers(1, 3)),))

    def concatenation(self) -> Made:
        """Of what there is twice; of it and a maximum of single values, which have its scale."""
        parts = [self.x, self.x]
        if listed("max-pool") and self.net.rng.integers(2):
            parts[1] = self.net.pool(self.x, CODE.MAX_POOL_2D, (1, 1), (1, 1))
        return self.net.concatenate(parts, int(self.net.rng.choice([-1, 1, 2])))

    def slice(self) -> Made:
        axis = int(self.net.rng.choice([1, 2, 3, 3]))
        if self.x.shape[axis] % 2 == 0 and self.net.rng.integers(3) == 0:
            return self.net.concatenate(self.net.split(self.x, axis, 2)[::-1], axis)
        begin = int(self.net.rng.integers(self.x.shape[axis]))
        count = int(self.net.rng.integers(1, self.x.shape[axis] - begin + 1))
        return self.net.slice(self.x, begin, count, bool(self.net.rng.integers(2)), axis)

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
        if self.net.rng.integers(3) == 0 and not amounts[3].any():
            return self.net.pad(self.x, amounts, int(self.net.rng.integers(-128, 128)))
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
    "grouped convolution": Draw.grouped,
    "transposed convolution": Draw.transposed,
    "interleaving": Draw.interleaving,
    "addition": Draw.addition,
    "multiplication": Draw.multiplication,
    "extremum": Draw.extremum,
    "parametric ReLU": lambda draw: draw.net.prelu(draw.x, bool(draw.net.rng.integers(2))),
    "bilinear resize": Draw.bilinear,
    "mean": Draw.mean,
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

ENDS = ("fully connected", "activation", "quantization", "softmax", "shape arithmetic")
"""Rows that :func:`random_model` draws at the edges of a model, or within other operators."""
