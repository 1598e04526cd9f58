"""Models that set one field of an ONNX operator to another value, for every field of its schema.

The fields are those that the schema lists. One for which this file has no value is a
:class:`KeyError`, so that a new version of the standard fails the tests until somebody looks at it.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_bases import TARGET, Schema

LEFT_OUT = None
"""Stands for a field that is not there."""

_WINDOW = {
    "auto_pad": ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"],
    "ceil_mode": [0, 1],
    "channels_last": [0, 1],
    "count_include_pad": [0, 1],
    "dilations": [[1, 1], [2, 2], [1, 2]],
    "group": [1, 2, 4],
    "kernel_shape": [LEFT_OUT, [3, 3], [3, 2], [1, 4], [2]],
    "pads": [LEFT_OUT, [0] * 4, [1, 0, 0, 1], [0, 1, 1, 0], [1] * 4],
    "storage_order": [0, 1],
    "strides": [[1, 1], [2, 1], [1, 3]],
}
_AXES = [[2], [3], [2, 3], [-1, -2], [3, 2], [1], [0], [0, 1], [1, 2, 3], [0, 2, 3]]
ATTRIBUTES: dict[str, list[Any]] = {
    **_WINDOW,
    "allowzero": [0, 1],
    "alpha": [1.0, 0.5, -2.0],
    "axes": [LEFT_OUT, *_AXES],
    "axis": [LEFT_OUT, 0, 1, 2, 3, -1, -2, -3],
    "beta": [1.0, 0.5, 0.0],
    "block_size": [0, 1, 2, 3],
    "blocksize": [0, 1, 2, 3],
    "antialias": [0, 1],
    "coordinate_transformation_mode": [
        *("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"),
        *("half_pixel_symmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"),
    ],
    "cubic_coeff_a": [-0.75, 0.5],
    "exclude_outside": [0, 1],
    "extrapolation_value": [0.0, 3.0],
    "keep_aspect_ratio_policy": ["stretch", "not_larger", "not_smaller"],
    "nearest_mode": ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"],
    "num_outputs": [LEFT_OUT, 2, 3],
    "split": [LEFT_OUT, [2, 2], [3, 1], [4, 0], [1, 1, 2]],
    "starts": [[0], [1], [-2]],
    "ends": [[3], [99], [-1]],
    "keepdims": [0, 1],
    "max": [LEFT_OUT, 6.0, 3.0, 1.0],
    "min": [LEFT_OUT, 0.0, -1.0, 0.5],
    "mode": ["constant", "reflect", "edge", "wrap"],
    "noop_with_empty_axes": [0, 1],
    "opset": [1, 11, 13],
    "output_padding": [LEFT_OUT, [0, 0], [1, 0], [1, 1]],
    "output_shape": [LEFT_OUT, [11, 6], [1, 4, 11, 6]],
    "output_dtype": [
        *(0, TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.INT4),
        *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.FLOAT8E4M3FN),
    ],
    "perm": [LEFT_OUT, [0, 1, 2, 3], [0, 3, 1, 2], [0, 2, 3, 1], [0, 1, 3, 2], [0, 3, 2, 1]],
    "precision": [0, TensorProto.FLOAT, TensorProto.FLOAT16],
    "ratio": [0.0, 0.3, 0.9],
    "saturate": [0, 1],
    "seed": [0, 7],
    "select_last_index": [0, 1],
    "sparse_value": [
        helper.make_sparse_tensor(
            helper.make_tensor("v", TensorProto.FLOAT, [1], [0.05]),
            helper.make_tensor("i", TensorProto.INT64, [1], [0]),
            [1],
        )
    ],
    "transA": [0, 1],
    "transB": [0, 1],
    "value": [
        LEFT_OUT,
        *(numpy_helper.from_array(np.array(x, np.float32)) for x in (0.08, [0.05])),
    ],
    "value_float": [0.05, 0.08],
    "value_floats": [[0.05], [0.08], [0.05, 0.06, 0.07, 0.08]],
    "value_int": [1, 144],
    "value_ints": [[1, -1], [1, 144], [4, 36], [-1, 144], [1, 4, 6, 6]],
    "value_string": ["0.05"],
    "value_strings": [["0.05"]],
}
OF_OPERATOR: dict[tuple[str, str], list[Any]] = {
    ("Pad", "pads"): [
        *([0] * 8, [0, 0, 1, 1, 0, 0, 1, 1], [0, 0, -1, 0, 0, 0, 0, 0]),
        *([0, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 2, 0, 0, 1, 0, 3]),
    ],
    ("Pad", "value"): [0.0, 1.0, -0.2],
    **{(kind, "alpha"): [LEFT_OUT, 0.3, -0.2, 1.7, 0.0] for kind in ("LeakyRelu", "Elu")},
    ("QLinearLeakyRelu", "alpha"): [LEFT_OUT, 0.3, -0.2, 1.7],
    ("HardSigmoid", "alpha"): [LEFT_OUT, 0.5, -0.1],
    ("HardSigmoid", "beta"): [LEFT_OUT, 0.0, 0.9],
    ("DepthToSpace", "mode"): ["DCR", "CRD"],
    ("Resize", "mode"): ["nearest", "linear", "cubic"],
    ("Resize", "axes"): [LEFT_OUT, [2, 3], [3, 2], [0, 1, 2, 3]],
    ("Slice", "axes"): [LEFT_OUT, [1], [2], [3], [-1], [0]],
}
"""Values where an operator has a field of another kind by the same name."""
INPUTS: dict[tuple[str, str], list[Any]] = {
    ("Clip", "min"): [np.float32(x) for x in (0, -1, 0.5)],
    ("Clip", "max"): [np.float32(x) for x in (6, 3, 1)],
    ("Dropout", "ratio"): [np.float32(x) for x in (0, 0.5, 0.9)],
    ("Dropout", "training_mode"): [np.array(x) for x in (False, True)],
    ("MatMul", "B"): [],
    ("Pad", "pads"): [np.array(x) for x in OF_OPERATOR["Pad", "pads"]],
    ("Pad", "constant_value"): [np.float32(x) for x in (0, 1, -0.2)],
    ("Pad", "value"): [np.float32(x) for x in (0, 1, -0.2)],
    ("Pad", "axes"): [np.array(x) for x in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3])],
    ("ReduceMean", "axes"): [np.array(x, np.int64) for x in ([], *_AXES)],
    ("Reshape", "shape"): [
        np.array(x)
        for x in ([1, 144], [-1, 144], [0, -1], [1, 36, 4], [4, 36], [1, 4, 6, 6], [1, 6, 6, 4])
    ],
    ("Concat", "inputs"): [],
    ("Max", "data_0"): [],
    ("Min", "data_0"): [],
    ("Resize", "roi"): [np.zeros(8, np.float32), np.zeros(0, np.float32)],
    ("Resize", "scales"): [
        np.float32([1, channels, down, across])
        for channels, down, across in ((1, 2, 1), (1, 4, 2), (1, 3, 3), (2, 2, 2), (1, 0.5, 2))
    ],
    ("Resize", "sizes"): [np.array(x) for x in ([1, 4, 12, 12], [1, 4, 6, 24], [1, 4, 18, 7])],
    ("PRelu", "slope"): [
        np.array(x, np.float32)
        for x in (0.3, [0.2], np.full((4, 1, 1), 1.5), np.full((1, 1, 4), 0.1), [[[0.2]], [[1]]])
    ],
    ("Slice", "starts"): [np.array(x) for x in ([0], [-3], [9])],
    ("Slice", "ends"): [np.array(x) for x in ([4], [2], [99], [-1], [0])],
    ("Slice", "axes"): [np.array(x) for x in ([1], [2], [3], [0], [-1])],
    ("Slice", "steps"): [np.array(x) for x in ([1], [2], [-1])],
    ("Split", "split"): [np.array(x) for x in ([2, 2], [3, 1], [4, 0], [1, 2])],
    ("Squeeze", "axes"): [np.array(x) for x in _AXES],
    ("Unsqueeze", "axes"): [np.array(x) for x in _AXES],
}
"""Values of inputs that are constants of an operator's own kind, or not there in the bases."""


