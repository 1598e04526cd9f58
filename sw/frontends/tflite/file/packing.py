"""TFLite files from the schema's objects, and a part of a file as a file of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.reader import FILE_IDENTIFIER, outside

BUFFER_ALIGNMENT = 16  # the schema's force_align of Buffer.data
TABLE_BYTES = 1 << 20  # first guess at the room for everything but the arrays


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer whose data begin where the schema wants them, which the generated code forgets."""

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the schema's name)
        """Write it; its offset."""
        if self.data is not None:
            builder.Prep(BUFFER_ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def packed(model: Any) -> bytes:
    """The file of a ``ModelT``."""
    model.buffers = [_AlignedBuffer(**vars(buffer)) for buffer in model.buffers]
    arrays = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(arrays + TABLE_BYTES)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def opened(content: bytes) -> Any:
    """The ``ModelT`` of a file, with the data that stand behind its flatbuffer inside."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.data is None and buffer.size:  # a rewritten file has other offsets
            buffer.data = np.frombuffer(outside(content, buffer), np.uint8)
            buffer.offset = buffer.size = 0
    return model


def number_of(code: Any) -> int:
    """The operator that an ``OperatorCodeT`` names; old files have it in another field."""
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def cut(
    content: bytes, operators: Collection[int], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """Some operators of a file as a file; see :func:`part`."""
    return part(opened(content), operators, inputs, outputs)


def part(
    model: Any, operators: Collection[int], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """Some operators of a model as a file; tensors keep their indices.

    Args:
        model: a ``ModelT`` of one subgraph (:func:`opened`); it stays as it is.
        operators: their indices.
        inputs, outputs: tensors that it begins and ends with.
    """
    graph = model.subgraphs[0]
    chosen = [each for i, each in enumerate(graph.operators) if i in operators]
    used = {*inputs, *outputs}
    for operator in chosen:
        used.update(int(i) for i in (*operator.inputs, *operator.outputs))
    kept = {graph.tensors[i].buffer for i in used if i >= 0}
    return packed(
        schema.ModelT(
            version=model.version,
            operatorCodes=model.operatorCodes,
            subgraphs=[
                schema.SubGraphT(
                    tensors=graph.tensors,
                    inputs=np.array(inputs, np.int32),
                    outputs=np.array(outputs, np.int32),
                    operators=chosen,
                )
            ],
            buffers=[
                buffer if number in kept else schema.BufferT()
                for number, buffer in enumerate(model.buffers)
            ],
        )
    )
