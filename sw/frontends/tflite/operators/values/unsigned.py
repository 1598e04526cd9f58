"""UINT8 networks in the terms of INT8 ones.

An activation of UINT8 with zero point z is the one of INT8 with z - 128. Weights of UINT8 lose
their zero point: what is left lies in -255..255, so it may need the sum of two int8.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from sw.frontends.tflite.file.reader import TfliteModel, TfliteTensor
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operators import find

SHIFT = 128
_EDGES = ("quantization", "softmax", "view")
"""Rows of what does not compute on the machine, so that INT8 may lie behind it."""
_WEIGHTS = 1
"""The input that holds the weights of a weighted operator."""
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def signed(model: TfliteModel) -> tuple[TfliteModel, frozenset[int]]:
    """A model that computes with INT8 instead of UINT8, and which activations were UINT8."""
    computing = {
        index
        for operator in model.operators
        if (row := find("tflite", operator.code)) is not None and row.name not in _EDGES
        for index in (*operator.inputs[:1], *operator.outputs)
    }
    if not any(model.tensors[index].type == "UINT8" for index in computing if index >= 0):
        return model, frozenset()
    weights = {
        operator.inputs[_WEIGHTS]
        for operator in model.operators
        if operator.code in _WEIGHTED and len(operator.inputs) > _WEIGHTS
    }
    tensors, changed = list(model.tensors), set()
    for tensor in model.tensors:
        if tensor.type != "UINT8":
            continue
        if tensor.index in weights and tensor.data is not None:
            tensors[tensor.index] = _centred(tensor)
            continue
        data = None if tensor.data is None else (tensor.data ^ SHIFT).view(np.int8)
        zero_points = tensor.zero_points - SHIFT
        tensors[tensor.index] = dataclasses.replace(
            tensor, type="INT8", zero_points=zero_points, data=data
        )
        changed.add(tensor.index)
    return dataclasses.replace(model, tensors=tensors), frozenset(changed)


def _centred(tensor: TfliteTensor) -> TfliteTensor:
    """Weights without their zero point, int8 if they fit, else int16."""
    if len(tensor.zero_points) != 1 or not 0 <= tensor.zero_points[0] <= 255:
        return tensor  # refused for its type
    assert tensor.data is not None
    values: npt.NDArray[np.int16] = tensor.data.astype(np.int16) - np.int16(tensor.zero_points[0])
    narrow = values.min(initial=0) >= INT8_MIN and values.max(initial=0) <= INT8_MAX
    return dataclasses.replace(
        tensor,
        type="INT8",
        zero_points=np.zeros(1, np.int64),
        data=values.astype(np.int8) if narrow else values,
    )
