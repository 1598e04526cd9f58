"""What POST makes of the accumulators of a tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hw.isa import Instruction, TablePlace
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
        other: of an addition its other operand, of that shape.
        table: int8 [256] by the unsigned byte of a value, if the instruction has one.

    Raises:
        ProgramError: the machine would refuse the instruction.
    """
    if op["table"] > (TablePlace.FRONT if other is None else TablePlace.BEHIND):
        raise ProgramError(f"table is {op['table']}, which is no place")
    values = reference.requantize(accumulators, scales, op["zero_point"], op["lo"], op["hi"])
    if table is not None and op["table"] == TablePlace.FRONT:
        values = reference.look_up(values, table)
    if other is not None:
        values = reference.add(
            values,
            other,
            zero_point_a=op["term_zero_point"],
            zero_point_b=op["res_zero_point"],
            multipliers=(op["multiplier"], op["res_multiplier"]),
            shift=op["shift"],
            zero_point=op["sum_zero_point"],
            lo=op["sum_lo"],
            hi=op["sum_hi"],
        )
    if table is not None and op["table"] == TablePlace.BEHIND:
        values = reference.look_up(values, table)
    return values
