"""What the graph makes of PyTorch's functions of a value."""

from __future__ import annotations

from sw.numerics import Function
from sw.operations import Scalar

SIGMOID = (1 / 256, -128)
"""Scale and zero point of a sigmoid within another function, as LiteRT has them."""
SIXTHS = (6 / 255, -128)
"""Of ``relu6(x + 3)`` within a hard sigmoid."""
NEAR_ZERO = (8 / 255, 0)
"""Of -4 to 4, beyond which a hard sigmoid is constant."""
THREE = Scalar(value=127, scale=3 / 127, zero_point=0, shape=(1,), activation="relu6")
SIXTH = Scalar(value=127, scale=1 / 6 / 127, zero_point=0, shape=(1,))
FUNCTIONS: dict[str, Function] = {
    "sigmoid": "logistic",
    "tanh": "tanh",
    "hardswish": "hard_swish",
    "leaky_relu": "leaky_relu",
}
"""What the graph calls PyTorch's functions."""
