"""What the operators of a TFLite model read: activations, constants, options, each checked."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sw import numerics
from sw.errors import DnaError
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.file.reader import ACTIVATIONS, DYNAMIC, TfliteModel, TfliteTensor
from sw.frontends.tflite.operators.values.axes import Axes
from sw.graph_builder import GraphBuilder, Output, Weights, Window
from sw.numerics import Activation
from sw.operations import Padding, Pair
from sw.operators import find, table

Array = npt.NDArray[Any]

_ACTIVATIONS: dict[str, Activation] = {"NONE": "none", "RELU": "relu", "RELU6": "relu6"}


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the file: which of the graph it is, and padding that has yet to be done."""

    name: str
    shape: tuple[int, ...]
    padding: Padding = Padding()  # noqa: RUF009 (immutable)


@dataclasses.dataclass(frozen=True)
class Hosted:
    """A tensor of the file that the host computes from one of the machine's.

    Attributes:
        border: that tensor, an index in the file.
        axes: how its values lie among those of the border if they were only moved, else None.
    """

    border: int
    axes: Axes | None = None


class Operands:
    """Looks up and checks what an operator reads; refuses what is not supported.

    Args:
        model: the file, with INT8 instead of UINT8.
        unsigned: indices of the activations that are UINT8 in the file.

    Attributes:
        builder: of the graph, once the input is known.
        values: what is computed on the machine so far, by index in the file.
        hosted: what the host makes of it, likewise.
        shapes: constants that the file computes from shapes, likewise.
        readers: the operators that read a tensor, by its index.
        writer: the operator that writes a tensor, by its index.
        repeated: tensors of the graph that have more channels than in the file, behind so many.
    """

    builder: GraphBuilder

    def __init__(self, model: TfliteModel, unsigned: frozenset[int]) -> None:
        self.model = model
        self.unsigned = unsigned
        self.repeated: dict[str, int] = {}
        self.values: dict[int, Value] = {}
        self.hosted: dict[int, Hosted] = {}
        self.shapes: dict[int, Array] = {}
        self.readers: dict[int, list[TfliteOperator]] = defaultdict(list)
        self.writer: dict[int, TfliteOperator] = {}
        for operator in model.operators:
            self.writer.update(dict.fromkeys(operator.outputs, operator))
            for index in operator.inputs:
                self.readers[index].append(operator)

    def quantized(self, tensor: TfliteTensor, what: str) -> None:
        """Check that an activation is int8 with one scale and zero point."""
        name = f"{what}: activation {tensor.name!r}"
        if tensor.type == "FLOAT32":
            raise DnaError(
                f"{name} is FLOAT32 within the network; nearest: full-integer quantization, INT8"
            )
        if tensor.type != "INT8":
            raise DnaError(f"{name} is {tensor.type}; nearest: INT8")
        if tensor.fault or tensor.sparse or tensor.data is not None:
            fault = tensor.fault or f"it has {'sparse' if tensor.sparse else 'constant'} values"
            raise DnaError(f"{name}: {fault}; nearest: the same without it")
        if len(tensor.scales) != 1 or len(tensor.zero_points) != 1:
            raise DnaError(
                f"{name} has {len(tensor.scales)} scales; nearest: one for the whole tensor"
            )
        if tensor.dimension:
            raise DnaError(
                f"{name} has a scale of dimension {tensor.dimension}, which LiteRT's delegate does "
                "not take; nearest: dimension 0"
            )

    def activation(self, operator: TfliteOperator, index: int) -> TfliteTensor:
        """A tensor that is int8 with one scale and a fixed shape."""
        tensor = self.model.tensors[index]
        self.quantized(tensor, str(operator))
        if DYNAMIC in tensor.shape or not tensor.shape:
            operator.refuse(
                f"{tensor.name!r} has a dynamic shape {list(tensor.shape)}", "a fixed one"
            )
        return tensor

    def operand(self, operator: TfliteOperator, position: int = 0) -> Value:
        """An input that the machine has computed."""
        index = operator.input(position)
        if index < 0:
            operator.refuse(f"input {position} is missing", "an input that is computed")
        if index in self.values:
            return self.values[index]
        tensor = self.model.tensors[index]
        if tensor.data is not None:
            operator.refuse(f"input {position} is a constant", "an input that is computed")
        if index in self.hosted:
            writer = self.writer[index]
            moved = self.hosted[index].axes is not None
            operator.refuse(
                f"it reads what the host {'moves' if moved else 'computes'} ({tensor.name!r}, "
                f"{tensor.type}, by {writer})",
                f"{writer.code} of the network's input, at its end, or undone"
                if moved
                else f"{host_operators()} at the edges of the network only",
            )
        self.activation(operator, index)
        return operator.refuse(
            f"it reads {tensor.name!r} before anything has computed it", "operators in order"
        )

    def map(self, operator: TfliteOperator, position: int = 0) -> Value:
        """An operand that is a feature map, batch 1, as the graph holds it."""
        value = self.operand(operator, position)
        if len(value.shape) != 4:
            operator.refuse(
                f"input of rank {len(value.shape)}",
                "rank 4, [1, height, width, channels]",
            )
        if value.shape[0] != 1:
            operator.refuse(f"a batch of {value.shape[0]}", "a batch of 1")
        held = self.builder.tensor(value.name).shape
        pads = value.padding
        padded = (
            value.shape[1] - pads.top - pads.bottom,
            value.shape[2] - pads.left - pads.right,
            value.shape[3],
        )
        if held != padded:
            operator.refuse(
                f"its input was reshaped from {list(held)} to {list(padded)}",
                "RESHAPE in front of FULLY_CONNECTED, or of the network's input",
            )
        return value

    def constant(self, operator: TfliteOperator, position: int, what: str) -> TfliteTensor:
        """An input that is a constant; ``what`` it is called in messages, in the plural."""
        index = operator.input(position)
        tensor = None if index < 0 else self.model.tensors[index]
        if tensor is None or tensor.data is None or tensor.sparse or index in self.writer:
            sparse = tensor is not None and tensor.sparse
            operator.refuse(
                f"{what} {'in a sparse form' if sparse else 'that are no constant'}",
                f"constant {what}",
            )
        if tensor.fault:
            operator.refuse(f"{what}: {tensor.fault}", "the same without it")
        return tensor

    def integers(self, operator: TfliteOperator, position: int, what: str) -> Array:
        """A constant input of int32 or int64, or one that the file computes from shapes."""
        index = operator.input(position)
        if index in self.shapes:
            return self.shapes[index]
        tensor = self.constant(operator, position, what)
        if tensor.type not in ("INT32", "INT64") or tensor.data is None:
            operator.refuse(f"{what} of type {tensor.type}", "INT32")
        return tensor.data.astype(np.int64)

    def activation_of(self, operator: TfliteOperator) -> Activation:
        """The fused activation."""
        number = operator.option("fusedActivationFunction")
        code = ACTIVATIONS.get(number, str(number))
        if code not in _ACTIVATIONS or (
            code != "NONE" and find("tflite", f"{code} (fused)") is None
        ):
            operator.refuse(f"the fused activation {code}", "RELU, RELU6 or none")
        return _ACTIVATIONS[code]

    def output(self, operator: TfliteOperator, activation: Activation = "none") -> Output:
        """How the file quantizes the result."""
        tensor = self.model.tensors[operator.outputs[0]]
        scale, zero_point = float(tensor.scales[0]), int(tensor.zero_points[0])
        if tensor.index in self.unsigned and activation == "relu6":
            steps = numerics.f32(6) / numerics.f32(scale)
            places = [np.rint(numerics.f32(steps + numerics.f32(z))) - z for z in (0, 128)]
            if places[0] != places[1]:  # float32 rounds a sum with the other zero point otherwise
                operator.refuse("a RELU6 whose bound is half way between two values", "RELU")
        return Output(scale, zero_point, activation)

    def same_quantization(self, operator: TfliteOperator) -> None:
        """Check that the output has the scale and zero point of the input."""
        source = self.model.tensors[operator.inputs[0]]
        target = self.model.tensors[operator.outputs[0]]
        if (
            source.scales.tolist() != target.scales.tolist()
            or source.zero_points.tolist() != target.zero_points.tolist()
        ):
            operator.refuse(
                "its output has another scale or zero point than its input",
                "the same for both",
            )

    def weights(
        self, operator: TfliteOperator, rank: int, dimension: int, bias: int = 2
    ) -> Weights:
        """Weights as they stand in the file, a scale for every output channel, and the bias."""
        weights = self.constant(operator, 1, "weights")
        assert weights.data is not None
        if weights.type != "INT8" or weights.data.ndim != rank:
            operator.refuse(f"{weights.type} weights of rank {weights.data.ndim}", "INT8")
        channels = weights.data.shape[dimension]
        if len(weights.scales) not in (1, channels) or (
            len(weights.scales) > 1 and weights.dimension != dimension
        ):
            operator.refuse(
                f"{len(weights.scales)} weight scales along dimension {weights.dimension}",
                "one for the tensor or one for each output channel",
            )
        if weights.zero_points.any():
            operator.refuse("weights with a zero point other than 0", "symmetric weights")
        scales = np.broadcast_to(weights.scales, channels).astype(np.float32)
        return Weights(weights.data, self.bias(operator, channels, bias), scales)

    def bias(self, operator: TfliteOperator, channels: int, position: int) -> npt.NDArray[np.int32]:
        """The bias, zeros if a fully connected layer has none."""
        if operator.input(position) < 0:
            if operator.code == "FULLY_CONNECTED":
                return np.zeros(channels, np.int32)
            operator.refuse("it has no bias", "a bias of zeros")
        bias = self.constant(operator, position, "biases")
        assert bias.data is not None
        if bias.type != "INT32" or bias.data.shape != (channels,):
            operator.refuse(
                f"{bias.type} bias of shape {list(bias.data.shape)}",
                f"INT32 [{channels}]",
            )
        usable = len(bias.scales) and np.isfinite(bias.scales).all() and (bias.scales > 0).all()
        if not usable or bias.zero_points.any():
            operator.refuse(
                "a bias without scale or with a zero point, which LiteRT's delegate does not take",
                "a bias with scale s_in * s_w and zero point 0",
            )
        return bias.data.astype(np.int32)

    def window(self, operator: TfliteOperator, value: Value, kernel: Pair) -> Window:
        """A window over ``value``; its padding includes that of a PAD before it."""
        stride = (operator.option("strideH"), operator.option("strideW"))
        if min(stride) < 1:
            operator.refuse(f"stride {list(stride)}", "1 or 2")
        mode = operator.option("padding")
        if mode not in (schema.Padding.SAME, schema.Padding.VALID):
            operator.refuse(f"padding mode {mode}", "SAME or VALID")
        pads = value.padding
        same = [(0, 0), (0, 0)]
        if mode == schema.Padding.SAME:
            same = [
                same_padding(value.shape[1 + axis], kernel[axis], stride[axis]) for axis in range(2)
            ]
        (top, bottom), (left, right) = same
        return Window(
            kernel,
            stride,
            Padding(pads.top + top, pads.bottom + bottom, pads.left + left, pads.right + right),
        )


def host_operators() -> str:
    """What the file may leave to the host, by name."""
    rows = [row for row in table.TABLE if row.name in ("softmax", "quantization")]
    return ", ".join(name for row in rows for name in row.spelling["tflite"].names)


def same_padding(size: int, kernel: int, stride: int) -> Pair:
    """TFLite's SAME: as many outputs as strides begin in the input, the smaller half in front."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
