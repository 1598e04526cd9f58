"""The operators of a TFLite file as operations of the graph: a handler for each table row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw import numerics
from sw.composed.padded import padded
from sw.errors import DnaError
from sw.frontends.tflite.file.operator import OperatorError, TfliteOperator
from sw.frontends.tflite.functions.tables import function_table, squares_by_the_rule
from sw.frontends.tflite.operators.convolutions import Convolutions
from sw.frontends.tflite.operators.copies import Built
from sw.frontends.tflite.operators.elementwise import Elementwise
from sw.frontends.tflite.operators.passing.entry import Entry, is_a
from sw.frontends.tflite.operators.passing.host import Host
from sw.frontends.tflite.operators.passing.shapes import ShapeArithmetic
from sw.frontends.tflite.operators.values.operands import Value
from sw.frontends.tflite.operators.values.wide import upward_average
from sw.graph_builder import Window
from sw.numerics import Function
from sw.operations import Lookup, Padding

Shape = tuple[int, ...]


class Translation(Entry, Host, ShapeArithmetic, Convolutions, Elementwise):
    """Adds operations to the graph, one operator after the other."""

    def fully_connected(self, operator: TfliteOperator, name: str) -> Built:
        """FULLY_CONNECTED."""
        value = self.operand(operator)
        weights = self.weights(operator, 2, 0)
        if math.prod(value.shape) != weights.values.shape[1]:
            operator.refuse(
                f"{list(weights.values.shape)} weights on an input of {list(value.shape)}",
                "one row of inputs, batch 1",
            )
        if operator.option("weightsFormat") != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
            operator.refuse("shuffled weights", "the default order of weights")
        operator.ignore("asymmetricQuantizeInputs")  # of float activations
        output = self.output(operator, self.activation_of(operator))
        inputs, classes = weights.values.shape[1], weights.values.shape[0]
        shape: Shape = (1, classes)
        if operator.option("keepNumDims"):
            if value.shape[-1] != inputs:
                operator.refuse(f"keepNumDims with {list(value.shape)}", "one row of inputs")
            shape = (*value.shape[:-1], classes)
        source, weights = self.narrowed(operator, value, weights)
        return self.builder.fully_connected(name, source, weights, output), shape

    def addition(self, operator: TfliteOperator, name: str) -> Built:
        """ADD and SUB, of one number as a function."""
        operator.ignore("potScaleInt16")  # of int16
        if self.scalar(operator) is not None:
            return self.function(operator, name)
        a, b, swapped = self.two(operator, name)
        subtract = operator.code == "SUB"
        if subtract and swapped:
            operator.refuse("a pixel minus a map", "a map minus a pixel")
        output = self.output(operator, self.activation_of(operator))
        return self.builder.add(name, a.name, b, output, subtract=subtract), a.shape

    def extremum(self, operator: TfliteOperator, name: str) -> Built:
        """MAXIMUM and MINIMUM, of one number as a function."""
        if self.scalar(operator) is not None:
            return self.function(operator, name)
        a, b, _ = self.two(operator, name)
        largest, output = operator.code == "MAXIMUM", self.output(operator)
        return self.builder.extremum(name, a.name, b, output, largest=largest), a.shape

    def multiplication(self, operator: TfliteOperator, name: str) -> Built:
        """MUL, of a constant as a function or, with one for each channel, a convolution."""
        if self.scalar(operator) is not None:
            return self.function(operator, name)
        output = self.output(operator, self.activation_of(operator))
        factors = self.factors(operator)
        if factors is not None:
            value, weights = factors
            return self.builder.depthwise_conv2d(name, value.name, weights, output), value.shape
        a, b, _ = self.two(operator, name)
        if a.name == b:
            source, unsigned = self.builder.tensor(b), operator.outputs[0] in self.unsigned
            ends = (source.scale, source.zero_point), (output.scale, output.zero_point)
            if not squares_by_the_rule(*ends, output.activation, unsigned=unsigned):
                operator.refuse(
                    "a value times itself with products half way between two steps, which LiteRT "
                    "rounds in another way there",
                    "another scale of the result",
                )
        return self.builder.multiply(name, a.name, b, output), a.shape

    def function(self, operator: TfliteOperator, name: str) -> Built:
        """LOGISTIC and its like, and QUANTIZE of int8 to int8."""
        function = cast(Function, operator.code.lower())
        constant = self.scalar(operator)
        value = self.operand(operator, int(constant is not None and constant.first))
        source, output = self.builder.tensor(value.name), self.output(operator)
        alpha = float(operator.option("alpha")) if function == "leaky_relu" else 0.0
        quantized = (source.scale, source.zero_point), (output.scale, output.zero_point)
        table = function_table(function, *quantized, alpha, constant)
        if operator.outputs[0] in self.unsigned and (
            constant is not None
            or (table != function_table(function, *quantized, alpha, unsigned=True)).any()
        ):
            operator.refuse("UINT8, whose rounding is another", "INT8")
        operation = Lookup(
            name=name,
            inputs=(value.name,),
            output=name,
            function=function,
            alpha=alpha,
            constant=constant,
        )
        return self.builder.lookup(operation, table, output), value.shape

    def function_or_host(self, operator: TfliteOperator) -> None:
        """The same, or what is behind the logits in a type that only the host has."""
        read, made = (
            self.model.tensors[index] for index in (operator.input(0), operator.outputs[0])
        )
        hosted = read.index in self.hosted or read.type != "INT8" or made.type != "INT8"
        if hosted:
            self.leave(operator)
        else:
            _computed(Translation.function)(self, operator)

    def slice_of_any(self, operator: TfliteOperator) -> None:
        """STRIDED_SLICE of what the file computes from shapes, or of channels."""
        if operator.code == "STRIDED_SLICE" and operator.input(0) in self.shapes:
            self.shape_arithmetic(operator)
        else:
            _computed(Translation.channel_slice)(self, operator)

    def quantization(self, operator: TfliteOperator) -> None:
        """QUANTIZE and DEQUANTIZE: of int8 to int8 within the network a function."""
        if operator.code == "QUANTIZE" and operator.input(0) in self.values:
            self.function_or_host(operator)
        else:
            self.leave(operator)

    def max_pool(self, operator: TfliteOperator, name: str) -> Built:
        """MAX_POOL_2D."""
        value, window = self.pool_window(operator)
        activation = self.activation_of(operator)
        return self.computed(
            self.builder.max_pool2d(name, value.name, window, activation=activation)
        )

    def average_pool(self, operator: TfliteOperator, name: str) -> Built:
        """AVERAGE_POOL_2D."""
        value, window = self.pool_window(operator)
        activation = self.activation_of(operator)
        odd = math.prod(window.kernel) % 2 == 1 and window.padding == Padding()
        if operator.outputs[0] in self.unsigned and not odd:
            # Halves go up there, and not away from zero; of an odd count there are none.
            if window.padding != Padding():
                operator.refuse("UINT8 with padding", "padding VALID, or INT8")
            output = self.output(operator, activation)
            return self.computed(upward_average(self.builder, name, value.name, output, window))
        return self.computed(
            self.builder.average_pool2d(name, value.name, window, activation=activation)
        )

    def pool_window(self, operator: TfliteOperator) -> tuple[Value, Window]:
        """What a pooling reads, and how."""
        value = self.map(operator)
        self.same_quantization(operator)
        kernel = (operator.option("filterHeight"), operator.option("filterWidth"))
        if min(kernel) < 1:
            operator.refuse(f"a window of {list(kernel)}", "at least 1x1")
        output = self.output(operator, self.activation_of(operator))
        if output.activation == "relu6" and output.bounds[1] != _built_in_bound(
            output.scale, output.zero_point
        ):
            operator.refuse(
                "a RELU6 whose bound is half way between two values", "RELU, or no half"
            )
        return value, self.window(operator, value, kernel)

    def mean(self, operator: TfliteOperator, name: str) -> Built:
        """MEAN."""
        value = self.map(operator)
        if operator.outputs[0] in self.unsigned:
            operator.refuse("UINT8, whose rounding is another", "INT8, or AVERAGE_POOL_2D")
        given = self.integers(operator, 1, "axes")
        axes = given.reshape(-1).tolist()
        known = given.ndim <= 1 and all(-4 <= axis < 4 for axis in axes)
        over = {axis % 4 for axis in axes}
        if not known or not over or not over <= {1, 2}:
            operator.refuse(f"axes {given.tolist()}", "axes 1 and 2, height and width")
        keep, output = bool(operator.option("keepDims")), self.output(operator)
        inner = tuple(axis - 1 for axis in sorted(over))
        done = self.builder.mean(name, value.name, output, keep_dims=True, axes=inner)
        shape = [1 if axis in over else size for axis, size in enumerate(value.shape)]
        if not keep:
            shape = [size for axis, size in enumerate(shape) if axis not in over]
        return done, tuple(shape)

    def padding(self, operator: TfliteOperator, name: str) -> Built:
        """PAD, as padding of what reads it where that can take it; of channels a convolution."""
        value = self.map(operator)
        self.same_quantization(operator)
        amounts = self.integers(operator, 1, "paddings")
        filler = self.filler(operator) if operator.code == "PADV2" else None
        if amounts.shape != (4, 2) or amounts[0].any() or (amounts < 0).any():
            operator.refuse(f"amounts {amounts.tolist()}", "PAD of all but the batch, [4, 2]")
        (top, bottom), (left, right) = amounts[1:3].tolist()
        before = value.padding
        padding = Padding(
            before.top + top, before.bottom + bottom, before.left + left, before.right + right
        )
        index, (_, height, width, channels) = operator.outputs[0], value.shape
        shape = (1, height + top + bottom, width + left + right, channels)
        if amounts[3].any():
            first, last = amounts[3].tolist()
            wider = self.builder.widened(name, value.name, first, last, padding)
            return wider, (*shape[:3], first + channels + last)
        if filler is not None:
            if before != Padding() or amounts[3].any():
                operator.refuse("a padding other than the zero point", "PAD")
            return padded(self.builder, name, value.name, padding, filler), shape
        readers = self.readers[index]
        taken = readers and all(self.takes(reader, value.name, padding) for reader in readers)
        if taken and index not in self.model.outputs:
            self.values[index] = Value(value.name, shape, padding)
            return value.name, shape
        return self.builder.identity(name, value.name, padding=padding), shape

    def filler(self, operator: TfliteOperator) -> int | None:
        """The value that a PADV2 pads with; None if that is the zero point."""
        filler, output = self.constant(operator, 2, "pad values"), self.output(operator)
        same = (
            filler.type == "INT8"
            and filler.scales.tolist() == [np.float32(output.scale)]
            and filler.zero_points.tolist() == [output.zero_point]
        )
        assert filler.data is not None
        if not same or filler.data.size != 1:
            operator.refuse("a padding of another scale than the map's", "the same")
        value = int(filler.data.reshape(-1)[0])
        return None if value == output.zero_point else value

    def takes(self, reader: TfliteOperator, name: str, padding: Padding) -> bool:
        """Whether an operator can do the padding of its input itself.

        A maximum leaves padding out, where PAD puts the zero point: the same if no value is below
        that and no window sees padding only.
        """
        if is_a(reader, "convolution") or is_a(reader, "depthwise convolution"):
            return True
        if not is_a(reader, "max-pool") or reader.option("padding") != schema.Padding.VALID:
            return False
        return (
            self.builder.at_least_zero_point(name)
            and max(padding.top, padding.bottom) < reader.option("filterHeight")
            and max(padding.left, padding.right) < reader.option("filterWidth")
        )


def _built_in_bound(scale: float, zero_point: int) -> int:
    """The bound of RELU6 in LiteRT's own kernels, which round halves away from zero."""
    steps = math.floor(float(numerics.f32(6) / numerics.f32(scale)) + 0.5)
    return min(steps + zero_point, numerics.INT8_MAX)


