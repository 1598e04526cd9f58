"""For every TFLite operator that is accepted, small quantized networks around it."""

import dataclasses
from collections.abc import Callable
from typing import get_args

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.numerics import Function
from sw.operators import table
from tests.support.tflite_models import CODE, RELU, SAME, VALID, Made, Maker


@dataclasses.dataclass(frozen=True)
class Base:
    """A network and the index of the operator in it that it is about."""

    code: str
    content: bytes
    target: int

    def model(self) -> schema.ModelT:
        """The file as the schema's objects, a new one each time."""
        return schema.ModelT.InitFromPackedBuf(self.content)

    def operator(self, model: schema.ModelT) -> schema.OperatorT:
        """The operator that the network is about."""
        return model.subgraphs[0].operators[self.target]


def operators() -> list[str]:
    """Every operator that the table takes from TFLite."""
    names = (name for row in table.TABLE for name in row.spelling["tflite"].names)
    return sorted(name for name in names if "(" not in name)  # a part or a form of another one


def bases(code: str) -> list[Base]:
    """The networks of an operator."""
    made = []
    for build in BASES[code]:
        net = Maker(np.random.default_rng(7))
        content = net.finish(build(net))
        number = net.codes[getattr(CODE, code)]
        places = [i for i, each in enumerate(net.operators) if each.opcodeIndex == number]
        made.append(Base(code, content, places[-1]))
    return made


def _start(net: Maker, edge: str = "int8") -> Made:
    return net.input((1, 6, 5, 3), edge)


def _map(net: Maker, edge: str = "int8") -> Made:
    return net.depthwise(_start(net, edge), 1, (1, 1))


def _pixel(net: Maker, keep: bool = True) -> Made:
    return net.mean(_map(net), keep=keep)


def _logits(net: Maker) -> Made:
    return net.fully_connected(net.input((1, 6)), 5)


def _end(net: Maker, x: Made) -> Made:
    return net.depthwise(x, 1, (2, 2))


def _squeezed(net: Maker, x: Made, axes: list[int] | None) -> Made:
    drop = axes or [axis for axis, size in enumerate(x.shape) if size == 1]
    shape = [size for axis, size in enumerate(x.shape) if axis not in drop]
    y = net.made(shape, x.scale, x.zero_point)
    given = None if axes is None else np.array(axes, np.int32)
    net.operator(CODE.SQUEEZE, [x.index], y.index, schema.SqueezeOptionsT(squeezeDims=given))
    return y


def _expanded(net: Maker, x: Made, axis: int) -> Made:
    given = net.constant("axis", np.array(axis, np.int32))
    y = net.made((*x.shape[:axis], 1, *x.shape[axis:]), x.scale, x.zero_point)
    net.operator(CODE.EXPAND_DIMS, [x.index, given], y.index, schema.ExpandDimsOptionsT())
    return y


def _reshaped_by_option(net: Maker) -> Made:
    x = _map(net)
    y = net.made((1, 90), x.scale, x.zero_point)
    options = schema.ReshapeOptionsT(newShape=np.array((1, 90), np.int32))
    net.operator(CODE.RESHAPE, [x.index], y.index, options)
    return net.fully_connected(y, 4)


def _padded_by_value(net: Maker) -> Made:
    x = _map(net)
    amounts = net.constant("amounts", np.array([[0, 0], [1, 0], [2, 1], [0, 0]], np.int32))
    value = net.constant(
        "value",
        np.array(x.zero_point, np.int8),
        quantization=net.quantization([x.scale], [x.zero_point]),
    )
    y = net.made((1, 7, 8, 3), x.scale, x.zero_point)
    net.operator(CODE.PADV2, [x.index, amounts, value], y.index, schema.PadV2OptionsT())
    return net.conv(y, 4, (3, 3), mode=VALID)


def _requantized(net: Maker) -> Made:
    x = _logits(net)
    y = net.made(x.shape, x.scale, x.zero_point + 128, schema.TensorType.UINT8)
    net.operator(CODE.QUANTIZE, [x.index], y.index, schema.QuantizeOptionsT())
    return y


def _flattened(net: Maker) -> Made:
    return net.fully_connected(net.flatten(_map(net), True), 4)


def _of_two(net: Maker, x: Made, code: str) -> Made:
    """A map and a pixel of it."""
    pixel = net.mean(x, keep=True)
    if code == "SUB":
        return net.add(x, pixel, subtract=True)
    return net.extremum(x, net.like(pixel, x), largest=code == "MAXIMUM")


def _function(name: str) -> Callable[[Maker], Made]:
    return lambda net: net.function(_map(net), name)


def _pooled(code: int) -> list[Callable[[Maker], Made]]:
    return [
        lambda net: _end(net, net.pool(_map(net), code, (2, 3), (1, 2), SAME)),
        lambda net: net.pool(_map(net), code, (2, 2), (2, 1), VALID, RELU),
    ]


