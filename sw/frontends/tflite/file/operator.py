"""An operator of a TFLite file whose every field is read, or the operator is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from sw.errors import DnaError
from sw.frontends.tflite.file.fields import says_nothing

TABLES = {
    "CONV_2D": "Conv2DOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "SUB": "SubOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "HARD_SWISH": "HardSwishOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "ABS": "AbsOptions",
    "NEG": "NegOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SLICE": "SliceOptions",
    "SPLIT": "SplitOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "SQUEEZE": "SqueezeOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "TRANSPOSE": "TransposeOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
    "SOFTMAX": "SoftmaxOptions",
    "LOG_SOFTMAX": "LogSoftmaxOptions",
    "ARG_MAX": "ArgMaxOptions",
    "SHAPE": "ShapeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "PACK": "PackOptions",
}
"""The table of options that each operator has; LOGISTIC and its like have none.

LiteRT reads no other one: it takes zeros instead.
"""

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
BIAS = 2
"""The input that these may leave out. Where another one is, LiteRT can crash."""


class OperatorError(DnaError):
    """An operator that is not supported.

    Attributes:
        operator: its index in the file.
    """

    def __init__(self, message: str, operator: int) -> None:
        self.operator = operator
        super().__init__(message)


class TfliteOperator:
    """An operator.

    Args:
        index: in the order of execution.
        code: as the schema calls it, CONV_2D for example; of a custom one its own name.
        inputs, outputs: indices of tensors, -1 for one that is left out.
        table: of its options, as the schema calls it; empty if there is none.
        options: the fields of that table, with the schema object's names and values.
        fault: what it says that nobody reads; empty if nothing.
        defaults: of the fields of that table.
    """

    def __init__(
        self,
        index: int,
        code: str,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        *,
        table: str = "",
        options: Mapping[str, Any] | None = None,
        defaults: Mapping[str, Any] | None = None,
        fault: str = "",
    ) -> None:
        self.index = index
        self.code = code
        self.inputs = inputs
        self.outputs = outputs
        self.table = table
        self.options = dict(options or {})
        self.fault = fault
        self._defaults = dict(defaults or {})
        self._read: set[str] = set()
        self._inputs: set[int] = set()

    def __str__(self) -> str:
        return f"operator {self.index} ({self.code})"

    def refuse(self, what: str, nearest: str) -> NoReturn:
        """Raise an OperatorError that names the operator, what is wrong and what would be right."""
        raise OperatorError(f"{self}: {what}; nearest: {nearest}", self.index)

    def fresh(self) -> TfliteOperator:
        """The same operator, of which nobody has read anything."""
        return TfliteOperator(
            self.index,
            self.code,
            self.inputs,
            self.outputs,
            table=self.table,
            options=self.options,
            defaults=self._defaults,
            fault=self.fault,
        )

    def check(self) -> None:
        """Refuse another number of outputs than one, no input, or another operator's options."""
        if self.fault:
            self.refuse(self.fault, "the same without it")
        if len(self.outputs) != 1 or self.outputs[0] < 0:
            self.refuse(f"{len(self.outputs)} outputs", "one")
        if not self.inputs:
            self.refuse("it has no input", "one")
        for position, index in enumerate(self.inputs):
            if index < 0 and not (self.code in WEIGHTED and position == BIAS):
                self.refuse(f"input {position} is left out", "an input that is there")
        if self.table not in ("", TABLES.get(self.code, "")):
            self.refuse(
                f"its options are {self.table}", TABLES.get(self.code, "no table of options")
            )

    def input(self, position: int) -> int:
        """Index of an input tensor, -1 if it is left out."""
        self._inputs.add(position)
        return self.inputs[position] if position < len(self.inputs) else -1

    def option(self, name: str) -> Any:
        """An option.

        Raises:
            DnaError: its table is left out.
        """
        self._read.add(name)
        if name not in self.options:
            self.refuse(f"its table of options has no {name}", "the same with its own table")
        return self.options[name]

    def expect(self, name: str, *accepted: Any) -> None:
        """Refuse an option that is there and has another value."""
        if name in self.options and self.option(name) not in accepted:
            self.refuse(f"{name} {self.options[name]}", " or ".join(map(str, accepted)))

    def ignore(self, *names: str) -> None:
        """Take for read what LiteRT does not heed here."""
        self._read.update(names)

    def finish(self) -> None:
        """Refuse what nobody has read: options with a value of their own, and inputs."""
        for name, value in self.options.items():
            if name not in self._read and not says_nothing(value, self._defaults.get(name)):
                self.refuse(f"option {name} is {value}", f"no {name}")
        for position, index in enumerate(self.inputs):
            if index >= 0 and position not in self._inputs:
                self.refuse(f"it has an input {position}", f"{position} inputs")
