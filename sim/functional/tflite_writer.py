"""Writes TFLite flatbuffers: tensors, operators and their tables, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

Array = npt.NDArray[Any]

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16  # the schema's force_align of Buffer.data
TABLE_BYTES = 1 << 20  # first guess at the room for everything but the arrays

TYPES = {
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.int32): tflite.TensorType.INT32,
}


class TfliteWriter:
    """Collects buffers, tensors and operators; every ``int`` here is an offset or an index.

    Args:
        size: bytes of all arrays, about.
    """

    def __init__(self, size: int = 0) -> None:
        self.builder = flatbuffers.Builder(size + TABLE_BYTES)
        self.buffers = [self.table("Buffer")]  # buffer 0 means "no data"
        self.tensors: list[int] = []
        self.operators: list[int] = []
        self.codes: dict[int, int] = {}

    def table(self, type_name: str, **fields: int) -> int:
        """A table of the schema, through the generated function for each field."""
        getattr(tflite, f"{type_name}Start")(self.builder)
        for field, value in fields.items():
            getattr(tflite, f"{type_name}Add{field}")(self.builder, value)
        return int(getattr(tflite, f"{type_name}End")(self.builder))

    def offsets(self, items: Iterable[int]) -> int:
        """A vector of tables."""
        items = list(items)
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return int(self.builder.EndVector())

    def numbers(self, values: Any, dtype: type[np.generic] = np.int32) -> int:
        """A vector of numbers."""
        return int(self.builder.CreateNumpyVector(np.array(values, dtype)))

    def tensor(self, name: str, shape: Sequence[int], kind: int, **fields: int) -> int:
        """Index of a new tensor."""
        fields |= {"Shape": self.numbers(shape), "Name": self.builder.CreateString(name)}
        self.tensors.append(self.table("Tensor", Type=kind, **fields))
        return len(self.tensors) - 1

    def quantization(self, scales: Any, zero_points: Any, dimension: int = 0) -> int:
        """Quantization parameters, one per entry of ``dimension`` or a single one."""
        return self.table(
            "QuantizationParameters",
            Scale=self.numbers(scales, np.float32),
            ZeroPoint=self.numbers(zero_points, np.int64),
            QuantizedDimension=dimension,
        )

    def constant(self, name: str, array: Array, **fields: int) -> int:
        """Index of a new tensor that holds ``array``."""
        data = np.ascontiguousarray(array).tobytes()
        self.builder.Prep(BUFFER_ALIGNMENT, len(data))
        self.buffers.append(self.table("Buffer", Data=self.builder.CreateByteVector(data)))
        fields["Buffer"] = len(self.buffers) - 1
        return self.tensor(name, array.shape, TYPES[array.dtype], **fields)

    def operator(
        self,
        code: int,
        inputs: Sequence[int],
        output: int,
        options: str,
        **fields: int,
    ) -> None:
        """Append an operator with an options table of type ``options``."""
        self.operators.append(
            self.table(
                "Operator",
                OpcodeIndex=self.codes.setdefault(code, len(self.codes)),
                Inputs=self.numbers(inputs),
                Outputs=self.numbers([output]),
                BuiltinOptionsType=getattr(tflite.BuiltinOptions, options),
                BuiltinOptions=self.table(options, **fields),
            )
        )

    def file(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The whole file, from the tensors that go in and come out."""
        subgraph = self.table(
            "SubGraph",
            Tensors=self.offsets(self.tensors),
            Inputs=self.numbers(inputs),
            Outputs=self.numbers(outputs),
            Operators=self.offsets(self.operators),
        )
        codes = [
            # A second field held the code while it fitted 7 bits; readers look at the larger one.
            self.table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=1)
            for code in self.codes
        ]
        model = self.table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self.offsets(codes),
            Subgraphs=self.offsets([subgraph]),
            Buffers=self.offsets(self.buffers),
        )
        self.builder.Finish(model, FILE_IDENTIFIER)
        return bytes(self.builder.Output())
