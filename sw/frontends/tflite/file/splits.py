"""SPLIT as a SLICE for each of its parts: the same copies, an operator for each result.

Whoever reads a file knows operators of one result only. What is no plain SPLIT stays, and is
refused there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite.file.packing import number_of, opened, packed
from sw.frontends.tflite.file.reader import DAMAGE, FILE_IDENTIFIER

_SPLIT, _SLICE = schema.BuiltinOperator.SPLIT, schema.BuiltinOperator.SLICE


def without_splits(content: bytes) -> bytes:
    """A file that computes the same without SPLIT; itself, if it has none."""
    if content[4:8] != FILE_IDENTIFIER:
        return content
    try:
        codes = schema.Model.GetRootAsModel(content, 0)
        kinds = [codes.OperatorCodes(n) for n in range(codes.OperatorCodesLength())]
        if not any(_SPLIT in (kind.BuiltinCode(), kind.DeprecatedBuiltinCode()) for kind in kinds):
            return content
        model = opened(content)
        if len(model.subgraphs) != 1:
            return content
        graph, operators = model.subgraphs[0], []
        for operator in graph.operators:
            parts = _parts(model, operator) if _is_split(model, operator) else None
            operators += [operator] if parts is None else parts
        graph.operators = operators
        return packed(model)
    except (*DAMAGE, DnaError):  # whoever reads it says so
        return content


def _is_split(model: Any, operator: Any) -> bool:
    return bool(number_of(model.operatorCodes[operator.opcodeIndex]) == _SPLIT)


def _parts(model: Any, operator: Any) -> list[Any] | None:
    """A SLICE for each result; None if it is no plain SPLIT."""
    tensors = model.subgraphs[0].tensors
    plain = (
        operator.inputs is not None
        and len(operator.inputs) == 2
        and min(operator.inputs) >= 0
        and operator.outputs is not None
        and min(operator.outputs, default=-1) >= 0
        and isinstance(operator.builtinOptions, schema.SplitOptionsT)
        and operator.builtinOptions.numSplits == len(operator.outputs)
        and operator.customOptions is None
        and operator.intermediates is None
        and not np.any(operator.mutatingVariableInputs or [])
        and operator.builtinOptions2 is None
    )
    if not plain:
        return None
    place, source = (tensors[index] for index in operator.inputs)
    data = model.buffers[place.buffer].data
    shape = [] if source.shape is None else [int(size) for size in source.shape]
    if place.type != schema.TensorType.INT32 or data is None or len(data) != 4 or not shape:
        return None
    axis = int(np.frombuffer(bytes(data), "<i4")[0])
    count = len(operator.outputs)
    if not -len(shape) <= axis < len(shape) or shape[axis] % count:
        return None
    sizes = list(shape)
    sizes[axis] //= count
    begins = np.zeros((count, len(shape)), np.int32)
    begins[:, axis] = sizes[axis] * np.arange(count)
    code = _code(model)
    size = _constant(model, np.array(sizes, np.int32))
    slices = []
    for begin, output in zip(begins, operator.outputs, strict=True):
        given = [operator.inputs[1], _constant(model, begin), size]
        slices.append(
            schema.OperatorT(
                opcodeIndex=code,
                inputs=np.array(given, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=schema.BuiltinOptions.SliceOptions,
                builtinOptions=schema.SliceOptionsT(),
            )
        )
    return slices


def _code(model: Any) -> int:
    """Index of the operator code of SLICE, which is added if there is none."""
    for index, code in enumerate(model.operatorCodes):
        if number_of(code) == _SLICE:
            return index
    model.operatorCodes.append(
        schema.OperatorCodeT(builtinCode=_SLICE, deprecatedBuiltinCode=_SLICE, version=2)
    )
    return len(model.operatorCodes) - 1


def _constant(model: Any, values: Any) -> int:
    """Index of a new constant."""
    model.buffers.append(schema.BufferT(data=np.frombuffer(values.tobytes(), np.uint8)))
    tensors = model.subgraphs[0].tensors
    tensors.append(
        schema.TensorT(
            name=f"bounds of a part {len(tensors)}".encode(),
            shape=np.array(values.shape, np.int32),
            type=schema.TensorType.INT32,
            buffer=len(model.buffers) - 1,
        )
    )
    return len(tensors) - 1
