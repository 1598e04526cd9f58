"""What the operators of a TFLite model read: activations, constants, options, each checked."""

from __future__ import annotations

import dataclasses
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite.file import (
    ACTIVATIONS,
    DYNAMIC,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
)
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.numerics import Activation
from sw.operations import Padding, Pair
from sw.operators import find

Array = npt.NDArray[Any]

HOST = "SOFTMAX, QUANTIZE and DEQUANTIZE"
_ACTIVATIONS: dict[str, Activation] = {"NONE": "none", "RELU": "relu", "RELU6": "relu6"}


def refuse(operator: TfliteOperator, what: str, nearest: str) -> NoReturn:
    """Raise a DnaError that names the operator, what is wrong and what would be right."""
    raise DnaError(f"{operator}: {what}; nearest: {nearest}")


def option(operator: TfliteOperator, name: str) -> int:
    """An option of an operator."""
    if name not in operator.options:
        refuse(operator, f"its table of options has no {name}", "the same with its own table")
    return operator.options[name]


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the file: which of the graph it is, and padding that has yet to be done."""

    name: str
    shape: tuple[int, ...]
    padding: Padding = Padding()  # noqa: RUF009 (immutable)


class Operands:
    """Looks up and checks what an operator reads; refuses what is not supported.

    Args:
        model: the file.

    Attributes:
        builder: of the graph, once the input is known.
        values: what is computed on the machine so far, by index in the file.
    """

    builder: GraphBuilder

    def __init__(self, model: TfliteModel) -> None:
        self.model = model
        self.values: dict[int, Value] = {}

    def quantized(self, tensor: TfliteTensor, what: str) -> None:
        """Check that an activation is int8 with one scale and zero point."""
        name = f"{what}: activation {tensor.name!r}"
        if tensor.type == "FLOAT32":
            raise DnaError(
                f"{name} is FLOAT32 within the network; nearest: full-integer quantization, INT8"
            )
        if tensor.type != "INT8":
            raise DnaError(f"{name} is {tensor.type}; nearest: INT8")
        if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
            raise DnaError(
                f"{name} has {len(tensor.scales)} scales; nearest: one for the whole tensor"
            )

    def activation(self, operator: TfliteOperator, index: int) -> TfliteTensor:
        """A tensor that is int8 with one scale and a fixed shape."""
        tensor = self.model.tensors[index]
        self.quantized(tensor, str(operator))
        if DYNAMIC in tensor.shape or not tensor.shape:
            refuse(
                operator, f"{tensor.name!r} has a dynamic shape {list(tensor.shape)}", "a fixed one"
            )
        return tensor

    def operand(self, operator: TfliteOperator, position: int = 0) -> Value:
        """An input that the machine has computed."""
        if position >= len(operator.inputs) or operator.inputs[position] < 0:
            refuse(operator, f"input {position} is missing", "an input that is computed")
        index = operator.inputs[position]
        tensor = self.model.tensors[index]
        if index in self.values:
            return self.values[index]
        if tensor.data is not None:
            refuse(operator, f"input {position} is a constant", "an input that is computed")
        if tensor.type in ("INT8", "FLOAT32", "UINT8"):
            refuse(
                operator,
                f"it reads what the host computes ({tensor.name!r}, {tensor.type})",
                f"{HOST} at the edges of the network only",
            )
        return self.values[self.activation(operator, index).index]

    def map(self, operator: TfliteOperator, position: int = 0) -> Value:
        """An operand that is a feature map, batch 1, as the graph holds it."""
        value = self.operand(operator, position)
        if len(value.shape) != 4:
            refuse(
                operator,
                f"input of rank {len(value.shape)}",
                "rank 4, [1, height, width, channels]",
            )
        if value.shape[0] != 1:
            refuse(operator, f"a batch of {value.shape[0]}", "a batch of 1")
        held = self.builder.tensor(value.name).shape
        pads = value.padding
        padded = (
            value.shape[1] - pads.top - pads.bottom,
            value.shape[2] - pads.left - pads.right,
            value.shape[3],
        )
        if held != padded:
            refuse(
                operator,
                f"its input was reshaped from {list(held)} to {list(padded)}",
                "RESHAPE in front of FULLY_CONNECTED, or of the network's input",
            )
        return value

    def constant(self, operator: TfliteOperator, position: int, what: str) -> TfliteTensor:
        """An input that is a constant; ``what`` it is called in messages, in the plural."""
        index = operator.inputs[position] if position < len(operator.inputs) else -1
        if index < 0 or self.model.tensors[index].data is None:
            sparse = index >= 0 and self.model.tensors[index].sparse
            refuse(
                operator,
                f"{what} {'in a sparse form' if sparse else 'that are no constant'}",
                f"constant {what}",
            )
        return self.model.tensors[index]

    def activation_of(self, operator: TfliteOperator) -> Activation:
        """The fused activation."""
        number = option(operator, "fusedActivationFunction")
        code = ACTIVATIONS.get(number, str(number))
        if code not in _ACTIVATIONS or (
            code != "NONE" and find("tflite", f"{code} (fused)") is None
        ):
            refuse(operator, f"the fused activation {code}", "RELU, RELU6 or none")
        return _ACTIVATIONS[code]

    def output(self, operator: TfliteOperator, activation: Activation = "none") -> Output:
        """How the file quantizes the result."""
        tensor = self.model.tensors[operator.outputs[0]]
        return Output(float(tensor.scales[0]), int(tensor.zero_points[0]), activation)

    def same_quantization(self, operator: TfliteOperator) -> None:
        """Check that the output has the scale and zero point of the input."""
        source = self.model.tensors[operator.inputs[0]]
        target = self.model.tensors[operator.outputs[0]]
        if (
            source.scales.tolist() != target.scales.tolist()
            or source.zero_points.tolist() != target.zero_points.tolist()
        ):
            refuse(
                operator,
                "its output has another scale or zero point than its input",
                "the same for both",
            )

    def weights(self, operator: TfliteOperator, rank: int, dimension: int) -> Weights:
        """Weights as they stand in the file, a scale for every output channel, and the bias."""
        weights = self.constant(operator, 1, "weights")
        assert weights.data is not None
        if weights.type != "INT8" or weights.data.ndim != rank:
            refuse(operator, f"{weights.type} weights of rank {weights.data.ndim}", "INT8")
        channels = weights.data.shape[dimension]
        if len(weights.scales) not in (1, channels) or (
            len(weights.scales) > 1 and weights.dimension != dimension
        ):
            refuse(
                operator,
                f"{len(weights.scales)} weight scales along dimension {weights.dimension}",
                "one for the tensor or one for each output channel",
            )
        if weights.zero_points.any():
            refuse(operator, "weights with a zero point other than 0", "symmetric weights")
        scales = np.broadcast_to(weights.scales, channels).astype(np.float32)
        return Weights(weights.data, self.bias(operator, channels), scales)

    def bias(self, operator: TfliteOperator, channels: int) -> npt.NDArray[np.int32]:
        """The bias, zeros if a fully connected layer has none."""
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            if operator.code == "FULLY_CONNECTED":
                return np.zeros(channels, np.int32)
            refuse(operator, "it has no bias", "a bias of zeros")
        bias = self.constant(operator, 2, "biases")
        assert bias.data is not None
        if bias.type != "INT32" or bias.data.shape != (channels,):
            refuse(
                operator,
                f"{bias.type} bias of shape {list(bias.data.shape)}",
                f"INT32 [{channels}]",
            )
        if not len(bias.scales) or bias.zero_points.any():
            refuse(
                operator,
                "a bias without scale or with a zero point, which LiteRT's delegate does not take",
                "a bias with scale s_in * s_w and zero point 0",
            )
        return bias.data.astype(np.int32)

    def window(self, operator: TfliteOperator, value: Value, kernel: Pair) -> Window:
        """A window over ``value``; its padding includes that of a PAD before it."""
        stride = (option(operator, "strideH"), option(operator, "strideW"))
        if min(stride) < 1:
            refuse(operator, f"stride {list(stride)}", "1 or 2")
        mode = option(operator, "padding")
        if mode not in (schema.Padding.SAME, schema.Padding.VALID):
            refuse(operator, f"padding mode {mode}", "SAME or VALID")
        pads = value.padding
        same = [(0, 0), (0, 0)]
        if mode == schema.Padding.SAME:
            same = [_same(value.shape[1 + axis], kernel[axis], stride[axis]) for axis in range(2)]
        (top, bottom), (left, right) = same
        return Window(
            kernel,
            stride,
            Padding(pads.top + top, pads.bottom + bottom, pads.left + left, pads.right + right),
        )


def _same(size: int, kernel: int, stride: int) -> Pair:
    """TFLite's SAME: as many outputs as strides begin in the input, the smaller half in front."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