Handler = Callable[[Translation, TfliteOperator], None]


def _computed(build: Callable[[Translation, TfliteOperator, str], Built]) -> Handler:
    """A handler whose operator has a result on the machine; ``build`` says which tensor it is."""

    def handle(self: Translation, operator: TfliteOperator) -> None:
        output = self.activation(operator, operator.outputs[0])
        try:
            name, shape = build(self, operator, f"{operator.code.lower()}_{operator.index}")
        except DnaError as error:
            text = str(error)
            raise OperatorError(
                text if text.startswith("operator ") else f"{operator}: {text}", operator.index
            ) from error
        if shape != output.shape:
            operator.refuse(
                f"the file says that its output has shape {list(output.shape)}, but it is "
                f"{list(shape)}",
                "the model exported again",
            )
        self.values.setdefault(output.index, Value(name, shape))

    return handle


HANDLERS: dict[str, Handler] = {
    "convolution": _computed(Translation.convolution),
    "depthwise convolution": _computed(Translation.depthwise_convolution),
    "grouped convolution": _computed(Translation.grouped_convolution),
    "transposed convolution": _computed(Translation.transposed_convolution),
    "fully connected": _computed(Translation.fully_connected),
    "addition": _computed(Translation.addition),
    "multiplication": _computed(Translation.multiplication),
    "extremum": _computed(Translation.extremum),
    "function": Translation.function_or_host,
    "parametric ReLU": _computed(Translation.parametric),
    "concatenation": _computed(Translation.concatenation),
    "slice": Translation.slice_of_any,
    "nearest resize": _computed(Translation.resize_nearest),
    "interleaving": _computed(Translation.depth_to_space),
    "bilinear resize": _computed(Translation.resize_bilinear),
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
