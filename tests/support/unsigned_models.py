"""UINT8 networks: random INT8 ones with other types, and weights that have a zero point."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.packing import opened, packed
from tests.support.tflite_models import CODE

INT8, UINT8 = schema.TensorType.INT8, schema.TensorType.UINT8
WEIGHTED = (CODE.CONV_2D, CODE.DEPTHWISE_CONV_2D, CODE.FULLY_CONNECTED)


def unsigned(content: bytes, rng: np.random.Generator, *, zero_point: int | None = None) -> bytes:
    """An INT8 file with UINT8 instead.

    Args:
        content: the file.
        rng: for the weights.
        zero_point: of all weights; None: drawn for each.
    """
    model = opened(content)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code in WEIGHTED:
            source, weights, *biases = (graph.tensors[i] for i in operator.inputs if i >= 0)
            values = model.buffers[weights.buffer]
            weights.type, scale = UINT8, weights.quantization.scale[:1]
            zero = int(rng.integers(0, 256)) if zero_point is None else zero_point
            values.data = rng.integers(0, 256, len(values.data)).astype(np.uint8)
            weights.quantization.scale, weights.quantization.zeroPoint = scale, np.array([zero])
            weights.quantization.quantizedDimension = 0
            for bias in biases:
                bias.quantization.scale = source.quantization.scale[:1] * scale
                bias.quantization.zeroPoint = np.zeros(1, np.int64)
    for tensor in graph.tensors:
        if tensor.type == INT8:
            tensor.type = UINT8
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint + 128
    return packed(model)
