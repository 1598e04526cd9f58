"""Grouped convolutions: each output channel sees the input channels of its group only.

A convolution with zeros for all other channels computes one to the bit. Where several groups have
whole words of channels on both sides, the map is cut there: a slice, a convolution and a part of
the joint result for each such part, which costs copies and saves multiplications.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.errors import DnaError
from sw.graph import Array
from sw.graph_builder import GraphBuilder, Output, Weights, Window

WORDS = (32, 16, 8)
"""Channels that fill words of the machines there are, those with the largest words first."""


def parts_of(groups: int, inputs: int, outputs: int) -> int:
    """In how many parts a map of so many channels is cut; 1 if in none."""
    for word in WORDS:
        for parts in range(groups, 1, -1):
            whole = groups % parts == 0 and inputs % parts == 0 and outputs % parts == 0
            if whole and inputs // parts % word == 0 and outputs // parts % word == 0:
                return parts
    return 1


def grouped_conv2d(
    builder: GraphBuilder,
    name: str,
    x: str,
    weights: Weights,
    output: Output,
    window: Window | None = None,
) -> str:
    """Add a grouped convolution.

    Args:
        builder: to add it to.
        name, x, output, window: as for :meth:`GraphBuilder.conv2d`.
        weights: int8 [out, kernel height, kernel width, channels of a group].

    Raises:
        DnaError: the channels are no whole groups, or as for :meth:`GraphBuilder.conv2d`.
    """
    inputs, (outputs, *_, each) = builder.tensor(x).shape[-1], weights.values.shape
    groups = inputs // each if each and inputs % each == 0 else 0
    if not groups or outputs % groups:
        raise DnaError(f"{name}: {each} of {inputs} channels for {outputs} are no whole groups")
    parts = parts_of(groups, inputs, outputs)
    made = []
    for part in range(parts):
        rows = slice(part * (outputs // parts), (part + 1) * (outputs // parts))
        held = dataclasses.replace(
            weights,
            values=_spread(weights.values[rows], groups // parts),
            bias=weights.bias[rows],
            scale=weights.scale[rows],
        )
        if parts == 1:
            return builder.conv2d(name, x, held, output, window)
        count = inputs // parts
        cut = builder.slice_channels(f"{name}.{part}.in", x, part * count, count)
        made.append(builder.conv2d(f"{name}.{part}", cut, held, output, window))
    return builder.concatenate(name, made)


def _spread(values: Array, groups: int) -> Array:
    """Weights for all channels of ``groups`` groups, zero where an output does not see one."""
    outputs, height, width, each = values.shape
    dense = np.zeros((outputs, height, width, groups, each), np.int8)
    for group in range(groups):
        rows = slice(group * (outputs // groups), (group + 1) * (outputs // groups))
        dense[rows, :, :, group] = values[rows]
    return dense.reshape(outputs, height, width, groups * each)
