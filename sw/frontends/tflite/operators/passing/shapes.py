"""What a TFLite file computes from shapes, which are fixed: constants."""

from __future__ import annotations

import numpy as np

from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.values.operands import Array, Operands
from sw.operators import nearest

_TYPES = ("INT32", "INT64")


class ShapeArithmetic(Operands):
    """Works out SHAPE and what is made of its result, for the RESHAPE that reads it."""

    def shape_arithmetic(self, operator: TfliteOperator) -> None:
        """One of ``COMPUTED``."""
        output = self.model.tensors[operator.outputs[0]]
        if output.type not in _TYPES:
            operator.refuse("this operator is not supported", nearest("tflite", operator.code))
        self.shapes[output.index] = COMPUTED[operator.code](self, operator)

    def shape_of(self, operator: TfliteOperator) -> Array:
        """SHAPE."""
        value = self.operand(operator)
        operator.option("outType")  # the tensor has its own
        return np.array(value.shape, np.int64)

    def slice_of(self, operator: TfliteOperator) -> Array:
        """STRIDED_SLICE of a vector."""
        values = self.integers(operator, 0, "values")
        given = [self.integers(operator, n, "bounds").reshape(-1) for n in (1, 2, 3)]
        if values.ndim != 1 or any(array.size != 1 for array in given):
            operator.refuse(f"a slice of {values.ndim} dimensions", "a slice of a vector")
        begin, end, step = (int(array[0]) for array in given)
        for name in ("ellipsisMask", "newAxisMask", "offset"):
            operator.expect(name, 0)
        first = None if operator.option("beginMask") & 1 else begin
        last = None if operator.option("endMask") & 1 else end
        if operator.option("shrinkAxisMask") & 1:
            if first is None or step != 1 or not -len(values) <= begin < len(values):
                operator.refuse(f"element {begin} with step {step}", "an element that there is")
            return np.asarray(values[begin])
        if step == 0:
            operator.refuse("step 0", "step 1")
        return values[first:last:step]

    def packed(self, operator: TfliteOperator) -> Array:
        """PACK of single values."""
        operator.expect("axis", 0)
        operator.expect("valuesCount", len(operator.inputs))
        values = [self.integers(operator, n, "values") for n in range(len(operator.inputs))]
        if any(value.size != 1 for value in values):
            operator.refuse("vectors", "single values")
        return np.array([int(value.reshape(-1)[0]) for value in values], np.int64)


COMPUTED = {
    "SHAPE": ShapeArithmetic.shape_of,
    "STRIDED_SLICE": ShapeArithmetic.slice_of,
    "PACK": ShapeArithmetic.packed,
}
"""What works out each operator of the row."""
