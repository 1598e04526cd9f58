"""TFLite files of which the host has to run a part."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite_models import CODE, RELU, Made, Maker

FLOAT, INT32 = schema.TensorType.FLOAT32, schema.TensorType.INT32


def _float(net: Maker, shape) -> Made:
    return Made(net.tensor(f"float{len(net.tensors)}", shape, FLOAT), tuple(shape), 0.0, 0)


def exponential(net: Maker, x: Made) -> Made:
    """DEQUANTIZE and EXP, which only a host computes."""
    real, result = _float(net, x.shape), _float(net, x.shape)
    net.operator(CODE.DEQUANTIZE, [x.index], real.index, schema.DequantizeOptionsT())
    net.operator(CODE.EXP, [real.index], result.index, schema.ExpOptionsT())
    return result


def detector(seed: int = 0) -> bytes:
    """Two heads on one backbone: one ends on the machine, the other in floats on the host."""
    net = Maker(np.random.default_rng(seed))
    x = net.conv(net.input((1, 8, 8, 3)), 8, (3, 3), act=RELU)
    boxes, classes = net.conv(x, 4, (1, 1)), net.conv(x, 3, (3, 3))
    ends = [exponential(net, boxes).index, classes.index]
    return net.file([net.source.index], ends)


def with_a_head(seed: int = 0) -> bytes:
    """A float input that is squared before it is quantized."""
    net = Maker(np.random.default_rng(seed))
    given, squared = _float(net, (1, 6, 6, 3)), _float(net, (1, 6, 6, 3))
    net.operator(CODE.SQUARE, [given.index], squared.index, schema.SquareOptionsT())
    x = net.made((1, 6, 6, 3), 0.01, -100)
    net.operator(CODE.QUANTIZE, [squared.index], x.index, schema.QuantizeOptionsT())
    y = net.fully_connected(net.conv(x, 6, (3, 3)), 5)
    return net.file([given.index], [y.index])


def reads_its_input_twice(seed: int = 0) -> bytes:
    """The host needs the file's input behind the machine, too."""
    net = Maker(np.random.default_rng(seed))
    given, x = _float(net, (1, 6, 6, 3)), net.made((1, 6, 6, 3), 0.02, 3)
    net.operator(CODE.QUANTIZE, [given.index], x.index, schema.QuantizeOptionsT())
    y = exponential(net, net.conv(x, 3, (3, 3)))
    total = _float(net, y.shape)
    net.operator(CODE.ADD, [y.index, given.index], total.index, schema.AddOptionsT())
    return net.file([given.index], [total.index])


def mostly_floats(seed: int = 0) -> bytes:
    """Two convolutions of about one size, and EXP between them."""
    net = Maker(np.random.default_rng(seed))
    x = net.input((1, 8, 8, 3))
    y = exponential(net, net.conv(x, 4, (3, 3)))
    z = net.made(y.shape, 0.5, 0)
    net.operator(CODE.QUANTIZE, [y.index], z.index, schema.QuantizeOptionsT())
    end = net.conv(z, 4, (3, 3))
    return net.file([net.source.index], [exponential(net, end).index])
