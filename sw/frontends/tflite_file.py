"""Reads a TFLite flatbuffer into plain tensors and operators."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from sw.errors import DnaError

Array = npt.NDArray[Any]

FILE_IDENTIFIER = b"TFL3"
DYNAMIC = -1
_INLINE_OFFSETS = 1  # a buffer offset of 0 or 1 means that the data is in the flatbuffer


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATORS = _names(tflite.BuiltinOperator)
TYPES = _names(tflite.TensorType)
ACTIVATIONS = _names(tflite.ActivationFunctionType)
_DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("<i1"),
    "UINT8": np.dtype("<u1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FLOAT32": np.dtype("<f4"),
}
_DAMAGE = (
    struct.error,
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    TypeError,
    UnicodeDecodeError,
    ValueError,
)
"""What flatbuffers raises when it follows an offset that leads nowhere."""


@dataclasses.dataclass(frozen=True)
class TfliteTensor:
    """A tensor of the file.

    Attributes:
        index: in the file.
        name: for messages only.
        type: as the schema calls it, INT8 for example.
        shape: with the batch; -1 where it is not fixed.
        scales, zero_points: of its quantization, empty if there is none.
        dimension: that the entries of ``scales`` belong to if there are several.
        data: its constant values, or None.
        sparse: whether the values are stored in a sparse form.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    dimension: int
    data: Array | None
    sparse: bool


@dataclasses.dataclass(frozen=True)
class TfliteOperator:
    """An operator of the file.

    Attributes:
        index: in the order of execution.
        code: as the schema calls it, CONV_2D for example; of a custom one its own name.
        inputs, outputs: indices of tensors, -1 for an input that is left out.
        options: those of its table that are known here.
    """

    index: int
    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int]

    def __str__(self) -> str:
        return f"operator {self.index} ({self.code})"


@dataclasses.dataclass(frozen=True)
class TfliteModel:
    """The only subgraph of a file; ``inputs`` and ``outputs`` are indices of tensors."""

    tensors: list[TfliteTensor]
    operators: list[TfliteOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(content: bytes, what: str) -> TfliteModel:
    """Read a flatbuffer.

    Args:
        content: the whole file.
        what: its name in messages.

    Raises:
        DnaError: it is no TFLite file, is damaged or truncated, or has several subgraphs.
    """
    if content[4:8] != FILE_IDENTIFIER:
        raise DnaError(f"{what} is not a TFLite model: it does not have the mark TFL3")
    try:
        model = tflite.Model.GetRootAs(content, 0)
        subgraphs = model.SubgraphsLength()
        if subgraphs == 1:
            return _Reader(content, model).model()
    except _DAMAGE as error:
        raise DnaError(
            f"{what} is damaged or truncated: an offset in it leads nowhere; export it again"
        ) from error
    raise DnaError(
        f"{what} has {subgraphs} subgraphs; control flow is not supported, only a single graph"
    )


class _Reader:
    def __init__(self, content: bytes, model: Any) -> None:
        self.content = content
        self.file = model
        self.graph = model.Subgraphs(0)

    def count(self, number: int) -> range:
        """A loop over a vector's entries; each takes at least a byte of the file."""
        if number > len(self.content):
            raise ValueError("a vector is longer than the file")
        return range(number)

    def model(self) -> TfliteModel:
        graph = self.graph
        tensors = [self.tensor(i) for i in self.count(graph.TensorsLength())]
        operators = [self.operator(i) for i in self.count(graph.OperatorsLength())]
        inputs, outputs = _indices(graph.InputsAsNumpy()), _indices(graph.OutputsAsNumpy())
        used = {*inputs, *outputs}
        for operator in operators:
            used.update(operator.inputs, operator.outputs)
        if used - {-1} - set(range(len(tensors))):
            raise IndexError("an operator names a tensor that is not there")
        return TfliteModel(tensors, operators, inputs, outputs)

    def tensor(self, index: int) -> TfliteTensor:
        tensor = self.graph.Tensors(index)
        kind = TYPES[tensor.Type()]
        shape = _indices(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        if tensor.ShapeSignatureLength():
            # The batch is left open by most converters, with 1 as the shape that is run.
            signature = _indices(tensor.ShapeSignatureAsNumpy())
            shape = shape[:1] + signature[1:] if len(signature) == len(shape) else signature
        scales, zero_points, dimension = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        quantization = tensor.Quantization()
        if quantization is not None and quantization.ScaleLength():
            scales = np.array(quantization.ScaleAsNumpy(), np.float32)
            zero_points = np.zeros(len(scales), np.int64)
            if quantization.ZeroPointLength():
                zero_points = np.array(quantization.ZeroPointAsNumpy(), np.int64)
            dimension = quantization.QuantizedDimension()
        name = tensor.Name()
        return TfliteTensor(
            index=index,
            name=name.decode(errors="replace") if name else f"tensor {index}",
            type=kind,
            shape=shape,
            scales=scales,
            zero_points=zero_points,
            dimension=dimension,
            data=self.data(tensor.Buffer(), kind, shape),
            sparse=tensor.Sparsity() is not None,
        )

    def data(self, number: int, kind: str, shape: tuple[int, ...]) -> Array | None:
        """The constant in a buffer; None if there is none, or it is of a type for nobody here."""
        buffer = self.file.Buffers(number)
        if buffer.Offset() > _INLINE_OFFSETS:
            start, size = buffer.Offset(), buffer.Size()
            if start + size > len(self.content):
                raise ValueError("a buffer ends behind the file")
            raw = np.frombuffer(self.content, np.uint8, size, start)
        elif buffer.DataLength():
            raw = buffer.DataAsNumpy()
        else:
            return None
        if kind not in _DTYPES or DYNAMIC in shape:
            return None
        data: Array = raw.view(_DTYPES[kind]).reshape(shape)
        return data

    def operator(self, index: int) -> TfliteOperator:
        operator = self.graph.Operators(index)
        described = self.file.OperatorCodes(operator.OpcodeIndex())
        # The older field holds what fits 7 bits, the newer one the rest.
        code = OPERATORS[max(described.DeprecatedBuiltinCode(), described.BuiltinCode())]
        if code == "CUSTOM":
            code = (described.CustomCode() or b"CUSTOM").decode(errors="replace")
        return TfliteOperator(
            index=index,
            code=code,
            inputs=_indices(operator.InputsAsNumpy()) if operator.InputsLength() else (),
            outputs=_indices(operator.OutputsAsNumpy()) if operator.OutputsLength() else (),
            options=_options(operator),
        )


_TABLES = _names(tflite.BuiltinOptions)
_OPTIONS = (
    *("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor"),
    *("FilterHeight", "FilterWidth", "FusedActivationFunction", "WeightsFormat"),
)


def _options(operator: Any) -> dict[str, int]:
    table = operator.BuiltinOptions()
    kind = _TABLES.get(operator.BuiltinOptionsType(), "NONE")
    if table is None or not hasattr(tflite, kind):
        return {}
    options = getattr(tflite, kind)()
    options.Init(table.Bytes, table.Pos)
    return {name: int(getattr(options, name)()) for name in _OPTIONS if hasattr(options, name)}


def _indices(array: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in array)
