"""Operators of a TFLite file that are the host's: what stands behind the logits."""

from __future__ import annotations

import math

from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.values.operands import Hosted, Operands
from sw.operations import Padding


class Host(Operands):
    """Leaves to the host what nothing on the machine reads."""

    def leave(self, operator: TfliteOperator) -> None:
        """Leave an operator to the host."""
        index, output = operator.input(0), operator.outputs[0]
        if index not in self.hosted:
            assert self.operand(operator).padding == Padding()  # only a window's input is left one
        read, made = self.model.tensors[index], self.model.tensors[output]
        types = MADE.get(operator.code, (read.type,))
        if made.type not in types:
            operator.refuse(f"it makes {made.type} of {read.type}", " or ".join(types))
        low, high = RANGES.get(made.type, (-math.inf, math.inf))
        zeros, scales = made.zero_points.tolist(), made.scales.tolist()
        if any(not low <= zero <= high for zero in zeros):
            operator.refuse(f"a zero point of {zeros}", f"{low} to {high}")
        if made.type in RANGES and not (len(scales) == 1 and 0 < scales[0] < math.inf):
            operator.refuse(f"scales {scales}", "one above 0")
        if made.shape != read.shape and operator.code != "ARG_MAX":
            operator.refuse(f"it makes {list(made.shape)} of {list(read.shape)}", "one shape")
        self.hosted[output] = Hosted(self.hosted[index].border if index in self.hosted else index)

    def softmax(self, operator: TfliteOperator) -> None:
        """SOFTMAX and its like, which keep the order of the logits."""
        self.leave(operator)
        if operator.code == "SOFTMAX":
            beta = float(operator.option("beta"))
            if not (math.isfinite(beta) and beta > 0):
                operator.refuse(f"beta {beta}", "beta 1")
        if operator.code == "ARG_MAX":
            axis = self.integers(operator, 1, "axes").reshape(-1).tolist()
            rank = len(self.model.tensors[operator.input(0)].shape)
            if axis not in ([-1], [rank - 1]):
                operator.refuse(f"axis {axis}", "the last axis, the classes")
            operator.ignore("outputType")

    def notes(self, output: int) -> list[str]:
        """What the host has to do between the border and the tensor ``output``, in order."""
        notes: list[str] = []
        index = output
        while index in self.hosted:
            operator = self.writer[index]
            told = f"{operator} is left to the host; the artifact ends with "
            if operator.code not in QUIET:
                notes.append(told + repr(self.model.tensors[self.hosted[output].border].name))
            index = operator.inputs[0]
        return notes[::-1]


MADE = {
    "QUANTIZE": ("INT8", "UINT8"),
    "DEQUANTIZE": ("FLOAT32",),
    "ARG_MAX": ("INT32", "INT64"),
}
"""Types of results; all others keep that of what they read."""

RANGES = {"INT8": (-128, 127), "UINT8": (0, 255)}
"""Least and greatest zero point of the types that have one."""

QUIET = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""What changes neither an answer nor the place of a value."""
