"""The operators of a TFLite file as operations of the graph: a handler for each table row."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable

from ai_edge_litert import schema_py_generated as schema

from sw import numerics
from sw.errors import DnaError
from sw.frontends.tflite.file import TfliteModel, TfliteOperator, TfliteTensor
from sw.frontends.tflite.operands import Operands, Value, option, refuse
from sw.graph_builder import Window
from sw.operations import Padding
from sw.operators import find, nearest

_SHAPE_TYPES = ("INT32", "INT64")


def is_a(operator: TfliteOperator, name: str) -> bool:
    """Whether an operator is the one that the table calls ``name``."""
    row = find("tflite", operator.code)
    return row is not None and row.name == name


class Translation(Operands):
    """Adds operations to the graph, one operator after the other.

    Args:
        model: the file.
    """

    def __init__(self, model: TfliteModel) -> None:
        super().__init__(model)
        self.readers: dict[int, list[TfliteOperator]] = defaultdict(list)
        for operator in model.operators:
            for index in operator.inputs:
                self.readers[index].append(operator)

    def convolution(self, operator: TfliteOperator, name: str) -> str:
        """CONV_2D."""
        value = self.map(operator)
        weights = self.weights(operator, 4, 0)
        inputs, channels = weights.values.shape[3], value.shape[3]
        if inputs != channels:
            refuse(
                operator,
                f"groups: weights for {inputs} of {channels} channels",
                "one group, or DEPTHWISE_CONV_2D",
            )
        window = self.convolution_window(operator, value, weights.values.shape[1:3])
        output = self.output(operator, self.activation_of(operator))
        return self.builder.conv2d(name, value.name, weights, output, window)

    def depthwise_convolution(self, operator: TfliteOperator, name: str) -> str:
        """DEPTHWISE_CONV_2D."""
        value = self.map(operator)
        weights = self.weights(operator, 4, 3)
        shape, channels = weights.values.shape, value.shape[3]
        if shape[0] != 1 or shape[3] % channels:
            refuse(
                operator,
                f"weights {list(shape)} on {channels} channels",
                "[1, height, width, a multiple of the channels]",
            )
        window = self.convolution_window(operator, value, shape[1:3])
        output = self.output(operator, self.activation_of(operator))
        arranged = dataclasses.replace(weights, values=weights.values[0].transpose(2, 0, 1))
        return self.builder.depthwise_conv2d(name, value.name, arranged, output, window)

    def convolution_window(
        self, operator: TfliteOperator, value: Value, kernel: tuple[int, int]
    ) -> Window:
        """The window of a convolution, which has no dilation."""
        dilation = (option(operator, "dilationHFactor"), option(operator, "dilationWFactor"))
        if dilation != (1, 1):
            refuse(operator, f"dilation {list(dilation)}", "dilation 1")
        return self.window(operator, value, kernel)

    def fully_connected(self, operator: TfliteOperator, name: str) -> str:
        """FULLY_CONNECTED."""
        value = self.operand(operator)
        weights = self.weights(operator, 2, 0)
        if math.prod(value.shape) != weights.values.shape[1]:
            refuse(
                operator,
                f"{list(weights.values.shape)} weights on an input of {list(value.shape)}",
                "one row of inputs, batch 1",
            )
        if option(operator, "weightsFormat") != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
            refuse(operator, "shuffled weights", "the default order of weights")
        output = self.output(operator, self.activation_of(operator))
        return self.builder.fully_connected(name, value.name, weights, output)

    def addition(self, operator: TfliteOperator, name: str) -> str:
        """ADD."""
        a, b = self.operand(operator, 0), self.operand(operator, 1)
        if a.shape != b.shape:
            refuse(
                operator,
                f"shapes {list(a.shape)} and {list(b.shape)}",
                "two operands of one shape",
            )
        output = self.output(operator, self.activation_of(operator))
        return self.builder.add(name, a.name, b.name, output)

    def max_pool(self, operator: TfliteOperator, name: str) -> str:
        """MAX_POOL_2D."""
        value, window = self.pool_window(operator)
        activation = self.activation_of(operator)
        return self.builder.max_pool2d(name, value.name, window, activation=activation)

    def average_pool(self, operator: TfliteOperator, name: str) -> str:
        """AVERAGE_POOL_2D."""
        value, window = self.pool_window(operator)
        activation = self.activation_of(operator)
        return self.builder.average_pool2d(name, value.name, window, activation=activation)

    def pool_window(self, operator: TfliteOperator) -> tuple[Value, Window]:
        """What a pooling reads, and how."""
        value = self.map(operator)
        self.same_quantization(operator)
        kernel = (option(operator, "filterHeight"), option(operator, "filterWidth"))
        if min(kernel) < 1:
            refuse(operator, f"a window of {list(kernel)}", "at least 1x1")
        output = self.output(operator, self.activation_of(operator))
        if output.activation == "relu6" and output.bounds[1] != _built_in_bound(
            output.scale, output.zero_point
        ):
            refuse(
                operator, "a RELU6 whose bound is half way between two values", "RELU, or no half"
            )
        return value, self.window(operator, value, kernel)

    def mean(self, operator: TfliteOperator, name: str) -> str:
        """MEAN."""
        value = self.map(operator)
        axes = self.constant(operator, 1, "axes").data
        assert axes is not None
        if {int(axis) % 4 for axis in axes.reshape(-1)} != {1, 2}:
            refuse(operator, f"axes {axes.reshape(-1).tolist()}", "axes 1 and 2, height and width")
        return self.builder.mean(name, value.name, self.output(operator), keep_dims=True)

    def padding(self, operator: TfliteOperator, name: str) -> str:
        """PAD, as the padding of what reads it where that can take it."""
        value = self.map(operator)
        self.same_quantization(operator)
        amounts = self.constant(operator, 1, "paddings").data
        assert amounts is not None
        if operator.code == "PADV2":
            filler = self.constant(operator, 2, "pad values").data
            zero_point = self.output(operator).zero_point
            if filler is None or int(filler.reshape(-1)[0]) != zero_point:
                refuse(operator, "a padding other than the zero point", "PAD")
        if amounts.shape != (4, 2) or amounts[0].any() or amounts[3].any():
            refuse(
                operator, "padding of batch or channels", "PAD of height and width, [4, 2] amounts"
            )
        (top, bottom), (left, right) = amounts[1:3].tolist()
        before = value.padding
        padding = Padding(
            before.top + top, before.bottom + bottom, before.left + left, before.right + right
        )
        index = operator.outputs[0]
        readers = self.readers[index]
        if readers and all(self.takes(reader, value.name, padding) for reader in readers):
            shape = self.model.tensors[index].shape
            self.values[index] = Value(value.name, shape, padding)
            return value.name
        return self.builder.identity(name, value.name, padding=padding)

    def takes(self, reader: TfliteOperator, name: str, padding: Padding) -> bool:
        """Whether an operator can do the padding of its input itself.

        A maximum leaves padding out, where PAD puts the zero point: the same if no value is below
        that and no window sees padding only.
        """
        if is_a(reader, "convolution") or is_a(reader, "depthwise convolution"):
            return True
        if not is_a(reader, "max-pool") or option(reader, "padding") != schema.Padding.VALID:
            return False
        return (
            self.builder.at_least_zero_point(name)
            and max(padding.top, padding.bottom) < option(reader, "filterHeight")
            and max(padding.left, padding.right) < option(reader, "filterWidth")
        )

    def view(self, operator: TfliteOperator) -> None:
        """RESHAPE and its like: the same bytes in another shape."""
        if operator.inputs[0] not in self.values:
            return  # behind what the host computes
        self.activation(operator, operator.outputs[0])
        self.same_quantization(operator)
        value = self.operand(operator)
        shape = self.model.tensors[operator.outputs[0]].shape
        if math.prod(shape) != math.prod(value.shape) or value.padding != Padding():
            refuse(
                operator,
                f"{list(value.shape)} to {list(shape)}",
                "a shape with as many values",
            )
        if shape[0] != 1:
            refuse(operator, f"it makes a batch of {shape[0]}", "a batch of 1")
        self.values[operator.outputs[0]] = Value(value.name, shape)

    def quantization(self, operator: TfliteOperator) -> None:
        """QUANTIZE and DEQUANTIZE: the host's, if nothing on the machine reads the result."""
        between = operator.code == "QUANTIZE" and (
            self.model.tensors[operator.outputs[0]].type == "INT8"
        )
        if between and operator.inputs[0] in self.values:
            refuse(
                operator,
                "INT8 to INT8 within the network",
                "one scale and zero point for what is added or joined",
            )

    def softmax(self, operator: TfliteOperator) -> None:
        """SOFTMAX: the host's, if nothing on the machine reads the result."""

    def shape_arithmetic(self, operator: TfliteOperator) -> None:
        """Nothing to do: shapes are fixed, and the result stands in the output of the RESHAPE."""
        if self.model.tensors[operator.outputs[0]].type not in _SHAPE_TYPES:
            refuse(operator, "this operator is not supported", nearest("tflite", operator.code))

    def check_shape(self, operator: TfliteOperator, output: TfliteTensor) -> None:
        """Check that the file says of the output's shape what the graph finds."""
        value = self.values[output.index]
        held, pads = self.builder.tensor(value.name).shape, value.padding
        if len(held) == 3:
            height, width, channels = held
            held = (height + pads.top + pads.bottom, width + pads.left + pads.right, channels)
        if math.prod(held) != math.prod(output.shape) or (
            len(output.shape) == 4 and len(held) == 3 and held != output.shape[1:]
        ):
            raise DnaError(
                f"{operator}: the file says that its output has shape {list(output.shape)}, but it "
                f"is {[1, *held]}; export the model again"
            )


