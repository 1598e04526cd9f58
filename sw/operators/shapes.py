"""Shape rules: the shape of a result, from a proposal that keeps to its constraints."""

from __future__ import annotations

from sw.operators.row import Proposal, Shape

MAP_RANK = 3
"""Of a feature map; the one axis of a flat tensor counts as the last of these."""


def axes_of(shape: Shape) -> range:
    """The axes of a tensor of ``shape``."""
    return range(MAP_RANK - len(shape), MAP_RANK)


def without(shape: Shape, axis: int) -> Shape:
    """``shape`` but for one axis."""
    return with_extent(shape, axis, 0)


def with_extent(shape: Shape, axis: int, extent: int) -> Shape:
    """``shape`` with another extent of an axis."""
    place = axis - MAP_RANK
    return tuple(extent if n == place else size for n, size in enumerate(shape, -len(shape)))


def outputs(size: int, before: int, after: int, kernel: int, stride: int) -> int:
    """How many windows lie in ``size`` rows or columns between their padding."""
    return (size + before + after - kernel) // stride + 1


def _windows(proposal: Proposal, channels: int) -> Shape:
    operation, (height, width, _) = proposal.operation, proposal.source.shape
    pads, kernel, stride = operation.padding, operation.kernel, operation.stride
    return (
        outputs(height, pads.top, pads.bottom, kernel[0], stride[0]),
        outputs(width, pads.left, pads.right, kernel[1], stride[1]),
        channels,
    )


def convolved(proposal: Proposal) -> Shape:
    """A window for each output pixel, and a channel for each set of weights."""
    assert proposal.weights is not None
    return _windows(proposal, proposal.weights[0])


def pooled(proposal: Proposal) -> Shape:
    """A window for each output pixel, with the channels of the input."""
    return _windows(proposal, proposal.source.shape[2])


def classes(proposal: Proposal) -> Shape:
    """One value for each row of the weights."""
    assert proposal.weights is not None
    return (proposal.weights[0],)


def same(proposal: Proposal) -> Shape:
    """That of the input."""
    return proposal.source.shape


def joined(proposal: Proposal) -> Shape:
    """That of the inputs, with the extents of all along the axis."""
    axis = proposal.operation.axis
    extent = sum(each.shape[axis - MAP_RANK] for each in proposal.inputs)
    return with_extent(proposal.source.shape, axis, extent)


def sliced(proposal: Proposal) -> Shape:
    """That of the input, with as many channels, or rows or columns, as are taken."""
    operation = proposal.operation
    return with_extent(proposal.source.shape, operation.axis, operation.count)


def repeated(proposal: Proposal) -> Shape:
    """That of the input, with so many times the rows and columns."""
    (height, width, count), (down, across) = proposal.source.shape, proposal.operation.factor
    return (height * down, width * across, count)


def channels(proposal: Proposal) -> Shape:
    """The channels of the input, as a flat tensor or as a map of one pixel, row or column."""
    height, width, count = proposal.source.shape
    if proposal.operation.axes != (0, 1):
        return (height, 1, count) if proposal.operation.axes == (1,) else (1, width, count)
    return (1, 1, count) if proposal.keep_dims else (count,)