def target(model: onnx.ModelProto) -> onnx.NodeProto:
    """The operator that the model is about."""
    return next(node for node in model.graph.node if node.name == TARGET)


def mutations(
    schema: Schema, base: onnx.ModelProto
) -> Iterator[tuple[str, str, list[tuple[str, onnx.ModelProto]]]]:
    """For each field: what it is, its name, and models with other values of it by what they say."""
    for name in schema.attributes:
        values = OF_OPERATOR.get((schema.operator, name)) or ATTRIBUTES[name]
        yield "attribute", name, [(str(value)[:40], _set(base, name, value)) for value in values]
    for position, name in enumerate(schema.inputs):
        yield "input", name, list(_other_inputs(schema, base, position, name))


def _set(base: onnx.ModelProto, name: str, value: Any) -> onnx.ModelProto:
    model = copy.deepcopy(base)
    node = target(model)
    kept = [item for item in node.attribute if item.name != name]
    if node.op_type == "Constant":  # which has one of its attributes
        kept = []
    del node.attribute[:]
    node.attribute.extend(kept)
    if value is not LEFT_OUT:
        node.attribute.append(helper.make_attribute(name, value))
    if name == "group" and value not in (LEFT_OUT, 1):
        weights = next(item for item in model.graph.initializer if item.dims == [4, 4, 3, 3])
        fewer = numpy_helper.to_array(weights)[:, : 4 // value]
        weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(fewer), weights.name))
    return model


