"""What POST makes of the accumulators of a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hw.isa import Instruction, Join, TablePlace
from sim import reference
from sim.interpreter.errors import ProgramError

Array = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]


def results(
    op: Instruction, accumulators: Array, scales: Array, other: Int8 | None, table: Int8 | None
) -> Int8:
    """The values that POST writes.

    Args:
        accumulators: int32 [pixels, channels], with the bias.
        scales: float32 [channels].
        other: of an addition, or what else joins two, its other operand, of that shape.
        table: int8 [256] by the unsigned byte of a value, if the instruction has one.

    Raises:
        ProgramError: the machine would refuse the instruction.
    """
    product = other is not None and op["join"] == Join.PRODUCT
    if op["table"] > (TablePlace.FRONT if other is None or product else TablePlace.BEHIND):
        raise ProgramError(f"table is {op['table']}, which is no place")
    if product and other is not None:
        values = _product(op, accumulators, other)
    else:
        values = reference.requantize(accumulators, scales, op["zero_point"], op["lo"], op["hi"])
    if table is not None and op["table"] == TablePlace.FRONT:
        values = reference.look_up(values, table)
    if other is not None and not product:
        values = _joined(op, values, other)
    if table is not None and op["table"] == TablePlace.BEHIND:
        values = reference.look_up(values, table)
    return values


def _product(op: Instruction, accumulators: Array, other: Int8) -> Int8:
    """Of accumulators that hold int8 values, bias and all; else the machine's is another."""
    values: Int8 = accumulators.astype(np.int8)
    if (values != accumulators).any():
        raise ProgramError("a product of accumulators that are no int8 values")
    return reference.multiply(
        values,
        other,
        zero_point_a=op["term_zero_point"],
        zero_point_b=op["res_zero_point"],
        multiplier=float(np.array(op["scale"], np.uint32).view(np.float32)),
        zero_point=op["zero_point"],
        lo=op["lo"],
        hi=op["hi"],
    )


def _joined(op: Instruction, values: Int8, other: Int8) -> Int8:
    """A sum or a difference; of an extremum it has one term."""
    own, others = op["multiplier"], op["res_multiplier"]
    join = Join(op["join"])
    if join in (Join.MAXIMUM, Join.MINIMUM):
        takes_own = (values > other) == (join is Join.MAXIMUM)
        summed: Int8 = np.where(
            takes_own, _sum(op, values, other, (own, 0)), _sum(op, values, other, (0, others))
        )
        return summed
    signs = {Join.DIFFERENCE: (1, -1), Join.REVERSED: (-1, 1)}.get(join, (1, 1))
    return _sum(op, values, other, (signs[0] * own, signs[1] * others))


def _sum(op: Instruction, values: Int8, other: Int8, multipliers: tuple[int, int]) -> Int8:
    return reference.add(
        values,
        other,
        zero_point_a=op["term_zero_point"],
        zero_point_b=op["res_zero_point"],
        multipliers=multipliers,
        shift=op["shift"],
        zero_point=op["sum_zero_point"],
        lo=op["sum_lo"],
        hi=op["sum_hi"],
    )
