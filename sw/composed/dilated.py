"""Dilated convolutions: as ordinary ones, with zeros between the weights."""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.graph_builder import Weights
from sw.operations import Pair


def dilated(weights: Weights, dilation: Pair, axis: int) -> Weights:
    """Weights with zeros between them.

    Args:
        weights: to spread.
        dilation: rows and columns from one weight to the next, 1 where they are neighbours.
        axis: that of the kernel's rows; that of its columns is behind it.
    """
    places = [slice(None)] * axis + [slice(None, None, step) for step in dilation]
    shape = list(weights.values.shape)
    for number, step in enumerate(dilation, axis):
        shape[number] = (shape[number] - 1) * step + 1
    values = np.zeros(shape, weights.values.dtype)
    values[tuple(places)] = weights.values
    return dataclasses.replace(weights, values=values)