def _other_inputs(
    schema: Schema, base: onnx.ModelProto, position: int, name: str
) -> Iterator[tuple[str, onnx.ModelProto]]:
    inputs = list(target(base).input)
    arrays = {item.name: numpy_helper.to_array(item) for item in base.graph.initializer}
    now = inputs[position] if position < len(inputs) else ""
    values: list[Any] = INPUTS.get((schema.operator, name), [])
    if now in arrays and not values:
        values = [*_variants(arrays[now])]
    elif not now and not values:
        raise KeyError(f"no values for input {name} of {schema}")
    for value in values:
        text = f"{value.dtype}{np.array2string(value.reshape(-1)[:4], precision=3)}"
        yield text, _replace(base, position, value)
        if now in arrays:
            everywhere = copy.deepcopy(base)
            held = next(item for item in everywhere.graph.initializer if item.name == now)
            held.CopyFrom(numpy_helper.from_array(np.asarray(value), now))
            yield f"{text} everywhere", everywhere
    yield "left out", _rename(base, position, "")
    before = [node.output[0] for node in base.graph.node]
    before = before[: [node.name for node in base.graph.node].index(TARGET)]
    for other in ("image", *before):
        if other != now:
            yield f"{other} instead", _rename(base, position, other)


def _variants(array: np.ndarray) -> Iterator[np.ndarray]:
    """Other values, types and shapes of a constant."""
    more = np.tile(array.reshape(-1)[:1], 4)
    if array.dtype == np.float32:
        yield from (array * np.float32(factor) for factor in (2, 0.37, 1 + 1e-5, -1, 0, np.inf))
        yield from (array.reshape(-1)[:1], more * np.arange(1, 5, dtype=np.float32))
        yield array.astype(np.float16)
    elif array.dtype == np.int8:
        yield from (array ^ 5, (array.astype(np.int16) + 128).astype(np.uint8))
        yield from (array.view(np.uint8), array.astype(np.int16), array.astype(np.uint16))
        if array.size < 16:
            yield from (array.reshape(-1)[:1], (more + np.arange(4)).astype(np.int8))
    else:
        yield from (array + 300, array * 2, array.astype(np.float32), array.astype(np.int8))
        yield from (array.reshape(-1)[:1], array.reshape(-1, 1))


def _replace(base: onnx.ModelProto, position: int, value: Any) -> onnx.ModelProto:
    model = _rename(base, position, "mutated")
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), "mutated"))
    return model


def _rename(base: onnx.ModelProto, position: int, name: str) -> onnx.ModelProto:
    model = copy.deepcopy(base)
    node = target(model)
    while len(node.input) <= position:
        node.input.append("")
    node.input[position] = name
    while node.input and not node.input[-1]:
        del node.input[-1]
    return model
