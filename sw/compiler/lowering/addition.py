"""Additions: with the convolution that computes an operand, or as a convolution of their own."""

from __future__ import annotations

import numpy as np

from sw.compiler.layers import Convolution, Residual, Window
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.fusion import Joined
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Add


def add(context: Context, operation: Add, number: int) -> Convolution:
    """An addition by itself: the identity of its first operand plus the second.

    Accumulator ``x - zero_point``, multiplier 1 and the zero point added again give every x back
    exactly, and the addition follows as usual.
    """
    common = context.common(operation, number)
    channels = common["source"].channels
    return Convolution(
        **common,
        window=Window(1, 1),
        weights=np.eye(channels, dtype=np.int8).reshape(channels, 1, 1, channels),
        bias=np.zeros(channels, np.int32),
        multiplier=np.ones(channels, np.float32),
        fields={"zero_point": common["zero_point"], "lo": INT8_MIN, "hi": INT8_MAX},
        residual=residual(context, Joined(operation, 0)),
    )


def residual(context: Context, joined: Joined) -> Residual:
    """The operand of an addition that is not computed with it."""
    addition, position = joined.addition, joined.position
    other = context.graph.operands(addition)[1 - position]
    return Residual(
        context.plane(other),
        {
            "multiplier": addition.multipliers[position],
            "res_multiplier": addition.multipliers[1 - position],
            "shift": addition.shift,
            "res_zero_point": other.zero_point,
            "sum_zero_point": context.graph.result(addition).zero_point,
            "sum_lo": addition.lo,
            "sum_hi": addition.hi,
        },
    )
