"""Functions of a value, as LiteRT computes them: all 256 results, from the runtime itself."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from sw.errors import DnaError
from sw.frontends.tflite.runtime import reason
from sw.frontends.tflite.writer import TfliteWriter
from sw.numerics import BYTES, Function

Int8 = npt.NDArray[np.int8]
Quantized = tuple[float, int]
"""Scale and zero point."""


_OFFSET = 128
"""Of a UINT8 value from the INT8 one."""


def function_options(function: Function, alpha: float) -> Any:
    """The table of options of the operator that computes ``function``; None if it has none."""
    match function:
        case "leaky_relu":
            return schema.LeakyReluOptionsT(alpha=alpha)
        case "hard_swish":
            return schema.HardSwishOptionsT()
        case "abs":
            return schema.AbsOptionsT()
        case "neg":
            return schema.NegOptionsT()
        case "quantize":
            return schema.QuantizeOptionsT()
        case _:
            return None


@functools.cache
def function_table(
    function: Function,
    source: Quantized,
    target: Quantized,
    alpha: float = 0.0,
    *,
    unsigned: bool = False,
) -> Int8:
    """The results of ``function`` by the byte of the value, read as unsigned: int8 [256].

    Whatever LiteRT does with the operator, its result for a value hangs on nothing but that value
    (tests/sw/frontends/test_functions.py), so the model that is asked has each of them once.

    Args:
        source, target: of what it reads and of its result.
        alpha: of a leaky ReLU.
        unsigned: ask LiteRT for UINT8, with all values and zero points 128 more.

    Raises:
        DnaError: LiteRT refuses the operator with these numbers.
    """
    writer, offset = TfliteWriter(), _OFFSET if unsigned else 0
    shape = (1, 1, BYTES, 1)
    x, y = (
        writer.tensor(
            name,
            shape,
            schema.TensorType.UINT8 if unsigned else schema.TensorType.INT8,
            quantization=writer.quantization([scale], [zero_point + offset]),
        )
        for name, (scale, zero_point) in (("x", source), ("y", target))
    )
    code = getattr(schema.BuiltinOperator, function.upper())
    writer.operator(code, [x], y, function_options(function, alpha))
    try:
        interpreter = Interpreter(model_content=writer.file([x], [y]), num_threads=1)
        interpreter.allocate_tensors()
        values = (np.arange(BYTES, dtype=np.uint8) ^ offset).astype(np.uint8).reshape(shape)
        values = values if unsigned else values.view(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        results = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except (RuntimeError, ValueError) as error:
        raise DnaError(f"LiteRT refuses {function.upper()}: {reason(error)}") from error
    table: Int8 = (results.reshape(BYTES).view(np.uint8) ^ offset).astype(np.uint8).view(np.int8)
    table.setflags(write=False)
    return table
