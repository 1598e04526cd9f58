"""Other values for the fields of a TFLite file, by the schema's object and the field's name."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

T = schema.TensorType
CODE = schema.BuiltinOperator
Values = Callable[[Any], Iterable[Any]]
"""Values of a field, from the object that has it."""


@dataclasses.dataclass(frozen=True)
class Together:
    """Values of fields that say something only together."""

    fields: dict[str, Any]


def always(*values: Any) -> Values:
    """The same values whatever the object."""
    return lambda item: values


def integers(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


# Tensors.

KINDS = [T.INT8, T.UINT8, T.INT16, T.INT32, T.INT64, T.FLOAT32, T.FLOAT16, T.INT4, T.BOOL]


def _shapes(item: Any) -> Iterable[Any]:
    now = [] if item.shape is None else item.shape.tolist()
    yield integers()
    yield from (integers(*now, 1), integers(1, *now), integers(*now[::-1]), integers(*now[1:]))
    for axis in range(len(now)):
        for size in (now[axis] + 1, 0, -1):
            yield integers(*now[:axis], size, *now[axis + 1 :])


def _signatures(item: Any) -> Iterable[Any]:
    return [None, integers(*item.shape), *_shapes(item)]


def _sparse(item: Any) -> Iterable[Any]:
    yield schema.SparsityParametersT()
    order = integers(*range(len(item.shape)))
    sizes = [schema.DimensionMetadataT(format=0, denseSize=int(n)) for n in item.shape]
    yield schema.SparsityParametersT(traversalOrder=order, dimMetadata=sizes)


_TENSOR: dict[str, Values] = {
    "shape": _shapes,
    "type": lambda item: [kind for kind in KINDS if kind != item.type],
    "buffer": lambda item: [0, 1, 2, 3, 999],
    "name": always(None, b"", b"another [/name]", b"\xff"),
    "quantization": always(None, schema.QuantizationParametersT()),
    "isVariable": always(True),
    "sparsity": _sparse,
    "shapeSignature": _signatures,
    "hasRank": always(True),
    "variantTensors": always([schema.VariantSubTypeT(shape=integers(1, 2), type=T.INT8)]),
    "externalBuffer": always(1),
}


def _scales(item: Any) -> Iterable[Any]:
    now = np.zeros(1, np.float32) if item.scale is None else np.array(item.scale, np.float32)
    now = np.where(now == 0, np.float32(1), now)
    for factor in (2, 0.37, 1e-3, 1e4, 1e-12, 1e12, 0, -1, np.inf, np.nan):
        yield (now * np.float32(factor)).astype(np.float32)
    yield np.nextafter(now, np.float32(9))
    yield (now * np.linspace(0.5, 2, len(now))).astype(np.float32)
    yield from (now[:1], np.tile(now[:1], 3), np.append(now, now[:1]), now[:0], None)


def _zero_points(item: Any) -> Iterable[Any]:
    now = np.zeros(1, np.int64) if item.zeroPoint is None else np.array(item.zeroPoint, np.int64)
    yield from (now + 1, now - 3, now * 0, now * 0 + 127, now * 0 - 128, now + 300)
    yield from (now[:1], np.tile(now[:1], 3), np.append(now, now[:1]), now[:0], None)


_DETAILS = [
    Together({"detailsType": 1, "details": schema.CustomQuantizationT(custom=[1, 2, 3])}),
    Together({"detailsType": 2, "details": schema.BlockwiseQuantizationT(blockSize=2)}),
    Together({"detailsType": 3, "details": schema.MultiAxisQuantizationT(blockSize=2)}),
]
_QUANTIZATION: dict[str, Values] = {
    "min": always(np.float32([-1]), np.float32([-1, -2, -3])),
    "max": always(np.float32([1]), np.float32([1, 2, 3])),
    "scale": _scales,
    "zeroPoint": _zero_points,
    "detailsType": always(*_DETAILS, 1),
    "details": always(*_DETAILS),
    "quantizedDimension": always(0, 1, 2, 3, 4, -1),
}


def _data(item: Any) -> Iterable[Any]:
    now = np.array(item.data, np.uint8)
    yield from (now ^ 1, now[::-1].copy(), now * 0, np.append(now, now[:4]), now[:-1], now[:0])
    yield None


_BUFFER: dict[str, Values] = {
    "data": _data,
    "offset": lambda item: [
        *(1, 2, 64, 10**9),
        Together({"offset": 64, "size": len(item.data)}),
        Together({"offset": 64, "size": len(item.data), "data": None}),
    ],
    "size": always(1, 4, 10**9),
}

# Operators.

_OPERATOR: dict[str, Values] = {
    "opcodeIndex": always(0, 1, 2, 3, 99),
    "inputs": lambda item: [
        integers(),
        integers(*item.inputs, -1),
        integers(*item.inputs, 0),
        integers(*item.inputs, item.inputs[-1]),
        integers(*item.inputs[::-1]),
        integers(*item.inputs[:-1]),
    ],
    "outputs": lambda item: [
        *(integers(), integers(-1), integers(0), integers(1), integers(2), integers(999)),
        *(integers(*item.outputs, *item.outputs), integers(*item.outputs, 0)),
        integers(item.inputs[0]),
    ],
    "builtinOptionsType": always(
        Together({"builtinOptionsType": 0, "builtinOptions": None}),
        Together(
            {
                "builtinOptionsType": schema.BuiltinOptions.Pool2DOptions,
                "builtinOptions": schema.Pool2DOptionsT(1, 1, 1, 1, 1, 0),
            }
        ),
    ),
    "builtinOptions": lambda item: [
        Together(
            {
                "builtinOptionsType": getattr(schema.BuiltinOptions, name),
                "builtinOptions": getattr(schema, f"{name}T")(),
            }
        )
        for name in ("AbsOptions", "Conv2DOptions", "DepthwiseConv2DOptions", "ReshapeOptions")
        if f"{name}T" != type(item.builtinOptions).__name__
    ],
    "customOptions": always([1, 2, 3]),
    "customOptionsFormat": always(1),
    "mutatingVariableInputs": always([False], [True], [False, True]),
    "intermediates": always(integers(0), integers(1, 2)),
    "largeCustomOptionsOffset": always(1, 64),
    "largeCustomOptionsSize": always(1, 8),
    "builtinOptions2Type": always(
        Together({"builtinOptions2Type": 18, "builtinOptions2": schema.DilateOptionsT()})
    ),
    "builtinOptions2": always(
        Together({"builtinOptions2Type": 10, "builtinOptions2": schema.StablehloPadOptionsT()})
    ),
    "debugMetadataIndex": always(0, 5),
}
_OPERATOR_CODE: dict[str, Values] = {
    "deprecatedBuiltinCode": always(0, CODE.CONV_2D, CODE.MAX_POOL_2D, CODE.RESHAPE, 127),
    "customCode": always(b"another"),
    "version": always(0, 2, 3, 5, 99),
    "builtinCode": always(
        *(0, CODE.AVERAGE_POOL_2D, CODE.MAX_POOL_2D, CODE.PAD, CODE.SOFTMAX, CODE.TANH),
        *(CODE.RESHAPE, CODE.DEQUANTIZE, CODE.CUSTOM, CODE.CONV_2D, CODE.DEPTHWISE_CONV_2D),
    ),
}
_KINDS = always(T.INT32, T.INT64, T.INT8, T.FLOAT32)
_MASK = always(0, 1, 2, 3)
_FLAG = always(False, True)
OPTIONS: dict[str, Values] = {
    "alignCorners": _FLAG,
    "alpha": always(0.5, 0.0, -1.0, 2.0, float("nan")),
    "asymmetricQuantizeInputs": _FLAG,
    "axis": always(0, 1, -1, -2),
    "numSplits": always(0, 1, 3, -1),
    "beginMask": _MASK,
    "beta": always(1.0, 0.5, 2.0, 0.0, -1.0, float("nan")),
    "depthMultiplier": always(0, 1, 2, 3),
    "dilationHFactor": always(0, 1, 2, 3),
    "dilationWFactor": always(0, 1, 2, 3),
    "ellipsisMask": _MASK,
    "endMask": _MASK,
    "filterHeight": always(0, 1, 2, 3, 7, -1),
    "filterWidth": always(0, 1, 2, 3, 7, -1),
    "fusedActivationFunction": always(*range(7)),
    "halfPixelCenters": _FLAG,
    "blockSize": always(1, 2, 3, 0, -1),
    "keepDims": _FLAG,
    "keepNumDims": _FLAG,
    "newAxisMask": _MASK,
    "newShape": always(
        *(None, integers(), integers(1, 90), integers(-1, 90), integers(1, -1), integers(90, 1)),
        *(integers(-1, -1), integers(2, 45), integers(1, 6, 5, 3), integers(0, 90)),
    ),
    "offset": _FLAG,
    "outType": _KINDS,
    "outputType": _KINDS,
    "padding": always(0, 1, 2),
    "potScaleInt16": _FLAG,
    "quantSpec": always([1], [0, 0]),
    "quantizedBiasType": _KINDS,
    "shrinkAxisMask": _MASK,
    "squeezeDims": always(
        *(None, integers(), integers(1), integers(2), integers(1, 2), integers(-2, -3)),
        *(integers(0), integers(3), integers(0, 1, 2), integers(7)),
    ),
    "strideH": always(0, 1, 2, 3, 9, -1),
    "strideW": always(0, 1, 2, 3, 9, -1),
    "valuesCount": always(0, 1, 2, 3),
    "weightsFormat": always(0, 1),
}
"""Values of the fields of every table of options."""

# The file.


def _signature(tensor: int, subgraph: int = 0) -> list[Any]:
    names = [schema.TensorMapT(name=b"x", tensorIndex=tensor)]
    return [
        schema.SignatureDefT(
            inputs=names, outputs=names, signatureKey=b"serving_default", subgraphIndex=subgraph
        )
    ]


_MODEL: dict[str, Values] = {
    "version": always(0, 1, 2, 4),
    "operatorCodes": lambda item: [[], item.operatorCodes[::-1], item.operatorCodes * 2],
    "subgraphs": lambda item: [[], item.subgraphs * 2],
    "description": always(None, b"", b"a network"),
    "buffers": lambda item: [[], item.buffers[:-1], [*item.buffers, schema.BufferT()]],
    "metadataBuffer": always(integers(0), integers(999)),
    "metadata": always(
        [schema.MetadataT(name=b"min_runtime_version", buffer=1)],
        [schema.MetadataT(name=b"a", buffer=999)],
    ),
    "signatureDefs": always(_signature(0), _signature(1), _signature(999), _signature(0, 5)),
    "externalBufferGroups": always([schema.ExternalBufferGroupT(name=b"weights")]),
    "externalBuffers": always([schema.ExternalBufferT(id=1, length=4)]),
}
_SUBGRAPH: dict[str, Values] = {
    "tensors": lambda item: [
        [],
        item.tensors[:-1],
        [*item.tensors, schema.TensorT(shape=integers(2), type=T.INT16, name="spare")],
    ],
    "inputs": lambda item: [
        *(integers(), integers(-1), integers(1), integers(0, 1), integers(0, 0)),
        integers(*item.outputs),
    ],
    "outputs": lambda item: [
        *(integers(), integers(-1), integers(0), integers(1), integers(2), integers(999)),
        *(integers(*range(len(item.tensors))), integers(*item.outputs, *item.outputs)),
        *(integers(each.outputs[0]) for each in item.operators),
    ],
    "operators": lambda item: [
        *([], item.operators[::-1], item.operators[:-1], item.operators[1:]),
        *([*item.operators, item.operators[0]], [*item.operators, item.operators[-1]]),
    ],
    "name": always(b"main", None),
    "debugMetadataIndex": always(0, 5),
}


class _ByField(dict[str, Values]):
    """Values of the fields of a table of options."""

    def __missing__(self, name: str) -> Values:
        return OPTIONS[name]


class _ByObject(dict[type, dict[str, Values]]):
    """Values by the schema's object; what is not named is a table of options."""

    def __missing__(self, kind: type) -> dict[str, Values]:
        return _ByField()


