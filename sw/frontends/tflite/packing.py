"""TFLite files from the schema's objects, and a part of a file as a file of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file import FILE_IDENTIFIER, outside

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


def cut(
    content: bytes, operators: Collection[int], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """Some operators of a file as a file; tensors keep their indices.

    Args:
        content: the file, of one subgraph.
        operators: their indices.
        inputs, outputs: tensors that it begins and ends with.
    """
    model = opened(content)
    graph = model.subgraphs[0]
    graph.operators = [each for i, each in enumerate(graph.operators) if i in operators]
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    used = {*inputs, *outputs}
    for operator in graph.operators:
        used.update(int(i) for i in (*operator.inputs, *operator.outputs))
    kept = {graph.tensors[i].buffer for i in used if i >= 0}
    for number, buffer in enumerate(model.buffers):
        if number not in kept:
            buffer.data = None
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    return packed(model)
