"""TFLite models that are quantized already: a full-integer int8 flatbuffer to the integer graph.

What the machine computes one to one stays as it is. The rest is put in its terms, with the same
values: PAD joins the padding of the convolutions behind it, or becomes a convolution that changes
nothing else; RESHAPE is another view of the same bytes; bounds behind a pooling become a
convolution of their own. QUANTIZE and DEQUANTIZE at the edges and SOFTMAX behind the logits are
for the host.

Whatever LiteRT would not compute by the contract of docs/numerics.md is refused, because its bits
could not be met.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from sw import numerics
from sw.errors import DnaError
from sw.frontends.tflite_file import (
    DYNAMIC,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    read,
)
from sw.frontends.tflite_operands import Operands, Value, option, refuse
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.operations import Padding

Array = npt.NDArray[Any]

INPUT = "input"
_CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_VIEWS = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_SHAPES = frozenset({"SHAPE", "STRIDED_SLICE", "PACK"})
_HOST = frozenset({"SOFTMAX", "QUANTIZE", "DEQUANTIZE"})
_ON_THE_MACHINE = (
    "CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, ADD, MAX_POOL_2D, AVERAGE_POOL_2D, MEAN, PAD, "
    "RESHAPE"
)
_NEAREST = {
    "RELU": "RELU fused into CONV_2D, FULLY_CONNECTED, ADD or a pooling",
    "RELU6": "RELU6 fused into CONV_2D, FULLY_CONNECTED, ADD or a pooling",
    "LEAKY_RELU": "RELU or RELU6, fused",
    "PRELU": "RELU or RELU6, fused",
    "HARD_SWISH": "RELU6, fused",
    "LOGISTIC": "RELU6, fused; SOFTMAX behind the logits runs on the host",
    "TANH": "RELU6, fused",
    "SUB": "ADD",
    "MUL": "DEPTHWISE_CONV_2D with a 1x1 kernel, for a constant factor",
    "SUM": "MEAN over height and width",
    "REDUCE_MAX": "MAX_POOL_2D over the whole map",
    "TRANSPOSE_CONV": "CONV_2D",
    "BATCH_MATMUL": "FULLY_CONNECTED",
    "MIRROR_PAD": "PAD",
    "CONV_3D": "CONV_2D",
}


@dataclasses.dataclass(frozen=True)
class Step:
    """What became of an operator of the file.

    Attributes:
        index, code: the operator.
        tensor: what it computes, an index in the file.
        graph_tensor: the tensor of the graph with the same values; None if there is none: the
            operator runs on the host, works on shapes, or is a PAD within the next convolution.
        reads: tensors of the graph that it reads.
    """

    index: int
    code: str
    tensor: int
    graph_tensor: str | None
    reads: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Imported:
    """A model as the integer graph.

    Attributes:
        graph: the network between the edges, int8 in and out.
        steps: what became of each operator.
        input: index in the file of the tensor that the graph's input is; int8.
        output: index in the file of the tensor that the graph's output is; int8.
    """

    graph: Graph
    steps: list[Step]
    input: int
    output: int


def import_file(path: Path) -> tuple[TfliteModel, Imported]:
    """Read a TFLite file and turn it into the integer graph.

    Raises:
        DnaError: the file cannot be read, is damaged, or holds what is not supported; one line that
            names the operator and the nearest thing that is supported.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    model = read(content, str(path))
    try:
        return model, import_model(model)
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error


def import_model(model: TfliteModel) -> Imported:
    """Turn a model into the integer graph.

    Raises:
        DnaError: it holds what is not supported.
    """
    return _Importer(model).run()


