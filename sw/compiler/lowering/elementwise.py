"""What is a layer without a convolution: what joins two maps, and functions, behind an identity."""

from __future__ import annotations

import dataclasses

import numpy as np

from hw.isa import Join, TablePlace
from sw.compiler.layers import Convolution, Residual, Table, Window
from sw.compiler.lowering.context import LIMITS, Context
from sw.compiler.lowering.fusion import Follow, Joined
from sw.numerics import ADD_FRACTION_BITS, INT8_MAX, INT8_MIN
from sw.operations import Add, Extremum, Lookup, Multiply


def add(context: Context, operation: Add | Extremum, number: int) -> Convolution:
    """An addition by itself: its first operand plus the second; or another choice of the two."""
    if operation.output in context.functions:
        return function(context, operation, number)
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


def multiply(context: Context, operation: Multiply, number: int) -> Convolution:
    """A product by itself: of the accumulators of an identity, which are its first operand."""
    if operation.output in context.functions:
        return function(context, operation, number)
    follow = context.follows[operation.output]
    own, other = context.graph.operands(operation)
    names = (operation.name, *follow.operations)
    factors = Residual(
        context.plane(other),
        {
            "join": Join.PRODUCT,
            "scale": int(np.float32(operation.multiplier).view(np.uint32)),
            "shift": ADD_FRACTION_BITS,  # one that POST takes
            "term_zero_point": own.zero_point,
            "res_zero_point": other.zero_point,
        },
    )
    layer = _identity(context, operation, number, operation.inputs[0], names, factors)
    zero_point = context.graph.result(operation).zero_point
    return dataclasses.replace(
        layer,
        # With a bias of that, an accumulator is the value, zero point and all.
        bias=np.full(len(layer.bias), own.zero_point, np.int32),
        fields={"zero_point": zero_point, "lo": operation.lo, "hi": operation.hi},
    )


def function(
    context: Context, operation: Lookup | Multiply | Extremum | Add, number: int
) -> Convolution:
    """A function by itself, or behind others that nothing else needs."""
    alone = context.functions[operation.output]
    follow = context.follows[operation.output]
    joined = None if follow.joined is None else residual(context, follow.joined)
    return _identity(context, operation, number, alone.root, follow.operations, joined)


def _identity(
    context: Context,
    operation: Add | Lookup | Multiply | Extremum,
    number: int,
    source: str,
    names: tuple[str, ...],
    other: Residual | None,
) -> Convolution:
    """A layer that gives POST the values of ``source``.

    Accumulator ``x - zero_point``, multiplier 1 and the zero point added again give every x back
    exactly, and what follows as usual. No value depends on those of other words, and all channels
    have the same parameters: so each word is a pixel of its own, with one pass for it instead of
    one for every word beside it.
    """
    tensor = context.graph.tensors[source]
    plane = context.plane(tensor)
    follow = context.follows[operation.output]
    by_words = plane.words > 1 and plane.row_words <= min(LIMITS["in_width"], LIMITS["out_width"])
    channels = context.config.rows if by_words else plane.channels
    return Convolution(
        number=number,
        operations=names,
        source=plane,
        target=context.plane(context.graph.tensors[follow.output]),
        zero_point=tensor.zero_point,
        macs=0,
        window=Window(1, 1),
        weights=np.eye(channels, dtype=np.int8).reshape(channels, 1, 1, -1),
        bias=np.zeros(channels, np.int32),
        multiplier=np.ones(channels, np.float32),
        fields={"zero_point": tensor.zero_point, "lo": INT8_MIN, "hi": INT8_MAX},
        residual=other,
        table=table(follow),
        by_words=by_words,
    )


def table(follow: Follow) -> Table | None:
    """The table of a layer, and where in POST it stands."""
    if follow.front is not None:
        return Table(follow.front.table, TablePlace.FRONT)
    return None if follow.behind is None else Table(follow.behind.table, TablePlace.BEHIND)


def residual(context: Context, joined: Joined) -> Residual:
    """The operand of an addition, or of a choice, that is not computed with it."""
    addition, position = joined.addition, joined.position
    own, other = (
        context.graph.tensors[addition.inputs[place]] for place in (position, 1 - position)
    )
    if isinstance(addition, Extremum):
        one = 1 << ADD_FRACTION_BITS
        return Residual(
            context.plane(other),
            {
                "join": Join.MAXIMUM if addition.largest else Join.MINIMUM,
                "multiplier": one,
                "res_multiplier": one,
                "shift": ADD_FRACTION_BITS,
                "sum_lo": INT8_MIN,
                "sum_hi": INT8_MAX,
            },
        )
    multipliers = addition.multipliers[position], addition.multipliers[1 - position]
    join = Join.SUM
    if min(multipliers) < 0:
        join = Join.REVERSED if multipliers[0] < 0 else Join.DIFFERENCE
    return Residual(
        context.plane(other),
        {
            "join": join,
            "multiplier": abs(multipliers[0]),
            "res_multiplier": abs(multipliers[1]),
            "shift": addition.shift,
            "term_zero_point": own.zero_point,
            "res_zero_point": other.zero_point,
            "sum_zero_point": context.graph.result(addition).zero_point,
            "sum_lo": addition.lo,
            "sum_hi": addition.hi,
        },
    )
