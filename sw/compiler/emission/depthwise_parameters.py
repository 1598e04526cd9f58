"""What DEPTHWISE reads besides its input, as it is in DRAM and LOAD brings it (docs/machine.md)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hw.config import DEPTHWISE_SIDE, DnaConfig
from sw.compiler.layers import CHANNEL_PARAMETERS, Depthwise

Int8 = npt.NDArray[np.int8]


def depthwise_parameters(config: DnaConfig, layer: Depthwise) -> Int8:
    """Weights, bias and scale, int8 [group of words, row, channel]; zero where there is none."""
    words = layer.source.words
    group_words = config.depthwise_words >> layer.split
    group = group_words * config.rows
    groups = -(-words // group_words)
    channels, height, width = layer.weights.shape
    high, wide = (-(-size // DEPTHWISE_SIDE) for size in (height, width))
    side = DEPTHWISE_SIDE
    weights = np.zeros((groups * group, high * side, wide * side), np.int8)
    weights[:channels, :height, :width] = layer.weights
    blocks = weights.reshape(groups, group, high, side, wide, side).transpose(0, 2, 4, 3, 5, 1)

    parameters = np.zeros(groups * group, CHANNEL_PARAMETERS)
    sums: npt.NDArray[np.int64] = layer.weights.sum(axis=(1, 2), dtype=np.int64)
    folded: npt.NDArray[np.int64] = layer.bias.astype(np.int64) - layer.zero_point * sums
    parameters["bias"][:channels] = folded.astype(np.int32)
    parameters["scale"][:channels] = layer.multiplier
    said = parameters.view(np.int8).reshape(groups, group, -1).transpose(0, 2, 1)
    return np.concatenate([blocks.reshape(groups, -1, group), said], axis=1)
