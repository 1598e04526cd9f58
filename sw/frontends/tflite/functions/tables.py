"""Functions of a value, as LiteRT computes them: all 256 results, from the runtime itself."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from sw import numerics
from sw.descriptions import Output
from sw.errors import DnaError
from sw.frontends.tflite.file.runtime import reason
from sw.frontends.tflite.file.writer import TfliteWriter
from sw.numerics import BYTES, Activation, Function, WithConstant
from sw.operations import Scalar

Int8 = npt.NDArray[np.int8]
Quantized = tuple[float, int]
"""Scale and zero point."""


_OFFSET = 128
"""Of a UINT8 value from the INT8 one."""


ACTIVATIONS = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


def function_options(
    function: Function | WithConstant, alpha: float, constant: Scalar | None = None
) -> Any:
    """The table of options of the operator that computes ``function``; None if it has none."""
    fused = ACTIVATIONS["none" if constant is None else constant.activation]
    match function:
        case "add":
            return schema.AddOptionsT(fusedActivationFunction=fused)
        case "sub":
            return schema.SubOptionsT(fusedActivationFunction=fused)
        case "mul":
            return schema.MulOptionsT(fusedActivationFunction=fused)
        case "minimum" | "maximum":
            return schema.MaximumMinimumOptionsT()
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


def function_operands(writer: TfliteWriter, x: int, constant: Scalar | None) -> list[int]:
    """What such an operator reads: the tensor ``x``, and a constant."""
    if constant is None:
        return [x]
    other = writer.constant(
        f"constant{len(writer.tensors)}",
        np.full(constant.shape, constant.value, np.int8),
        quantization=writer.quantization([constant.scale], [constant.zero_point]),
    )
    return [other, x] if constant.first else [x, other]


def _check(
    function: Function | WithConstant, source: Quantized, target: Quantized, constant: Scalar | None
) -> None:
    """Refuse numbers of which LiteRT does not say that they are wrong: it ends the process.

    Raises:
        DnaError: there are some.
    """
    what = function.upper()
    given = [source, target]
    if constant is not None:
        given.append((constant.scale, constant.zero_point))
        if function in ("add", "sub"):
            numerics.add_parameters(source[0], constant.scale, target[0], what)
        elif function == "mul":
            numerics.multiply_parameter(source[0], constant.scale, target[0], what)
    for scale, zero_point in given:
        numerics.check_scale(scale, what)
        if not numerics.INT8_MIN <= zero_point <= numerics.INT8_MAX:
            raise DnaError(f"{what}: zero point {zero_point!r} is not in -128..127")


@functools.cache
def function_table(
    function: Function | WithConstant,
    source: Quantized,
    target: Quantized,
    alpha: float = 0.0,
    constant: Scalar | None = None,
    *,
    unsigned: bool = False,
) -> Int8:
    """The results of ``function`` by the byte of the value, read as unsigned: int8 [256].

    Whatever LiteRT does with the operator, its result for a value hangs on nothing but that value
    (tests/sw/frontends/test_functions.py), so the model that is asked has each of them once.

    Args:
        source, target: of what it reads and of its result.
        alpha: of a leaky ReLU.
        constant: the other operand.
        unsigned: without a constant, ask LiteRT for UINT8: values and zero points are 128 more.

    Raises:
        DnaError: LiteRT refuses the operator with these numbers.
    """
    _check(function, source, target, constant)

    def write(writer: TfliteWriter, x: int, y: int) -> None:
        code = getattr(schema.BuiltinOperator, function.upper())
        reads = function_operands(writer, x, constant)
        writer.operator(code, reads, y, function_options(function, alpha, constant))

    return _asked(write, function.upper(), source, target, unsigned=unsigned)


@functools.cache
def squares_by_the_rule(
    source: Quantized, target: Quantized, activation: Activation, *, unsigned: bool
) -> bool:
    """Whether LiteRT's product of a value with itself is that of two values that are equal.

    It has a table for it, which is another rule where a product is half way between two steps.

    Args:
        source, target: of the value and of the product.
        activation: of the product.
        unsigned: as for :func:`function_table`.

    Raises:
        DnaError: LiteRT refuses the operator with these numbers.
    """
    scale = numerics.multiply_parameter(source[0], source[0], target[0], "MUL")
    options = schema.MulOptionsT(fusedActivationFunction=ACTIVATIONS[activation])

    def write(writer: TfliteWriter, x: int, y: int) -> None:
        writer.operator(schema.BuiltinOperator.MUL, [x, x], y, options)

    table = _asked(write, "MUL", source, target, unsigned=unsigned)
    values = np.arange(BYTES, dtype=np.uint8).view(np.int8).astype(np.int32) - source[1]
    steps = np.rint((values * values).astype(np.float32) * scale) + target[1]
    bounds = Output(*target, activation).bounds
    return bool(np.array_equal(np.clip(steps, *bounds), table))


def _asked(
    write: Callable[[TfliteWriter, int, int], None],
    what: str,
    source: Quantized,
    target: Quantized,
    *,
    unsigned: bool,
) -> Int8:
    """What LiteRT makes of all 256 values, by the byte of the value.

    Args:
        write: adds the operator, from one tensor to another.
        what: it is called.
        source, target, unsigned: as for :func:`function_table`.

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
    write(writer, x, y)
    try:
        interpreter = Interpreter(model_content=writer.file([x], [y]), num_threads=1)
        interpreter.allocate_tensors()
        values = (np.arange(BYTES, dtype=np.uint8) ^ offset).astype(np.uint8).reshape(shape)
        values = values if unsigned else values.view(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
        interpreter.invoke()
        results = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    except (RuntimeError, ValueError) as error:
        raise DnaError(f"LiteRT refuses {what}: {reason(error)}") from error
    table: Int8 = (results.reshape(BYTES).view(np.uint8) ^ offset).astype(np.uint8).view(np.int8)
    table.setflags(write=False)
    return table
