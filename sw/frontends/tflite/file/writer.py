"""Writes TFLite flatbuffers from the schema's objects: tensors and operators, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.packing import packed

Array = npt.NDArray[Any]

SCHEMA_VERSION = 3
WIDE_CODE = 127
"""What the older field has of a code that it has no room for."""

TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class TfliteWriter:
    """Collects buffers, tensors and operators; every ``int`` is an index."""

    def __init__(self) -> None:
        self.buffers = [schema.BufferT()]  # buffer 0 means "no data"
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: dict[int, int] = {}

    def tensor(self, name: str, shape: Sequence[int], kind: int, **fields: Any) -> int:
        """Index of a new tensor; ``fields`` are more of the schema's ``TensorT``."""
        fields["shape"] = np.array(shape, np.int32)
        self.tensors.append(schema.TensorT(name=name, type=kind, **fields))
        return len(self.tensors) - 1

    def quantization(self, scales: Any, zero_points: Any, dimension: int = 0) -> Any:
        """Quantization parameters, one per entry of ``dimension`` or a single one."""
        return schema.QuantizationParametersT(
            scale=np.array(scales, np.float32),
            zeroPoint=np.array(zero_points, np.int64),
            quantizedDimension=dimension,
        )

    def constant(self, name: str, array: Array, **fields: Any) -> int:
        """Index of a new tensor that holds ``array``."""
        data = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        self.buffers.append(schema.BufferT(data=data))
        fields["buffer"] = len(self.buffers) - 1
        return self.tensor(name, array.shape, TYPES[array.dtype], **fields)

    def operator(self, code: int, inputs: Sequence[int], output: int, options: Any = None) -> None:
        """Append an operator; ``options`` is its table, such as a ``Conv2DOptionsT``, if any."""
        table = "NONE" if options is None else type(options).__name__.removesuffix("T")
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes.setdefault(code, len(self.codes)),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=getattr(schema.BuiltinOptions, table),
                builtinOptions=options,
            )
        )

    def file(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The whole file, from the tensors that go in and come out."""
        subgraph = schema.SubGraphT(
            tensors=self.tensors,
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
            operators=self.operators,
        )
        codes = [
            # A second field held the code while it fitted 7 bits; readers look at the larger one.
            schema.OperatorCodeT(
                deprecatedBuiltinCode=min(code, WIDE_CODE), builtinCode=code, version=1
            )
            for code in self.codes
        ]
        return packed(
            schema.ModelT(
                version=SCHEMA_VERSION,
                operatorCodes=codes,
                subgraphs=[subgraph],
                buffers=self.buffers,
            )
        )
