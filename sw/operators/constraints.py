"""What the contract asks of an operation before it joins a graph.

Scales are judged where they become multipliers, in :mod:`sw.numerics`. What only some machine
cannot do, such as a kernel larger than a field of an instruction, is the compiler's to refuse.
"""

from __future__ import annotations

import math

from sw import numerics
from sw.errors import DnaError
from sw.operators.row import Constraint, Proposal
from sw.operators.shapes import MAP_RANK, axes_of, outputs, without

MAX_STEP = 32767
"""The most rows or columns of a stride or a padding; more is no network but a damaged file."""


def _spatial(proposal: Proposal) -> str | None:
    source = proposal.source
    if len(source.shape) == 3:
        return None
    return f"input {source.name!r} has shape {source.shape}, not (height, width, channels)"


def _dense_weights(proposal: Proposal) -> str | None:
    weights, channels = proposal.weights or (), proposal.source.shape[2]
    if len(weights) == 4 and weights[3] == channels:
        return None
    return (
        f"weights {list(weights)} do not fit {channels} input channels "
        "(expected [out, height, width, in])"
    )


def _depthwise_weights(proposal: Proposal) -> str | None:
    weights, channels = proposal.weights or (), proposal.source.shape[2]
    if len(weights) == 3 and weights[0] % channels == 0:
        return None
    return (
        f"weights {list(weights)} do not fit {channels} input channels "
        "(expected [a multiple of them, height, width])"
    )


def _matrix(proposal: Proposal) -> str | None:
    weights, shape = proposal.weights or (), proposal.source.shape
    if len(weights) == 2 and weights[1] == math.prod(shape):
        return None
    return f"weights {list(weights)} do not fit an input of {shape} (expected [out, in])"


def _kernel(proposal: Proposal) -> str | None:
    kernel, held = proposal.operation.kernel, (proposal.weights or ())[1:3]
    return None if kernel == held else f"a window of {kernel} on weights for {held}"


def _steps(proposal: Proposal) -> str | None:
    stride = proposal.operation.stride
    if min(stride) < 1:
        return f"stride {stride!r} must be at least 1"
    return None if max(stride) <= MAX_STEP else f"stride {stride!r} is more than {MAX_STEP}"


def _padding(proposal: Proposal) -> str | None:
    pads = proposal.operation.padding
    sides = (pads.top, pads.bottom, pads.left, pads.right)
    if min(sides) < 0:
        return f"{pads} is less than nothing"
    return f"{pads} is more than {MAX_STEP}" if max(sides) > MAX_STEP else None


def _fits(proposal: Proposal) -> str | None:
    pads, (height, width, _) = proposal.operation.padding, proposal.source.shape
    padded = (height + pads.top + pads.bottom, width + pads.left + pads.right)
    for kernel, size in zip(proposal.operation.kernel, padded, strict=True):
        if kernel < 1:
            return f"a kernel of {kernel} sees nothing"
        if size < kernel:
            return f"a kernel of {kernel} does not fit an input of {size} with padding"
    return None


def _window(proposal: Proposal) -> str | None:
    return _steps(proposal) or _padding(proposal) or _fits(proposal)


def _sees_input(proposal: Proposal) -> str | None:
    operation, shape = proposal.operation, proposal.source.shape
    pads = operation.padding
    for axis, (before, after) in enumerate(((pads.top, pads.bottom), (pads.left, pads.right))):
        kernel, stride = operation.kernel[axis], operation.stride[axis]
        last = (outputs(shape[axis], before, after, kernel, stride) - 1) * stride - before
        if before >= kernel or last >= shape[axis]:
            return f"{pads} leaves a window without any input"
    return None


def _exact_average(proposal: Proposal) -> str | None:
    try:
        numerics.average_multiplier(math.prod(proposal.operation.kernel), proposal.name)
    except DnaError as error:
        return str(error).removeprefix(f"{proposal.name}: ")
    return None


def _one_shape(proposal: Proposal) -> str | None:
    left, right = (tensor.shape for tensor in proposal.inputs)
    if left == right or (len(left) == 3 and right in ((1, 1, left[2]), (left[2],))):
        return None
    return f"cannot join shapes {left} and {right}"


def _axes(proposal: Proposal) -> str | None:
    axes = proposal.operation.axes
    if axes == (0, 1) or (axes in ((0,), (1,)) and proposal.keep_dims):
        return None
    return f"axes {axes!r} are not height, width or both"


def _joinable(proposal: Proposal) -> str | None:
    first, axis = proposal.source, proposal.operation.axis
    if axis not in axes_of(first.shape):
        return f"axis {axis!r} of {first.shape}"
    for other in proposal.inputs[1:]:
        if without(other.shape, axis) != without(first.shape, axis):
            return f"cannot join shapes {first.shape} and {other.shape}"
        if (other.scale, other.zero_point) != (first.scale, first.zero_point):
            return f"{other.name!r} has another scale or zero point than {first.name!r}"
    return None if len(proposal.inputs) > 1 else "there is nothing to join"


def _channels_there(proposal: Proposal) -> str | None:
    begin, count = proposal.operation.begin, proposal.operation.count
    shape, axis = proposal.source.shape, proposal.operation.axis
    if axis not in axes_of(shape):
        return f"axis {axis!r} of {shape}"
    there = shape[axis - MAP_RANK]
    if 0 <= begin < begin + count <= there:
        return None
    what = ("rows", "columns", "channels")[axis]
    return f"{what} {begin} to {begin + count} are not among {there}"


def _factor(proposal: Proposal) -> str | None:
    factor = proposal.operation.factor
    if min(factor) < 1 or max(factor) > MAX_STEP:
        return f"a factor of {factor} is not in 1..{MAX_STEP}"
    return None


def _in_turns(proposal: Proposal) -> str | None:
    first, count = proposal.source, math.prod(proposal.operation.factor)
    if len(proposal.inputs) != count:
        return f"{len(proposal.inputs)} maps for {count} places"
    for other in proposal.inputs[1:]:
        if (other.shape, other.scale, other.zero_point) != (
            *(first.shape, first.scale, first.zero_point),
        ):
            return f"{other.name!r} has another shape, scale or zero point than {first.name!r}"
    return None


IN_TURNS = Constraint("a map for each place, of one shape, scale and zero point", _in_turns)
JOINABLE = Constraint(
    "several that differ along one axis only, with one scale and zero point", _joinable
)
CHANNELS_THERE = Constraint("what there is of them", _channels_there)
FACTOR = Constraint("a whole factor", _factor)
SPATIAL = Constraint("a feature map", _spatial)
DENSE_WEIGHTS = Constraint("weights for every channel", _dense_weights)
DEPTHWISE_WEIGHTS = Constraint("weights for a multiple of the channels", _depthwise_weights)
MATRIX = Constraint("weights for every value", _matrix)
KERNEL = Constraint("a window of their size", _kernel)
ONE_SHAPE = Constraint("two of one shape, or the second one pixel", _one_shape)
AXES = Constraint("height, width or both", _axes)
EXACT_AVERAGE = Constraint(
    f"at most {numerics.MAX_AVERAGE_ELEMENTS} values in a window", _exact_average
)
SEES_INPUT = Constraint("a value of the map in every window", _sees_input)
WINDOW = Constraint("a window that fits the padded map", _window)