def _built_in_bound(scale: float, zero_point: int) -> int:
    """The bound of RELU6 in LiteRT's own kernels, which round halves away from zero."""
    steps = math.floor(float(numerics.f32(6) / numerics.f32(scale)) + 0.5)
    return min(steps + zero_point, numerics.INT8_MAX)


Handler = Callable[[Translation, TfliteOperator], None]


def _computed(build: Callable[[Translation, TfliteOperator, str], str]) -> Handler:
    """A handler whose operator has a result on the machine; ``build`` says which tensor it is."""

    def handle(self: Translation, operator: TfliteOperator) -> None:
        output = self.activation(operator, operator.outputs[0])
        try:
            name = build(self, operator, f"{operator.code.lower()}_{operator.index}")
        except DnaError as error:
            text = str(error)
            raise DnaError(
                text if text.startswith("operator ") else f"{operator}: {text}"
            ) from error
        self.values.setdefault(output.index, Value(name, output.shape))
        self.check_shape(operator, output)

    return handle


HANDLERS: dict[str, Handler] = {
    "convolution": _computed(Translation.convolution),
    "depthwise convolution": _computed(Translation.depthwise_convolution),
    "fully connected": _computed(Translation.fully_connected),
    "addition": _computed(Translation.addition),
    "max-pool": _computed(Translation.max_pool),
    "average-pool": _computed(Translation.average_pool),
    "mean": _computed(Translation.mean),
    "padding": _computed(Translation.padding),
    "view": Translation.view,
    "quantization": Translation.quantization,
    "softmax": Translation.softmax,
    "shape arithmetic": Translation.shape_arithmetic,
}
"""What each row of the table becomes; an activation is fused into another operator."""
