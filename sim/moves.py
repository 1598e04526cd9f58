"""What moves values and changes none, in plain numpy: a part of :mod:`sim.reference`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sw.graph import Graph
from sw.operations import Concatenation, Interleave, ResizeNearest, Slice
from sw.operators.shapes import MAP_RANK

Int8 = npt.NDArray[np.int8]


def concatenate(_graph: Graph, operation: Concatenation, inputs: list[Int8]) -> Int8:
    """Parts, one behind the other."""
    return np.concatenate(inputs, axis=operation.axis - MAP_RANK)


def slice_of(_graph: Graph, operation: Slice, inputs: list[Int8]) -> Int8:
    """Neighbours along an axis."""
    chosen = range(operation.begin, operation.begin + operation.count)
    return inputs[0].take(chosen, axis=operation.axis - MAP_RANK)


def resize_nearest(_graph: Graph, operation: ResizeNearest, inputs: list[Int8]) -> Int8:
    """Every pixel several times."""
    down, across = operation.factor
    return inputs[0].repeat(down, axis=0).repeat(across, axis=1)


def interleave(_graph: Graph, operation: Interleave, inputs: list[Int8]) -> Int8:
    """Pixels of maps of one shape in turns."""
    down, across = operation.factor
    height, width, channels = inputs[0].shape
    turns = np.stack(inputs).reshape(down, across, height, width, channels)
    return turns.transpose(2, 0, 3, 1, 4).reshape(height * down, width * across, channels)
