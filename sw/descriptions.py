"""What a front end says of an operation: its window, how its result is quantized, its weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, get_args

import numpy as np

from sw import numerics
from sw.errors import DnaError
from sw.graph import Array
from sw.numerics import Activation, Foreign, Function, WithConstant
from sw.operations import Lookup, Padding, Pair


@dataclasses.dataclass(frozen=True)
class Window:
    """A window that slides over a feature map; pairs are (height, width)."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = Padding()  # noqa: RUF009 (immutable)


@dataclasses.dataclass(frozen=True)
class Output:
    """How a result is quantized, and the activation within: ``real = scale * (q - zero_point)``."""

    scale: float
    zero_point: int
    activation: Activation = "none"

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the greatest int8 value that the activation lets through."""
        return numerics.activation_bounds(self.activation, self.scale, self.zero_point)


@dataclasses.dataclass(frozen=True)
class Weights:
    """Constants of a weighted operation.

    Attributes:
        values: int8 [out, ...], as the operation says.
        bias: int32 [out], at scale ``input scale * scale[out]``.
        scale: float32 [out].
    """

    values: Array
    bias: Array
    scale: Array

    def check(self, name: str) -> None:
        """Refuse other types or shapes.

        Raises:
            DnaError: an array has one; the message begins with ``name``.
        """
        channels = self.values.shape[:1]
        expected: dict[str, tuple[Array, Any, tuple[int, ...]]] = {
            "weights": (self.values, np.int8, self.values.shape),
            "bias": (self.bias, np.int32, channels),
            "weight_scale": (self.scale, np.float32, channels),
        }
        for what, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape:
                raise DnaError(
                    f"{name}: {what} must be {np.dtype(dtype)} {list(shape)}, "
                    f"not {array.dtype} {list(array.shape)}"
                )


def check_table(operation: Lookup, table: Array) -> None:
    """Refuse a table, or a function that has none.

    Raises:
        DnaError: the message begins with the operation's name.
    """
    name, function, constant = operation.name, operation.function, operation.constant
    if operation.output != name:
        raise DnaError(f"{name} is called {operation.output!r} where it ends")
    if table.dtype != np.int8 or table.shape != (numerics.BYTES,):
        raise DnaError(f"{name}: a table must be int8 [256], not {table.dtype} {list(table.shape)}")
    alone = (*get_args(Function), *get_args(Foreign))
    known = alone if constant is None else get_args(WithConstant)
    if function not in known or not math.isfinite(operation.alpha):
        raise DnaError(f"{name}: {function!r} with alpha {operation.alpha!r} is no function")
    if constant is not None:
        numerics.check_scale(constant.scale, f"{name} constant")
        for number in (constant.value, constant.zero_point):
            if not numerics.INT8_MIN <= number <= numerics.INT8_MAX:
                raise DnaError(f"{name}: constant {constant} is not int8")
        if math.prod(constant.shape) != 1 or len(constant.shape) > 5:
            raise DnaError(f"{name}: a constant of shape {list(constant.shape)}")
