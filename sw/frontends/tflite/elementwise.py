"""What operators of two operands read: two maps, or a map and a constant."""

from __future__ import annotations

import numpy as np

from sw.frontends.tflite.file import TfliteTensor
from sw.frontends.tflite.operands import Operands, Value
from sw.frontends.tflite.operator import TfliteOperator
from sw.graph_builder import Weights
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Scalar

_POT = "potScaleInt16"
"""An option of int16."""


class Elementwise(Operands):
    """Looks up their operands."""

    def two(self, operator: TfliteOperator) -> tuple[Value, Value]:
        """Two maps of one shape."""
        a, b = self.operand(operator, 0), self.operand(operator, 1)
        if a.shape != b.shape:
            operator.refuse(
                f"shapes {list(a.shape)} and {list(b.shape)}", "two operands of one shape"
            )
        return a, b

    def scalar(self, operator: TfliteOperator) -> Scalar | None:
        """The operand that is one number; None if there is none."""
        found = self._constant_operand(operator)
        if found is None:
            return None
        place, tensor = found
        assert tensor.data is not None
        if tensor.data.size != 1:
            return None
        operator.ignore(_POT)
        fused = "fusedActivationFunction" in operator.options
        return Scalar(
            value=int(tensor.data.reshape(-1)[0]),
            scale=float(tensor.scales[0]),
            zero_point=int(tensor.zero_points[0]),
            shape=tuple(tensor.data.shape),
            first=place == 0,
            activation=self.activation_of(operator) if fused else "none",
        )

    def factors(self, operator: TfliteOperator) -> tuple[Value, Weights] | None:
        """A map, and a constant for each of its channels as weights; None if there is none.

        With weights ``b - zp`` and scale ``s_b`` a depthwise convolution of one pixel is the
        product, to the bit: docs/numerics.md.
        """
        found = self._constant_operand(operator)
        if found is None:
            return None
        place, tensor = found
        assert tensor.data is not None
        value = self.map(operator, 1 - place)
        channels = value.shape[3]
        values = tensor.data.reshape(-1).astype(np.int16) - int(tensor.zero_points[0])
        fits = values.min() >= INT8_MIN and values.max() <= INT8_MAX
        if tensor.data.shape[-1:] != (channels,) or values.size != channels or not fits:
            operator.refuse(
                f"a constant of shape {list(tensor.data.shape)}, {values.min()} to {values.max()} "
                "around its zero point",
                f"one number, or {channels} in -128..127 around it",
            )
        return value, Weights(
            values=values.astype(np.int8).reshape(channels, 1, 1),
            bias=np.zeros(channels, np.int32),
            scale=np.full(channels, tensor.scales[0], np.float32),
        )

    def _constant_operand(self, operator: TfliteOperator) -> tuple[int, TfliteTensor] | None:
        """The constant int8 operand of two, and its position."""
        if len(operator.inputs) != 2:
            return None
        for place in (1, 0):
            tensor = self.model.tensors[operator.input(place)]
            if tensor.data is None or tensor.index in self.values:
                continue
            self.constant(operator, place, "operands")
            if tensor.type != "INT8" or len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
                operator.refuse(
                    f"a constant of {tensor.type} with {len(tensor.scales)} scales",
                    "INT8 with one",
                )
            if tensor.dimension:
                operator.refuse(
                    f"a constant's scale of dimension {tensor.dimension}", "dimension 0"
                )
            return place, tensor
        return None