class _Importer(Operands):
    def __init__(self, model: TfliteModel) -> None:
        super().__init__(model)
        self.readers: dict[int, list[TfliteOperator]] = defaultdict(list)
        for operator in model.operators:
            for index in operator.inputs:
                self.readers[index].append(operator)
        self.methods = {
            "CONV_2D": self.convolution,
            "DEPTHWISE_CONV_2D": self.convolution,
            "FULLY_CONNECTED": self.fully_connected,
            "ADD": self.addition,
            "MAX_POOL_2D": self.pool,
            "AVERAGE_POOL_2D": self.pool,
            "MEAN": self.mean,
            "PAD": self.pad,
            "PADV2": self.pad,
        }

    def run(self) -> Imported:
        self.check_edges()
        entry = self.entry()
        tensor = self.model.tensors[entry]
        self.builder = self.begin(tensor)
        self.values[entry] = Value(INPUT, tensor.shape)
        steps = [self.step(operator) for operator in self.model.operators]
        output = self.exit()
        graph = self.builder.finish(self.values[output].name)
        if not graph.operations:
            raise DnaError("the model has no operator that the machine would run")
        return Imported(graph, steps, entry, output)

    # Edges.

    def check_edges(self) -> None:
        for what, indices in (("inputs", self.model.inputs), ("outputs", self.model.outputs)):
            if len(indices) != 1:
                raise DnaError(f"the model has {len(indices)} {what}; supported is one")
        for operator in self.model.operators:
            if len(operator.outputs) != 1:
                refuse(operator, f"{len(operator.outputs)} outputs", f"one of {_ON_THE_MACHINE}")
            if not operator.inputs or operator.inputs[0] < 0:
                refuse(operator, "it has no input", f"one of {_ON_THE_MACHINE}")

    def entry(self) -> int:
        """The int8 tensor that the machine starts from: the input, or what QUANTIZE makes of it."""
        index = self.model.inputs[0]
        tensor = self.model.tensors[index]
        readers = self.readers[index]
        if tensor.type != "INT8":
            if len(readers) != 1 or readers[0].code != "QUANTIZE":
                raise DnaError(
                    f"the input {tensor.name!r} is {tensor.type}, and the network computes with "
                    "it; nearest: full-integer quantization, with an INT8 input or a QUANTIZE "
                    "right behind a FLOAT32 or UINT8 one"
                )
            index = readers[0].outputs[0]
            after = self.activation(readers[0], index)
            if tensor.type == "UINT8" and not (
                tensor.scales.tolist() == after.scales.tolist()
                and (tensor.zero_points - 128).tolist() == after.zero_points.tolist()
            ):
                refuse(
                    readers[0],
                    "UINT8 to INT8 with another scale or zero point",
                    "the same scale and a zero point that is 128 less",
                )
        return index

    def begin(self, tensor: TfliteTensor) -> GraphBuilder:
        """A builder that starts with the input in the shape in which the first operator takes it.

        The bytes of an image in DRAM are the same in every shape.
        """
        self.quantized(tensor, f"the input {tensor.name!r}")
        shape, readers = tensor.shape, self.readers[tensor.index]
        while len(readers) == 1 and readers[0].code in _VIEWS:
            view = self.model.tensors[readers[0].outputs[0]]
            shape, readers = view.shape, self.readers[view.index]
        flat = len(readers) == 1 and readers[0].code == "FULLY_CONNECTED"
        if shape[:1] != (1,) or DYNAMIC in shape or len(shape) not in (2, 4) or min(shape) < 1:
            raise DnaError(
                f"the input {tensor.name!r} has shape {list(tensor.shape)}; nearest: fixed "
                "[1, height, width, channels] or [1, channels]"
            )
        inner = (math.prod(shape),) if flat else shape[1:]
        return GraphBuilder(INPUT, inner, float(tensor.scales[0]), int(tensor.zero_points[0]))

    def exit(self) -> int:
        """The last int8 tensor of the machine before the model's output."""
        index = self.model.outputs[0]
        for operator in reversed(self.model.operators):
            if index not in self.values and operator.outputs[0] == index:
                index = operator.inputs[0]
        if index not in self.values:
            raise DnaError("the model's output is not computed by its operators")
        return index

    # Operators.

    def step(self, operator: TfliteOperator) -> Step:
        index = operator.outputs[0]
        reads = tuple(self.values[i].name for i in operator.inputs if i in self.values)
        if index not in self.values:  # the input's QUANTIZE is done
            self.translate(operator)
        value = self.values.get(index)
        name = value.name if value is not None and value.padding == Padding() else None
        return Step(operator.index, operator.code, index, name, reads)

    def translate(self, operator: TfliteOperator) -> None:
        output = self.model.tensors[operator.outputs[0]]
        if operator.code in _SHAPES and output.type in ("INT32", "INT64"):
            return  # shapes are fixed: what it computes stands in the output of the RESHAPE
        if operator.code in _HOST:
            self.host(operator)
            return
        if operator.code in _VIEWS and operator.inputs[0] not in self.values:
            return  # behind what the host computes
        if operator.code not in self.methods and operator.code not in _VIEWS:
            refuse(
                operator,
                "this operator is not supported",
                _NEAREST.get(operator.code, f"one of {_ON_THE_MACHINE}"),
            )
        self.activation(operator, output.index)
        if operator.code in _VIEWS:
            self.view(operator)
            return
        name = f"{operator.code.lower()}_{operator.index}"
        try:
            name = self.methods[operator.code](operator, name, output)
        except DnaError as error:
            text = str(error)
            raise DnaError(
                text if text.startswith("operator ") else f"{operator}: {text}"
            ) from error
        self.values.setdefault(output.index, Value(name, output.shape))
        self.check_shape(operator, output)

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

    def host(self, operator: TfliteOperator) -> None:
        """Nothing to do for what the host computes, if nothing on the machine reads it."""
        between = operator.code == "QUANTIZE" and (
            self.model.tensors[operator.outputs[0]].type == "INT8"
        )
        if between and operator.inputs[0] in self.values:
            refuse(
                operator,
                "INT8 to INT8 within the network",
                "one scale and zero point for what is added or joined",
            )

    def view(self, operator: TfliteOperator) -> None:
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

    def convolution(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        value = self.map(operator)
        depthwise = operator.code == "DEPTHWISE_CONV_2D"
        weights, scales, bias = self.weights(operator, 4, 3 if depthwise else 0)
        channels = value.shape[3]
        if depthwise and (weights.shape[0] != 1 or weights.shape[3] % channels):
            refuse(
                operator,
                f"weights {list(weights.shape)} on {channels} channels",
                "[1, height, width, a multiple of the channels]",
            )
        if not depthwise and weights.shape[3] != channels:
            refuse(
                operator,
                f"groups: weights for {weights.shape[3]} of {channels} channels",
                "one group, or DEPTHWISE_CONV_2D",
            )
        dilation = (option(operator, "DilationHFactor"), option(operator, "DilationWFactor"))
        if dilation != (1, 1):
            refuse(operator, f"dilation {list(dilation)}", "dilation 1")
        stride, padding = self.windows(operator, value, (weights.shape[1], weights.shape[2]))
        add = self.builder.depthwise_conv2d if depthwise else self.builder.conv2d
        return add(
            name,
            value.name,
            weights=weights[0].transpose(2, 0, 1) if depthwise else weights,
            bias=bias,
            weight_scale=scales,
            scale=float(output.scales[0]),
            zero_point=int(output.zero_points[0]),
            stride=stride,
            padding=padding,
            activation=self.activation_of(operator),
        )

    def fully_connected(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        value = self.operand(operator)
        weights, scales, bias = self.weights(operator, 2, 0)
        if math.prod(value.shape) != weights.shape[1]:
            refuse(
                operator,
                f"{list(weights.shape)} weights on an input of {list(value.shape)}",
                "one row of inputs, batch 1",
            )
        if option(operator, "WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
            refuse(operator, "shuffled weights", "the default order of weights")
        return self.builder.fully_connected(
            name,
            value.name,
            weights=weights,
            bias=bias,
            weight_scale=scales,
            scale=float(output.scales[0]),
            zero_point=int(output.zero_points[0]),
            activation=self.activation_of(operator),
        )

    def addition(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        a, b = self.operand(operator, 0), self.operand(operator, 1)
        if a.shape != b.shape:
            refuse(
                operator,
                f"shapes {list(a.shape)} and {list(b.shape)}",
                "two operands of one shape",
            )
        return self.builder.add(
            name,
            a.name,
            b.name,
            scale=float(output.scales[0]),
            zero_point=int(output.zero_points[0]),
            activation=self.activation_of(operator),
        )

    def pool(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        value = self.map(operator)
        self.same_quantization(operator)
        kernel = (option(operator, "FilterHeight"), option(operator, "FilterWidth"))
        if min(kernel) < 1:
            refuse(operator, f"a window of {list(kernel)}", "at least 1x1")
        stride, padding = self.windows(operator, value, kernel)
        activation = self.activation_of(operator)
        lo, hi = numerics.activation_bounds(
            activation, float(output.scales[0]), int(output.zero_points[0])
        )
        if activation == "relu6" and hi != _built_in_bound(output):
            refuse(
                operator, "a RELU6 whose bound is half way between two values", "RELU, or no half"
            )
        bounded = (lo, hi) != (numerics.INT8_MIN, numerics.INT8_MAX)
        average = operator.code == "AVERAGE_POOL_2D"
        add = self.builder.average_pool2d if average else self.builder.max_pool2d
        pooled = f"{name}.window" if bounded else name
        add(pooled, value.name, kernel=kernel, stride=stride, padding=padding)
        return self.builder.identity(name, pooled, activation=activation) if bounded else name

    def mean(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        value = self.map(operator)
        axes = self.constant(operator, 1, "axes").data
        assert axes is not None
        if {int(axis) % 4 for axis in axes.reshape(-1)} != {1, 2}:
            refuse(operator, f"axes {axes.reshape(-1).tolist()}", "axes 1 and 2, height and width")
        return self.builder.mean(
            name,
            value.name,
            scale=float(output.scales[0]),
            zero_point=int(output.zero_points[0]),
            keep_dims=True,
        )

    def pad(self, operator: TfliteOperator, name: str, output: TfliteTensor) -> str:
        value = self.map(operator)
        self.same_quantization(operator)
        amounts = self.constant(operator, 1, "paddings").data
        assert amounts is not None
        zero_point = int(output.zero_points[0])
        if operator.code == "PADV2":
            filler = self.constant(operator, 2, "pad values").data
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
        readers = self.readers[output.index]
        if readers and all(self.takes(reader, value.name, padding) for reader in readers):
            self.values[output.index] = Value(value.name, output.shape, padding)
            return value.name
        return self.builder.identity(name, value.name, padding=padding)

    def takes(self, reader: TfliteOperator, name: str, padding: Padding) -> bool:
        """Whether an operator can do the padding of its input itself.

        A maximum leaves padding out, where PAD puts the zero point: the same if no value is below
        that and no window sees padding only.
        """
        if reader.code in _CONVOLUTIONS:
            return True
        if reader.code != "MAX_POOL_2D" or option(reader, "Padding") != tflite.Padding.VALID:
            return False
        return (
            self.builder.at_least_zero_point(name)
            and max(padding.top, padding.bottom) < option(reader, "FilterHeight")
            and max(padding.left, padding.right) < option(reader, "FilterWidth")
        )


def _built_in_bound(output: TfliteTensor) -> int:
    """The bound of RELU6 in LiteRT's own kernels, which round halves away from zero."""
    steps = math.floor(float(np.float32(6) / output.scales[0]) + 0.5)
    return min(steps + int(output.zero_points[0]), numerics.INT8_MAX)
