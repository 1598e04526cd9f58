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
from pathlib import Path

from sw.errors import DnaError
from sw.frontends.tflite.file import (
    DYNAMIC,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    read,
)
from sw.frontends.tflite.operands import Value, refuse
from sw.frontends.tflite.operators import HANDLERS, Translation, is_a
from sw.graph import Graph
from sw.graph_builder import GraphBuilder
from sw.operations import Padding
from sw.operators import find, nearest, spellings

INPUT = "input"


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


class _Importer(Translation):
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
        supported = f"one of {spellings('tflite')}"
        for operator in self.model.operators:
            if len(operator.outputs) != 1:
                refuse(
                    operator, f"{len(operator.outputs)} outputs", f"one of {spellings('tflite')}"
                )
            if not operator.inputs or operator.inputs[0] < 0:
                refuse(operator, "it has no input", supported)

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
        while len(readers) == 1 and is_a(readers[0], "view"):
            view = self.model.tensors[readers[0].outputs[0]]
            shape, readers = view.shape, self.readers[view.index]
        flat = len(readers) == 1 and is_a(readers[0], "fully connected")
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
        row = find("tflite", operator.code)
        if row is None:
            refuse(operator, "this operator is not supported", nearest("tflite", operator.code))
        if index not in self.values:  # the input's QUANTIZE is done
            HANDLERS[row.name](self, operator)
        value = self.values.get(index)
        name = value.name if value is not None and value.padding == Padding() else None
        return Step(operator.index, operator.code, index, name, reads)
