"""What DEPTHWISE computes, from the words that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DEPTHWISE_SIDE, DnaConfig
from hw.isa import Instruction
from hw.isa.accesses import parameter_rows
from hw.microarchitecture import DEPTHWISE_COLUMNS, DEPTHWISE_KERNEL, PARAMETER_BYTES
from sim import reference
from sim.interpreter.errors import ProgramError

Array = npt.NDArray[Any]
Int8 = npt.NDArray[np.int8]

PARAMETERS = np.dtype([("bias", "<i4"), ("scale", "<f4")])
"""What requantization needs of an output channel."""


def check(config: DnaConfig, op: Instruction) -> None:
    """Check what only DEPTHWISE asks of its fields.

    Raises:
        ProgramError: the machine has no such engine, or refuses the instruction.
    """
    if not config.depthwise_words:
        raise ProgramError("the machine has no depthwise engine")
    for side, pad in (("height", "top"), ("width", "left")):
        kernel, padding = op[f"kernel_{side}"], op[f"pad_{pad}"]
        if kernel > DEPTHWISE_KERNEL:
            raise ProgramError(f"a kernel {side} of {kernel} is more than {DEPTHWISE_KERNEL}")
        if not 0 <= padding < kernel:
            raise ProgramError(f"pad_{pad} {padding} is not within a kernel {side} of {kernel}")
    if op["in_width"] > DEPTHWISE_COLUMNS:
        raise ProgramError(f"rows of {op['in_width']} columns do not fit the line buffer")
    if op["split"]:
        _check_split(config, op)


def _check_split(config: DnaConfig, op: Instruction) -> None:
    """Check what the machine asks of neighbouring pixels that share the words of a cycle."""
    joint, group = 1 << op["split"], config.depthwise_words >> op["split"]
    if not group:
        raise ProgramError(f"{joint} pixels do not share {config.depthwise_words} words")
    if op["in_words"] % (2 * group) != group:
        raise ProgramError(f"{op['in_words']} words are no odd multiple of {group}")
    if op["in_width"] % joint or op["out_width"] * op["stride"] != op["in_width"]:
        raise ProgramError(f"rows of {op['in_width']} columns are not whole {joint} pixels")
    if op["stride"] > 2 or op["kernel_width"] > DEPTHWISE_SIDE:
        raise ProgramError(f"{joint} pixels do not share a window of this width or stride")


def parameter_addresses(config: DnaConfig, op: Instruction) -> Array:
    """Addresses [group, row, word] of weights, bias and scale."""
    rows = parameter_rows(op["kernel_height"], op["kernel_width"])
    group = config.depthwise_words >> op["split"]
    shape = (-(-op["in_words"] // group), rows, group)
    return op["parameters"] + np.arange(np.prod(shape)).reshape(shape)


def convolve(op: Instruction, seen: Int8, content: Int8) -> Int8:
    """The results.

    Args:
        op: the instruction.
        seen: int8 [pixels, taps, words, rows], what the windows see.
        content: int8 [group, row, word, rows], weights, bias and scale as they are in memory.

    Returns:
        int8 [pixels, channels].
    """
    pixels, taps, words, rows = seen.shape
    of_channels = content.transpose(1, 0, 2, 3).reshape(content.shape[1], -1)[:, : words * rows]
    high, wide = (-(-op[f"kernel_{side}"] // DEPTHWISE_SIDE) for side in ("height", "width"))
    blocks = of_channels[:-PARAMETER_BYTES].reshape(high, wide, DEPTHWISE_SIDE, DEPTHWISE_SIDE, -1)
    square = blocks.transpose(0, 2, 1, 3, 4).reshape(
        high * DEPTHWISE_SIDE, wide * DEPTHWISE_SIDE, -1
    )
    weights = square[: op["kernel_height"], : op["kernel_width"]].reshape(taps, -1)
    parameters = np.ascontiguousarray(of_channels[-PARAMETER_BYTES:].T).view(PARAMETERS)[:, 0]
    sums = np.tile(parameters["bias"].astype(np.int64), (pixels, 1))
    for tap, weight in enumerate(weights.astype(np.int64)):
        sums += seen[:, tap].reshape(pixels, -1) * weight
    return reference.requantize(
        reference.wrap_int32(sums), parameters["scale"], op["zero_point"], op["lo"], op["hi"]
    )
