"""Weights of more than 8 bits: sums of two int8, over channels that the map has twice.

What UINT8 weights are without their zero point lies in -255..255. The first int8 is the nearest to
a weight, the second what is left of it, and only the channels of which something is left are needed
twice: mostly one or two of a layer. (255 takes a third.)
"""

from __future__ import annotations

import dataclasses

import numpy as np

from sw.frontends.tflite.operands import Operands, Value
from sw.frontends.tflite.operator import TfliteOperator
from sw.graph_builder import Weights
from sw.numerics import INT8_MAX, INT8_MIN


def is_wide(weights: Weights) -> bool:
    """Whether some do not fit int8."""
    return bool(weights.values.dtype != np.int8)


def spread(weights: Weights, channels: int) -> Weights:
    """Weights of a depthwise convolution as those of a plain one, zero off the diagonal.

    Args:
        weights: [out, height, width].
        channels: of the map.
    """
    values, each = weights.values, np.arange(len(weights.values))
    dense = np.zeros((*values.shape, channels), values.dtype)
    dense[each, :, :, each // (len(values) // channels)] = values
    return dataclasses.replace(weights, values=dense)


class WideWeights(Operands):
    """Puts wide weights in terms of int8 ones."""

    def narrowed(
        self, operator: TfliteOperator, value: Value, weights: Weights
    ) -> tuple[str, Weights]:
        """The map that an operator reads, with channels repeated, and int8 weights for it.

        Args:
            operator: whose first input the map is.
            value: the map.
            weights: of it, [out, ..., in].
        """
        if not is_wide(weights):
            return value.name, weights
        flat = weights.values.ndim == 2  # of a fully connected layer, over a map of any shape
        wide = weights.values
        if flat:
            wide = wide.reshape(len(wide), *self.builder.tensor(value.name).shape)
        parts, channels = [np.clip(wide, INT8_MIN, INT8_MAX)], []
        rest = wide - parts[0]
        while rest.any():  # 255 takes three
            needed = np.flatnonzero(rest.reshape(-1, rest.shape[-1]).any(axis=0))
            part = np.clip(rest, INT8_MIN, INT8_MAX)
            parts.append(part[..., needed])
            channels += needed.tolist()
            rest = rest - part
        index = operator.input(0)
        own = len(self.readers[index]) == 1 and index not in self.model.outputs
        own &= value.name not in self.repeated
        known = self.builder.tensor(value.name).shape[-1]
        name = self.builder.repeated(
            f"{operator.code.lower()}_{operator.index}.again",
            value.name,
            channels,
            own=own,
        )
        if name == value.name:
            self.repeated[name] = known
        values = np.concatenate(parts, axis=-1).astype(np.int8)
        if flat:
            values = values.reshape(len(values), -1)
        return name, dataclasses.replace(weights, values=values)
