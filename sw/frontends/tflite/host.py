"""Operators of a TFLite file that are the host's: what stands behind the logits."""

from __future__ import annotations

import math

from sw.frontends.tflite.operands import Hosted, Operands
from sw.frontends.tflite.operator import TfliteOperator
from sw.operations import Padding


class Host(Operands):
    """Leaves to the host what nothing on the machine reads."""

    def leave(self, operator: TfliteOperator) -> None:
        """Leave an operator to the host."""
        index, output = operator.input(0), operator.outputs[0]
        if index not in self.hosted:
            assert self.operand(operator).padding == Padding()  # only a window's input is left one
        before, after = self.model.tensors[index].shape, self.model.tensors[output].shape
        if before != after and operator.code != "ARG_MAX":
            operator.refuse(f"it makes {list(after)} of {list(before)}", "one shape")
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

    def quantization(self, operator: TfliteOperator) -> None:
        """QUANTIZE and DEQUANTIZE behind the logits."""
        source = operator.input(0)
        kind = self.model.tensors[operator.outputs[0]].type
        if source in self.values and operator.code == "QUANTIZE" and kind == "INT8":
            operator.refuse(
                "INT8 to INT8 within the network",
                "one scale and zero point for what is added or joined",
            )
        self.leave(operator)

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


QUIET = ("QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""What changes neither an answer nor the place of a value."""