BASES: dict[str, list[Callable[[Maker], Made]]] = {
    "CONV_2D": [
        lambda net: _end(net, net.conv(_map(net), 4, (3, 2), mode=SAME)),
        lambda net: net.conv(_start(net), 4, (2, 3), (2, 1), VALID, RELU),
        lambda net: net.conv(_start(net), 4, (2, 2), mode=SAME, dilation=(2, 3)),
        lambda net: net.conv(net.input((1, 6, 5, 6)), 4, (2, 2), groups=2),
    ],
    "TRANSPOSE_CONV": [
        lambda net: _end(net, net.transposed(_map(net), 4, (3, 2))),
        lambda net: net.transposed(_start(net), 4, (2, 3), (1, 2), VALID, RELU),
    ],
    "DEPTH_TO_SPACE": [
        lambda net: _end(net, net.depth_to_space(net.conv(_start(net), 8, (1, 1)), 2)),
    ],
    "DEPTHWISE_CONV_2D": [
        lambda net: net.conv(net.depthwise(_start(net), 2, (3, 2)), 4, (1, 1)),
    ],
    "FULLY_CONNECTED": [
        lambda net: net.fully_connected(net.fully_connected(net.input((1, 6)), 5), 4, bias=False),
        lambda net: net.fully_connected(_map(net), 4, RELU),
    ],
    "ADD": [
        lambda net: _end(net, net.add(x := _start(net), net.depthwise(x, 1, (1, 1)))),
        lambda net: _end(net, net.with_number(_map(net), "ADD")),
        lambda net: _end(net, net.add(x := _map(net), net.numbers(x))),
    ],
    "MAX_POOL_2D": _pooled(CODE.MAX_POOL_2D),
    "AVERAGE_POOL_2D": _pooled(CODE.AVERAGE_POOL_2D),
    "MEAN": [
        lambda net: net.fully_connected(_pixel(net), 4),
        lambda net: _pixel(net, keep=False),
        lambda net: net.mean(_map(net), True, (2,)),
    ],
    "PAD": [
        lambda net: net.conv(
            net.pad(_map(net), [[0, 0], [1, 0], [0, 2], [0, 0]]), 4, (3, 3), mode=VALID
        ),
        lambda net: net.pad(_map(net), [[0, 0], [1, 0], [0, 2], [0, 0]]),
        lambda net: _end(net, net.pad(_map(net), [[0, 0], [1, 0], [0, 0], [2, 3]])),
    ],
    "PADV2": [
        _padded_by_value,
        lambda net: _end(net, net.pad(_map(net), [[0, 0], [1, 0], [0, 2], [0, 0]], 5)),
    ],
    "RESHAPE": [
        lambda net: net.fully_connected(net.reshape(_map(net), (1, 90)), 4),
        _reshaped_by_option,
    ],
    "SQUEEZE": [
        lambda net: net.fully_connected(_squeezed(net, _pixel(net), [1, 2]), 4),
        lambda net: _squeezed(net, _pixel(net), None),
    ],
    "EXPAND_DIMS": [lambda net: net.fully_connected(_expanded(net, _pixel(net, False), 1), 4)],
    "TRANSPOSE": [
        lambda net: net.fully_connected(net.transpose(_pixel(net), (0, 3, 1, 2)), 4),
        lambda net: _end(net, net.transpose(net.transpose(_map(net), (0, 3, 1, 2)), (0, 2, 3, 1))),
        lambda net: net.conv(net.transpose(_start(net, "float32"), (0, 2, 3, 1)), 4, (2, 2)),
        lambda net: net.transpose(_map(net), (0, 3, 1, 2)),
    ],
    "QUANTIZE": [
        lambda net: _end(net, _map(net, "float32")),
        lambda net: _end(net, _map(net, "uint8")),
        _requantized,
        lambda net: _end(net, net.function(_map(net), "quantize")),
    ],
    "DEQUANTIZE": [lambda net: net.dequantize(_logits(net))],
    "SOFTMAX": [lambda net: net.softmax(_logits(net))],
    "LOG_SOFTMAX": [lambda net: net.log_softmax(_logits(net))],
    **{
        code: [
            lambda net, code=code: _end(net, net.with_number(_map(net), code)),
            lambda net, code=code: _end(net, _of_two(net, _map(net), code)),
        ]
        for code in ("SUB", "MINIMUM", "MAXIMUM")
    },
    "PRELU": [lambda net: _end(net, net.prelu(_map(net)))],
    "SPLIT": [lambda net: _end(net, net.add(*net.split(_end(net, net.input((1, 6, 5, 4))), 3, 2)))],
    "RESIZE_BILINEAR": [
        lambda net: _end(net, net.resize_bilinear(_map(net), (2, 1), "half")),
        lambda net: _end(net, net.resize_bilinear(_map(net), (2, 2), "aligned")),
    ],
    "MUL": [
        lambda net: _end(net, net.times_numbers(_map(net))),
        lambda net: _end(net, net.with_number(_map(net), "MUL")),
        lambda net: _end(net, net.multiply(x := _map(net), net.function(x, "logistic"))),
        lambda net: _end(net, net.multiply(x := _map(net), net.mean(x, keep=True))),
    ],
    **{name.upper(): [_function(name)] for name in get_args(Function) if name != "quantize"},
    "ARG_MAX": [lambda net: net.arg_max(_logits(net))],
    "SHAPE": [_flattened],
    "STRIDED_SLICE": [
        _flattened,
        lambda net: _end(net, net.slice(_map(net), 1, 2, True)),
    ],
    "SLICE": [
        lambda net: _end(net, net.slice(_map(net), 1, 2, False)),
        lambda net: _end(net, net.slice(_map(net), 1, 3, False, 1)),
    ],
    "CONCATENATION": [
        lambda net: _end(net, net.concatenate([x := _map(net), x])),
        lambda net: _end(net, net.concatenate([x := _map(net), x], 2)),
    ],
    "RESIZE_NEAREST_NEIGHBOR": [lambda net: _end(net, net.resize_nearest(_map(net), (2, 1)))],
    "PACK": [_flattened],
}
"""What makes the networks of an operator, which is the last of its kind in each."""
