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
from typing import NoReturn

from sw.errors import DnaError
from sw.frontends.tflite.file.operator import OperatorError, TfliteOperator
from sw.frontends.tflite.file.reader import State, TfliteModel
from sw.frontends.tflite.operators.handlers import HANDLERS, Translation
from sw.frontends.tflite.operators.passing.entry import INPUT
from sw.frontends.tflite.operators.values.axes import Axes
from sw.frontends.tflite.operators.values.unsigned import signed
from sw.graph import Graph
from sw.operations import Padding
from sw.operators import find, nearest

GROUPED = "CONV_2D (groups)"


@dataclasses.dataclass(frozen=True)
class Step:
    """What became of an operator of the file.

    Attributes:
        index, code: the operator.
        tensor: what it computes, an index in the file.
        graph_tensor: the tensor of the graph with the same values; None if there is none: the
            operator runs on the host, works on shapes, or is a PAD within the next convolution.
        reads: tensors of the graph that it reads.
        merged: whether the operators of the machine behind it do it: padding.
    """

    index: int
    code: str
    tensor: int
    graph_tensor: str | None
    reads: tuple[str, ...]
    merged: bool = False


@dataclasses.dataclass(frozen=True)
class Imported:
    """A model as the integer graph.

    Attributes:
        graph: the network between the edges, int8 in and out.
        held: tensors of the file by index that the graph has too, and what they are called there.
        steps: what became of each operator.
        input: index in the file of the tensor that the graph's input is; int8.
        further: likewise of its further inputs.
        arrival: how the first one's values lie among those of the file's input, which the host may
            move.
        outputs: indices in the file of the tensors that the graph's outputs are; int8.
        notes: what whoever uses the graph has to know, a sentence each.
        repeated: tensors of the graph that have more channels than in the file, behind so many.
    """

    graph: Graph
    held: dict[int, str]
    steps: list[Step]
    input: int
    further: tuple[int, ...]
    arrival: Axes
    outputs: tuple[int, ...]
    notes: tuple[str, ...]
    repeated: dict[str, int]


def import_model(model: TfliteModel) -> Imported:
    """Turn a model into the integer graph.

    Raises:
        DnaError: it holds what is not supported.
    """
    return _Importer(model).run()


class _Importer(Translation):
    def __init__(self, model: TfliteModel) -> None:
        changed, unsigned = signed(model)
        super().__init__(changed, unsigned)

    def run(self) -> Imported:
        self.check_file()
        entry, *further = self.enter()
        steps = [self.step(each) for each in self.model.operators]
        borders: dict[str, int] = {}
        for last in self.model.answers:
            output = self.hosted[last].border if last in self.hosted else last
            if output not in self.values:
                self.refuse_output(last)
            borders.setdefault(self.values[output].name, output)
        borders.pop(INPUT, None)
        if not borders:
            raise DnaError("the model has no operator that the machine would run")
        for state in self.model.states:
            self.carry(state)
        graph = self.builder.finish(*borders)
        told = [note for last in self.model.answers for note in self.notes(last)]
        notes = (*self.arrival_notes, *dict.fromkeys(told), *_carried(self.model))
        held = {i: value.name for i, value in self.values.items() if value.padding == Padding()}
        outputs = tuple(borders.values())
        return Imported(
            graph=graph,
            held=held,
            steps=steps,
            input=entry,
            further=tuple(further),
            arrival=self.arrival,
            outputs=outputs,
            notes=notes,
            repeated=self.repeated,
        )

    def carry(self, state: State) -> None:
        """Let the next call begin with what this one ends with."""
        source, target = self.values[state.source], self.values.get(state.target)
        if target is None or target.padding != Padding() or target.name in self.repeated:
            raise DnaError(f"variable {state.name} is not computed on the machine")
        shape = self.builder.tensor(source.name).shape
        try:
            self.builder.carry(source.name, target.name, state.initial.reshape(shape))
        except DnaError as error:
            raise DnaError(f"variable {state.name}: {error}") from error

    def refuse_output(self, index: int) -> NoReturn:
        """Raise a DnaError: nothing that is known here computes an output of the model."""
        if index in self.writer:
            self.writer[index].refuse("its result is no map", "an INT8 output")
        raise DnaError("the model's output is not computed by its operators")

    def check_file(self) -> None:
        """Refuse operators that there are not here, and what no runtime should take."""
        found = {each.index: find("tflite", self.spelled(each)) for each in self.model.operators}
        missing = [each for each in self.model.operators if found[each.index] is None]
        if missing:
            code = missing[0].code
            others = sorted({each.code for each in missing} - {code})
            verb = "is" if len(others) == 1 else "are"
            nor = f", nor {verb} {', '.join(others)}" if others else ""
            missing[0].refuse(f"this operator is not supported{nor}", nearest("tflite", code))
        if self.model.fault:
            raise DnaError(f"{self.model.fault}; nearest: the same without it")
        inputs, outputs = self.model.inputs, self.model.outputs
        if not inputs or min(inputs) < 0 or len(set(inputs)) != len(inputs):
            raise DnaError(f"the model has the inputs {list(inputs)}; supported is one, or more")
        if not outputs or min(outputs) < 0 or len(set(outputs)) != len(outputs):
            raise DnaError(f"the model has the outputs {list(outputs)}; supported is one, or more")
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

    def spelled(self, operator: TfliteOperator) -> str:
        """What the table of operators calls an operator."""
        if operator.code != "CONV_2D" or len(operator.inputs) < 2 or min(operator.inputs[:2]) < 0:
            return operator.code
        shapes = [self.model.tensors[index].shape for index in operator.inputs[:2]]
        fewer = shapes[0][-1:] != shapes[1][-1:] and all(len(shape) == 4 for shape in shapes)
        return GROUPED if fewer else operator.code

    def step(self, operator: TfliteOperator) -> Step:
        index = operator.outputs[0]
        reads = tuple(self.values[i].name for i in operator.inputs if i in self.values)
        if operator.index not in self.arrived:
            row = find("tflite", self.spelled(operator))
            assert row is not None
            try:
                HANDLERS[row.name](self, operator)
            except DnaError as error:
                raise OperatorError(str(error), operator.index) from error
        operator.finish()
        value = self.values.get(index)
        merged = value is not None and value.padding != Padding()
        name = None if value is None or merged else value.name
        return Step(operator.index, operator.code, index, name, reads, merged)


def _carried(model: TfliteModel) -> list[str]:
    """What to know of a network with state."""
    if not model.states:
        return []
    size = sum(state.initial.size for state in model.states)
    names = ", ".join(state.name for state in model.states)
    return [f"{len(model.states)} maps of {size:,} bytes are carried from call to call: {names}"]