VALUES: dict[type, dict[str, Values]] = _ByObject(
    {
        schema.ModelT: _MODEL,
        schema.SubGraphT: _SUBGRAPH,
        schema.TensorT: _TENSOR,
        schema.QuantizationParametersT: _QUANTIZATION,
        schema.BufferT: _BUFFER,
        schema.OperatorT: _OPERATOR,
        schema.OperatorCodeT: _OPERATOR_CODE,
    }
)

# Constants.

_ORDERS = [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1), (1, 0, 2, 3), (0, 1, 3, 2), (0, 1, 1, 2)]
_AMOUNTS = [
    *([[0, 0]] * 4, [[0, 0], [2, 2], [1, 0], [0, 0]], [[0, 0], [1, 1], [0, 0], [0, 1]]),
    *([[1, 0], [0, 0], [0, 0], [0, 0]], [[0, 0], [-1, 0], [0, 2], [0, 0]]),
    [[0, 0], [5, 0], [0, 7], [0, 0]],
]
CONSTANTS: dict[tuple[str, int], list[Any]] = {
    ("ARG_MAX", 1): [0, 1, -1, -2, 2],
    ("EXPAND_DIMS", 1): [0, 1, 2, -1, -2, -3, 5],
    ("MEAN", 1): [(1, 2), (2, 1), (-3, -2), (5, 6), (-7, 2), (1, 1), (2, 3), (0, 1)],
    ("PAD", 1): _AMOUNTS,
    ("PADV2", 1): _AMOUNTS,
    ("RESHAPE", 1): [(1, 90), (-1, 90), (90, 1), (2, 45), (1, -1), (0, 90), (-1, -1)],
    ("SPLIT", 0): [0, 1, 2, 4, -1, -3, -4, -5],
    ("STRIDED_SLICE", 1): [0, 1, 3, 4, -1, -4, -5],
    ("STRIDED_SLICE", 2): [0, 1, 2, 4, 9, -1],
    ("STRIDED_SLICE", 3): [0, 1, 2, -1],
    ("PACK", 1): [90, 45, -1, 1],
    ("TRANSPOSE", 1): [*_ORDERS, (0, -1, 1, 2)],
}
"""Values of the constants that operators read beside weights, biases and pad values."""


def constants(code: str, position: int) -> list[np.ndarray]:
    """Contents of a buffer, as int32, for an input of an operator."""
    return [
        np.frombuffer(integers(*np.ravel(value)).tobytes(), np.uint8)
        for value in CONSTANTS.get((code, position), [])
    ]


def replacements(code: str, position: int) -> list[tuple[np.ndarray, int]]:
    """Constants with a shape and a type of their own, for an input of an operator."""
    found = []
    for value in CONSTANTS.get((code, position), [])[:2]:
        for dtype, kind in (("i4", T.INT32), ("i8", T.INT64), ("i2", T.INT16), ("i1", T.INT8)):
            array = np.array(value, dtype)
            found += [(array, kind), (array.reshape(-1), kind), (array.reshape(1, -1), kind)]
    return found
