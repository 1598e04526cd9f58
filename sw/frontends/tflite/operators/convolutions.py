"""The convolutions of a TFLite file."""

from __future__ import annotations

import dataclasses

from ai_edge_litert import schema_py_generated as schema

from sw.composed.dilated import dilated
from sw.composed.grouped import grouped_conv2d
from sw.composed.transposed import transposed_conv2d
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.operators.copies import Built, Copies
from sw.frontends.tflite.operators.values.operands import same_padding
from sw.frontends.tflite.operators.values.wide import WideWeights, is_wide, wide_depthwise
from sw.graph_builder import Weights
from sw.operations import Padding

MAX_SPREAD = 255
"""The most rows or columns of a dilated window."""


class Convolutions(WideWeights, Copies):
    """Adds them to the graph."""

    def convolution(self, operator: TfliteOperator, name: str) -> Built:
        """CONV_2D."""
        value = self.map(operator)
        weights = self.dilated(operator, self.weights(operator, 4, 0))
        inputs, channels = weights.values.shape[3], value.shape[3]
        if inputs != channels:
            operator.refuse(f"weights for {inputs} of {channels} channels", f"{channels}")
        window = self.window(operator, value, weights.values.shape[1:3])
        output = self.output(operator, self.activation_of(operator))
        source, weights = self.narrowed(operator, value, weights)
        return self.computed(self.builder.conv2d(name, source, weights, output, window))

    def depthwise_convolution(self, operator: TfliteOperator, name: str) -> Built:
        """DEPTHWISE_CONV_2D."""
        value = self.map(operator)
        weights = self.dilated(operator, self.weights(operator, 4, 3))
        shape, channels = weights.values.shape, value.shape[3]
        if shape[0] != 1 or shape[3] % channels:
            operator.refuse(
                f"weights {list(shape)} on {channels} channels",
                "[1, height, width, a multiple of the channels]",
            )
        if operator.option("depthMultiplier") != shape[3] // channels:
            operator.refuse(
                f"depthMultiplier {operator.option('depthMultiplier')}", f"{shape[3] // channels}"
            )
        window = self.window(operator, value, shape[1:3])
        output = self.output(operator, self.activation_of(operator))
        arranged = dataclasses.replace(weights, values=weights.values[0].transpose(2, 0, 1))
        if is_wide(arranged):
            return self.computed(
                wide_depthwise(self.builder, name, value.name, arranged, output, window)
            )
        return self.computed(
            self.builder.depthwise_conv2d(name, value.name, arranged, output, window)
        )

    def grouped_convolution(self, operator: TfliteOperator, name: str) -> Built:
        """CONV_2D of fewer channels than the map has."""
        value = self.map(operator)
        weights = self.dilated(operator, self.weights(operator, 4, 0))
        if is_wide(weights):
            operator.refuse("weights of UINT8 that are more than int8", "INT8 weights")
        window = self.window(operator, value, weights.values.shape[1:3])
        output = self.output(operator, self.activation_of(operator))
        made = grouped_conv2d(self.builder, name, value.name, weights, output, window)
        return self.computed(made)

    def transposed_convolution(self, operator: TfliteOperator, name: str) -> Built:
        """TRANSPOSE_CONV: its map is behind its weights, and the bias behind that."""
        value = self.map(operator, 2)
        if value.padding != Padding():
            operator.refuse("its input is padded", "a convolution behind PAD")
        weights = self.weights(operator, 4, 0, bias=3)
        if is_wide(weights):
            operator.refuse("weights of UINT8 that are more than int8", "INT8 weights")
        size = self.integers(operator, 0, "the shape of the result").reshape(-1).tolist()
        stride = (operator.option("strideH"), operator.option("strideW"))
        mode, kernel = operator.option("padding"), weights.values.shape[1:3]
        if len(size) != 4 or size[0] != 1 or size[3] != len(weights.values) or min(size) < 1:
            operator.refuse(f"a result of {size}", "[1, rows, columns, channels]")
        if min(stride) < 1 or mode not in (schema.Padding.SAME, schema.Padding.VALID):
            operator.refuse(f"stride {list(stride)}, padding mode {mode}", "SAME or VALID")
        if mode == schema.Padding.SAME and any(k < s for k, s in zip(kernel, stride, strict=True)):
            operator.refuse(
                f"SAME with a kernel of {list(kernel)} and stride {list(stride)}, which LiteRT's "
                "delegate does not take",
                "VALID, or a kernel as large as the stride",
            )
        rows, columns = size[1:3]
        cut = [0, 0]
        for axis, extent in enumerate((rows, columns)):
            if mode == schema.Padding.SAME:
                cut[axis], _ = same_padding(extent, kernel[axis], stride[axis])
            needed = extent if mode == schema.Padding.SAME else max(extent - kernel[axis] + 1, 0)
            if -(-needed // stride[axis]) != value.shape[1 + axis]:
                operator.refuse(f"{list(value.shape)} to {size}", "what its stride makes")
        made = transposed_conv2d(
            self.builder,
            name,
            value.name,
            weights,
            self.output(operator, self.activation_of(operator)),
            stride=stride,
            cut=(cut[0], cut[1]),
            size=(rows, columns),
        )
        return self.computed(made)

    def dilated(self, operator: TfliteOperator, weights: Weights) -> Weights:
        """The weights of a convolution, with zeros between them where it is dilated."""
        down, across = operator.option("dilationHFactor"), operator.option("dilationWFactor")
        height, width = weights.values.shape[1:3]
        spread = ((height - 1) * down + 1, (width - 1) * across + 1)
        if min(down, across) < 1 or max(spread) > MAX_SPREAD:
            operator.refuse(
                f"dilation {[down, across]} of {[height, width]}", f"at most {MAX_SPREAD} rows"
            )
        return dilated(weights, (down, across), 1)
