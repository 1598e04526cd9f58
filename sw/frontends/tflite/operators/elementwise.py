"""What operators of two operands read: two maps, or a map and a constant."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.file.reader import TfliteTensor
from sw.frontends.tflite.functions.prelu import prelu, prelu_tables
from sw.frontends.tflite.operators.copies import Built
from sw.frontends.tflite.operators.values.operands import Operands, Value
from sw.graph_builder import Output, Weights
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Scalar
from sw.operators.shapes import MAP_RANK

_POT = "potScaleInt16"
"""An option of int16."""


class Elementwise(Operands):
    """Looks up their operands."""

    def two(self, operator: TfliteOperator, name: str) -> tuple[Value, str, bool]:
        """A map, what is joined to it, and whether the file has them the other way round.

        The other is a map of its shape, or a pixel for all of it, which a constant is, too.
        """
        found = self._constant_operand(operator)
        if found is not None:
            place, tensor = found
            value = self.operand(operator, 1 - place)
            values = self._for_channels(operator, value, tensor)
            output = Output(float(tensor.scales[0]), int(tensor.zero_points[0]))
            other = self.builder.constant_pixel(f"{name}.constant", value.name, values, output)
            return value, other, place == 0
        a, b = self.operand(operator, 0), self.operand(operator, 1)
        swapped = math.prod(a.shape) < math.prod(b.shape)
        if swapped:
            a, b = b, a
        pixel = (1,) * (len(a.shape) - 1) + a.shape[-1:]
        if b.shape not in (a.shape, pixel, (1, a.shape[-1])):
            operator.refuse(
                f"shapes {list(a.shape)} and {list(b.shape)}",
                "two operands of one shape, or one of a pixel",
            )
        return a, b.name, swapped

    def _for_channels(
        self, operator: TfliteOperator, value: Value, tensor: TfliteTensor
    ) -> npt.NDArray[np.int8]:
        """A constant as a value for each channel of the map, as the graph holds it."""
        assert tensor.data is not None
        held = self.builder.tensor(value.name).shape
        try:
            there = np.broadcast_to(tensor.data, value.shape).reshape(-1, held[-1])
        except ValueError:
            there = np.zeros((0, 0), np.int8)
        if not there.size or (there != there[0]).any():
            operator.refuse(
                f"a constant of shape {list(tensor.data.shape)} for {list(value.shape)}",
                "one number, or one for each channel",
            )
        values: npt.NDArray[np.int8] = np.ascontiguousarray(there[0])
        return values

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

    def parametric(self, operator: TfliteOperator, name: str) -> Built:
        """PRELU, with a constant for each channel."""
        found = self._constant_operand(operator)
        if found is None or found[0] != 1:
            operator.refuse("slopes that are no constant", "constant slopes")
        if operator.outputs[0] in self.unsigned:
            operator.refuse("UINT8 slopes", "INT8")
        value, tensor = self.map(operator), found[1]
        slopes, output = self._for_channels(operator, value, tensor), self.output(operator)
        source = self.builder.tensor(value.name)
        tables = prelu_tables(
            (source.scale, source.zero_point),
            (output.scale, output.zero_point),
            slopes,
            (float(tensor.scales[0]), int(tensor.zero_points[0])),
        )
        return prelu(self.builder, name, value.name, output, tables), value.shape

    def factors(self, operator: TfliteOperator) -> tuple[Value, Weights] | None:
        """A map, and a constant for each of its channels as weights; None if there is none such.

        With weights ``b - zp`` and scale ``s_b`` a depthwise convolution of one pixel is the
        product, to the bit: docs/numerics.md.
        """
        found = self._constant_operand(operator)
        if found is None:
            return None
        place, tensor = found
        assert tensor.data is not None
        value = self.operand(operator, 1 - place)
        held = self.builder.tensor(value.name).shape
        given = self._for_channels(operator, value, tensor)
        values, channels = given.astype(np.int16) - int(tensor.zero_points[0]), len(given)
        fits = values.min() >= INT8_MIN and values.max() <= INT8_MAX
        if len(held) != MAP_RANK or not fits:
            return None
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
