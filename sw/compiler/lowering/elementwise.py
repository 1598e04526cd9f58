"""What is a layer without a convolution: additions and functions, behind an identity."""

from __future__ import annotations

import numpy as np

from hw.isa import TablePlace
from sw.compiler.layers import Convolution, Residual, Table, Window
from sw.compiler.lowering.context import Context
from sw.compiler.lowering.fusion import Follow, Joined
from sw.errors import DnaError
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Add, Lookup, Multiply


def add(context: Context, operation: Add, number: int) -> Convolution:
    """An addition by itself: its first operand plus the second."""
    follow = context.follows[operation.output]
    names = (operation.name, *follow.operations)
    return _identity(
        context,
        operation,
        number,
        operation.inputs[0],
        names,
        residual(context, Joined(operation, 0)),
    )


def function(context: Context, operation: Lookup | Multiply, number: int) -> Convolution:
    """A function by itself, or behind others that nothing else needs."""
    alone = context.functions.get(operation.output)
    if alone is None:
        raise DnaError(
            f"{operation.name}: the machine has no product of two maps; nearest: of a value and a "
            "function of it"
        )
    follow = context.follows[operation.output]
    joined = None if follow.joined is None else residual(context, follow.joined)
    return _identity(context, operation, number, alone.root, follow.operations, joined)


def _identity(
    context: Context,
    operation: Add | Lookup | Multiply,
    number: int,
    source: str,
    names: tuple[str, ...],
    other: Residual | None,
) -> Convolution:
    """A layer that gives POST the values of ``source``.

    Accumulator ``x - zero_point``, multiplier 1 and the zero point added again give every x back
    exactly, and what follows as usual.
    """
    tensor = context.graph.tensors[source]
    plane = context.plane(tensor)
    follow = context.follows[operation.output]
    return Convolution(
        number=number,
        operations=names,
        source=plane,
        target=context.plane(context.graph.tensors[follow.output]),
        zero_point=tensor.zero_point,
        macs=0,
        window=Window(1, 1),
        weights=np.eye(plane.channels, dtype=np.int8).reshape(plane.channels, 1, 1, -1),
        bias=np.zeros(plane.channels, np.int32),
        multiplier=np.ones(plane.channels, np.float32),
        fields={"zero_point": tensor.zero_point, "lo": INT8_MIN, "hi": INT8_MAX},
        residual=other,
        table=table(follow),
    )


def table(follow: Follow) -> Table | None:
    """The table of a layer, and where in POST it stands."""
    if follow.front is not None:
        return Table(follow.front.table, TablePlace.FRONT)
    return None if follow.behind is None else Table(follow.behind.table, TablePlace.BEHIND)


def residual(context: Context, joined: Joined) -> Residual:
    """The operand of an addition that is not computed with it."""
    addition, position = joined.addition, joined.position
    own, other = (
        context.graph.tensors[addition.inputs[place]] for place in (position, 1 - position)
    )
    return Residual(
        context.plane(other),
        {
            "multiplier": addition.multipliers[position],
            "res_multiplier": addition.multipliers[1 - position],
            "shift": addition.shift,
            "term_zero_point": own.zero_point,
            "res_zero_point": other.zero_point,
            "sum_zero_point": context.graph.result(addition).zero_point,
            "sum_lo": addition.lo,
            "sum_hi": addition.hi,
        },
    )
