"""Reads a TFLite flatbuffer into plain tensors and operators."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite.file.fields import unread
from sw.frontends.tflite.file.operator import TfliteOperator

Array = npt.NDArray[Any]

FILE_IDENTIFIER = b"TFL3"
DYNAMIC = -1
_INLINE_OFFSETS = 1  # a buffer offset of 0 or 1 means that the data is in the flatbuffer


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


OPERATORS = _names(schema.BuiltinOperator)
TYPES = _names(schema.TensorType)
ACTIVATIONS = _names(schema.ActivationFunctionType)
_DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("<i1"),
    "UINT8": np.dtype("<u1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FLOAT32": np.dtype("<f4"),
}
DAMAGE = (
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
        fault: what it says that nobody reads; empty if nothing.
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
    fault: str


@dataclasses.dataclass(frozen=True)
class State:
    """A variable of a file.

    Attributes:
        name: in the file.
        source: the tensor that a call begins with, an input of the rewritten file.
        target: the tensor that the next call begins with, an output of it.
        initial: int8 [...], what the first call begins with.
        answer: whether the target is an output of the file as its user has it, too.
    """

    name: str
    source: int
    target: int
    initial: npt.NDArray[np.int8]
    answer: bool


@dataclasses.dataclass(frozen=True)
class TfliteModel:
    """The only subgraph of a file.

    Attributes:
        tensors, operators: in its order.
        inputs, outputs: indices of tensors.
        fault: what it says that nobody reads; empty if nothing.
        states: which of the inputs and outputs are carried from call to call.
    """

    tensors: list[TfliteTensor]
    operators: list[TfliteOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fault: str = ""
    states: tuple[State, ...] = ()

    @property
    def given(self) -> tuple[int, ...]:
        """The inputs that whoever runs the file gives."""
        carried = {state.source for state in self.states}
        return tuple(index for index in self.inputs if index not in carried)

    @property
    def answers(self) -> tuple[int, ...]:
        """The outputs that whoever runs the file gets."""
        carried = {state.target for state in self.states if not state.answer}
        return tuple(index for index in self.outputs if index not in carried)


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
        model = schema.ModelT.InitFromPackedBuf(content)
        subgraphs = len(_present(model.subgraphs))
        if subgraphs == 1:
            return _Reader(content, model).model()
    except DAMAGE as error:
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
        self.graph = model.subgraphs[0]

    def model(self) -> TfliteModel:
        tensors = [self.tensor(*item) for item in enumerate(_present(self.graph.tensors))]
        operators = [self.operator(*item) for item in enumerate(_present(self.graph.operators))]
        inputs, outputs = _indices(self.graph.inputs), _indices(self.graph.outputs)
        used = {*inputs, *outputs}
        for operator in operators:
            used.update(operator.inputs, operator.outputs)
        if used - {-1} - set(range(len(tensors))):
            raise IndexError("an operator names a tensor that is not there")
        fault = unread(self.file) or unread(self.graph)
        for index, tensor in enumerate(self.graph.tensors):
            if not _is_text(tensor.name):  # LiteRT in Python fails where it lists its tensors
                fault = fault or f"the name of tensor {index} is no UTF-8"
        return TfliteModel(tensors, operators, inputs, outputs, fault)

    def tensor(self, index: int, tensor: Any) -> TfliteTensor:
        kind = TYPES[tensor.type]
        shape, fault = _indices(tensor.shape), unread(tensor)
        signature = _indices(tensor.shapeSignature)
        if len(signature) == len(shape):
            # The batch is left open by most converters, with 1 as the shape that is run.
            open_axes = {axis for axis, size in enumerate(signature) if axis and size == DYNAMIC}
            shape = tuple(DYNAMIC if i in open_axes else size for i, size in enumerate(shape))
        elif signature:
            fault = f"its shapeSignature {list(signature)} is not that of its shape {list(shape)}"
        scales, zero_points, dimension = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        quantization = tensor.quantization
        if quantization is not None and len(_present(quantization.scale)):
            scales = np.array(quantization.scale, np.float32)
            zero_points = np.zeros(len(scales), np.int64)
            if len(_present(quantization.zeroPoint)):
                zero_points = np.array(quantization.zeroPoint, np.int64)
            dimension = quantization.quantizedDimension
        if quantization is not None:
            fault = fault or unread(quantization)
        return TfliteTensor(
            index=index,
            name=tensor.name.decode(errors="replace") if tensor.name else f"tensor {index}",
            type=kind,
            shape=shape,
            scales=scales,
            zero_points=zero_points,
            dimension=dimension,
            data=None if tensor.sparsity else self.data(tensor.buffer, kind, shape),
            sparse=tensor.sparsity is not None,
            fault=fault,
        )

    def data(self, number: int, kind: str, shape: tuple[int, ...]) -> Array | None:
        """The constant in a buffer; None if there is none, or it is of a type for nobody here."""
        buffer = self.file.buffers[number]
        if len(_present(buffer.data)):  # which LiteRT takes before anything outside
            raw = buffer.data
        elif buffer.offset > _INLINE_OFFSETS:
            raw = np.frombuffer(outside(self.content, buffer), np.uint8)
        else:
            return None
        if kind not in _DTYPES or DYNAMIC in shape:
            return None
        data: Array = raw.view(_DTYPES[kind]).reshape(shape)
        return data

    def operator(self, index: int, operator: Any) -> TfliteOperator:
        described = self.file.operatorCodes[operator.opcodeIndex]
        # The older field holds what fits 7 bits, the newer one the rest.
        code = OPERATORS[max(described.deprecatedBuiltinCode, described.builtinCode)]
        if code == "CUSTOM":
            code = (described.customCode or b"CUSTOM").decode(errors="replace")
        table = operator.builtinOptions
        return TfliteOperator(
            index,
            code,
            _indices(operator.inputs),
            _indices(operator.outputs),
            table="" if table is None else type(table).__name__.removesuffix("T"),
            options={} if table is None else vars(table),
            defaults={} if table is None else vars(type(table)()),
            fault=unread(operator),
        )


def outside(content: bytes, buffer: Any) -> bytes:
    """The data of a buffer that stand behind the flatbuffer, in a file of more than 2 GB.

    Raises:
        ValueError: the file ends before they do.
    """
    data = content[buffer.offset : buffer.offset + buffer.size]
    if len(data) != buffer.size:
        raise ValueError("a buffer ends behind the file")
    return data


def _is_text(name: bytes | None) -> bool:
    try:
        (name or b"").decode()
    except UnicodeDecodeError:
        return False
    return True


def _present(vector: Any) -> Any:
    """A vector of the file; an empty one if it is left out."""
    return () if vector is None else vector


def _indices(vector: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in _present(vector))
