"""What a graph is made of: int8 tensors, and the operations between them.

Tensors are in NHWC with batch 1 (the batch dimension is left out of shapes). An operation names its
tensors; its large arrays are constants of the graph, named ``<operation>.<what>``.
"""

from __future__ import annotations

import msgspec

from sw.numerics import Activation, Foreign, Function, WithConstant

Pair = tuple[int, int]


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An int8 tensor: ``real = scale * (value - zero_point)``.

    ``shape`` is (height, width, channels), or (channels,) for a flat one. ``scale`` holds a float32
    exactly; JSON keeps its shortest decimal form, which reads back to the same bits.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int


class Padding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows and columns of the zero point put around a feature map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


class _Operation(msgspec.Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    name: str
    inputs: tuple[str, ...]
    output: str


class Conv2D(_Operation, frozen=True, tag="conv2d"):
    """2-D convolution with fused activation.

    Constants: ``weights`` int8 [out, kernel height, kernel width, in]; ``bias`` int32 [out];
    ``weight_scale`` float32 [out]; ``multiplier`` float32 [out], from accumulator to output.
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    activation: Activation
    lo: int
    hi: int


class DepthwiseConv2D(_Operation, frozen=True, tag="depthwise_conv2d"):
    """2-D convolution of every channel by itself, with fused activation.

    With m = output channels / input channels, output channel c sees input channel c // m.
    Constants as :class:`Conv2D`, ``weights`` int8 [out, kernel height, kernel width].
    """

    kernel: Pair
    stride: Pair
    padding: Padding
    activation: Activation
    lo: int
    hi: int


class FullyConnected(_Operation, frozen=True, tag="fully_connected"):
    """Matrix times vector. Constants as :class:`Conv2D`, ``weights`` int8 [out, in]."""

    activation: Activation
    lo: int
    hi: int


class Add(_Operation, frozen=True, tag="add"):
    """Sum of two tensors, in fixed point with ``shift`` fraction bits; see :data:`Joint`.

    Of a difference, the first minus the second, the second multiplier is negative.
    """

    multipliers: Pair
    shift: int
    activation: Activation
    lo: int
    hi: int


class Scalar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A constant that all values of a tensor meet.

    Attributes:
        value, scale, zero_point: as of a :class:`Tensor`.
        shape: of ones, as the file has it.
        first: it is the first operand, and the tensor the second.
        activation: of the result.
    """

    value: int
    scale: float
    zero_point: int
    shape: tuple[int, ...] = ()
    first: bool = False
    activation: Activation = "none"


class Lookup(_Operation, frozen=True, tag="lookup"):
    """A function of each value by itself.

    Constants: ``table`` int8 [256], the result by the byte of the value, read as unsigned.

    Attributes:
        function: what it is called; ``quantize`` only changes scale and zero point, ``table`` is
            none of TFLite's.
        alpha: of ``leaky_relu`` the slope below zero, a float32 value; else 0.
        constant: what else the function is of; None if nothing.
    """

    function: Function | WithConstant | Foreign
    alpha: float = 0.0
    constant: Scalar | None = None


class Multiply(_Operation, frozen=True, tag="multiply"):
    """Product of two tensors; ``multiplier`` holds a float32 value exactly; see :data:`Joint`."""

    multiplier: float
    activation: Activation
    lo: int
    hi: int


class Extremum(_Operation, frozen=True, tag="extremum"):
    """The larger or the smaller one of two int8 values as they are; see :data:`Joint`."""

    largest: bool


class Concatenation(_Operation, frozen=True, tag="concatenation"):
    """The channels of one tensor behind those of the other; scale and zero point stay.

    Attributes:
        axis: 2, the channels; of maps also 0, the rows, or 1, the columns.
    """

    axis: int = 2


class Slice(_Operation, frozen=True, tag="slice"):
    """``count`` channels, or rows or columns, from ``begin`` on; ``axis`` as of a concatenation."""

    begin: int
    count: int
    axis: int = 2


class ResizeNearest(_Operation, frozen=True, tag="resize_nearest"):
    """Every pixel ``factor`` times, (rows, columns)."""

    factor: Pair


class Interleave(_Operation, frozen=True, tag="interleave"):
    """Pixels of maps of one shape in turns; scale and zero point stay.

    Of rows y and columns x of the result, input ``(y % factor[0]) * factor[1] + x % factor[1]`` has
    pixel (y // factor[0], x // factor[1]).
    """

    factor: Pair


class MaxPool2D(_Operation, frozen=True, tag="max_pool2d"):
    """Maximum over a window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Padding


class AveragePool2D(_Operation, frozen=True, tag="average_pool2d"):
    """Average over the part of a window that lies inside the map, halves away from zero.

    Scale and zero point stay; the average is that of the plain int8 values.
    """

    kernel: Pair
    stride: Pair
    padding: Padding


class Mean(_Operation, frozen=True, tag="mean"):
    """Mean over height and width; ``multiplier`` and ``offset`` hold float32 values exactly.

    The output has the shape (channels,) or (1, 1, channels), or keeps one of the two.

    Attributes:
        axes: 0, the height, 1, the width, or both.
    """

    multiplier: float
    offset: float
    axes: tuple[int, ...] = (0, 1)


Operation = (
    Conv2D
    | DepthwiseConv2D
    | FullyConnected
    | Add
    | Multiply
    | Extremum
    | Lookup
    | Concatenation
    | Slice
    | ResizeNearest
    | Interleave
    | MaxPool2D
    | AveragePool2D
    | Mean
)
Joint = Add | Multiply | Extremum
"""Of two tensors of one shape, or of which the second is one pixel, for all of the first."""
Moved = Concatenation | Slice | ResizeNearest | Interleave
"""What moves values and changes none."""
Weighted = Conv2D | FullyConnected
Windowed = Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D
