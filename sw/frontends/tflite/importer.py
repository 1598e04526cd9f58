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
from pathlib import Path

from sw.errors import DnaError
from sw.frontends.tflite.axes import Axes
from sw.frontends.tflite.file import TfliteModel, read
from sw.frontends.tflite.operator import TfliteOperator
from sw.frontends.tflite.operators import HANDLERS, Translation
from sw.frontends.tflite.runtime import check_loads
from sw.graph import Graph
from sw.operations import Padding
from sw.operators import find, nearest


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
        arrival: how its values lie among those of the file's input, which the host may move.
        output: index in the file of the tensor that the graph's output is; int8.
        notes: what whoever uses the graph has to know, a sentence each.
    """

    graph: Graph
    steps: list[Step]
    input: int
    arrival: Axes
    output: int
    notes: tuple[str, ...]


def import_file(path: Path) -> tuple[TfliteModel, Imported]:
    """Read a TFLite file and turn it into the integer graph.

    Raises:
        DnaError: the file cannot be read, is damaged, holds what is not supported, or LiteRT itself
            refuses it; one line that names the operator and the nearest thing that is supported.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    model = read(content, str(path))
    try:
        imported = import_model(model)
        check_loads(content)
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error
    return model, imported


def import_model(model: TfliteModel) -> Imported:
    """Turn a model into the integer graph.

    Raises:
        DnaError: it holds what is not supported.
    """
    return _Importer(model).run()


class _Importer(Translation):
    def run(self) -> Imported:
        self.check_file()
        entry = self.enter()
        steps = [self.step(operator) for operator in self.model.operators]
        last = self.model.outputs[0]
        output = self.hosted[last].border if last in self.hosted else last
        if output not in self.values:
            raise DnaError("the model's output is not computed by its operators")
        graph = self.builder.finish(self.values[output].name)
        if graph.output == graph.input:
            raise DnaError("the model has no operator that the machine would run")
        notes = (*self.arrival_notes, *self.notes(last))
        return Imported(graph, steps, entry, self.arrival, output, notes)

    def check_file(self) -> None:
        """Refuse operators that there are not here, and what no runtime should take."""
        missing = [each for each in self.model.operators if find("tflite", each.code) is None]
        if missing:
            code = missing[0].code
            others = sorted({each.code for each in missing} - {code})
            verb = "is" if len(others) == 1 else "are"
            nor = f", nor {verb} {', '.join(others)}" if others else ""
            missing[0].refuse(f"this operator is not supported{nor}", nearest("tflite", code))
        if self.model.fault:
            raise DnaError(f"{self.model.fault}; nearest: the same without it")
        for what, indices in (("inputs", self.model.inputs), ("outputs", self.model.outputs)):
            if len(indices) != 1 or indices[0] < 0:
                raise DnaError(f"the model has {len(indices)} {what}; supported is one")
        written = set(self.model.inputs)
        for operator in self.model.operators:
            operator.check()
            tensor = self.model.tensors[operator.outputs[0]]
            if tensor.index in written or tensor.data is not None:
                operator.refuse(
                    f"it writes {tensor.name!r}, which has values", "a tensor of its own"
                )
            if tensor.fault:
                operator.refuse(f"{tensor.name!r}: {tensor.fault}", "the same without it")
            written.add(tensor.index)

    def step(self, operator: TfliteOperator) -> Step:
        index = operator.outputs[0]
        reads = tuple(self.values[i].name for i in operator.inputs if i in self.values)
        if operator.index not in self.arrived:
            row = find("tflite", operator.code)
            assert row is not None
            HANDLERS[row.name](self, operator)
        operator.finish()
        value = self.values.get(index)
        name = value.name if value is not None and value.padding == Padding() else None
        return Step(operator.index, operator.code, index, name, reads)
