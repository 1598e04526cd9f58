"""The input of a TFLite file, and what stands between it and the first operator of the machine."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sw.errors import DnaError
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.file.reader import DYNAMIC, TfliteTensor
from sw.frontends.tflite.operators.passing.passage import TRANSPOSE, Passage
from sw.frontends.tflite.operators.values.axes import Axes
from sw.frontends.tflite.operators.values.operands import Value
from sw.graph_builder import GraphBuilder
from sw.operators import find

INPUT = "input"
STATE = "state"


def is_a(operator: TfliteOperator, name: str) -> bool:
    """Whether an operator is the one that the table calls ``name``."""
    row = find("tflite", operator.code)
    return row is not None and row.name == name


class Entry(Passage):
    """Begins the graph at the network's input.

    Attributes:
        arrived: indices of the operators that the host runs in front of the graph.
        arrival: how the graph's first input lies among the values of the file's.
        arrival_notes: what the host has to do with an input.
    """

    arrived: set[int]
    arrival: Axes
    arrival_notes: list[str]

    def enter(self) -> tuple[int, ...]:
        """Begin; the tensors of the file that the graph's inputs are, int8.

        They are the file's inputs, or what QUANTIZE makes of these before anything else; of the
        first one TRANSPOSE, too.
        """
        self.arrived = set()
        first, *more = self.model.inputs
        entries = [self.enter_first(first)]
        states = {state.source: n for n, state in enumerate(self.model.states, 1)}
        for number, index in enumerate(more, 2):
            name = f"{STATE}{states[index]}" if index in states else f"{INPUT}{number}"
            entries.append(self.enter_further(index, name))
        return tuple(entries)

    def enter_further(self, index: int, name: str) -> int:
        """Add an input besides the first one; the tensor of the file that it is, int8."""
        given = self.model.tensors[index]
        index, axes, _ = self.arrive_at(index)
        if not axes.in_order:
            raise DnaError(
                f"the input {given.name!r} is moved by a TRANSPOSE; nearest: of the first input"
            )
        entry = self.model.tensors[index]
        shape, scale, zero_point = self.edge(entry)
        self.builder.further_input(name, shape, scale, zero_point)
        self.values[index] = Value(name, entry.shape)
        return index

    def arrive_at(self, index: int) -> tuple[int, Axes, list[TfliteOperator]]:
        """Take in what the host does with an input.

        Returns:
            The tensor behind that, which is int8; how its values lie among those of the input; and
            the operators between the two.
        """
        tensor = self.model.tensors[index]
        if tensor.data is not None or tensor.fault:
            fault = tensor.fault or "it is a constant"
            raise DnaError(f"the input {tensor.name!r}: {fault}; nearest: the same without it")
        if DYNAMIC in tensor.shape or not tensor.shape or min(tensor.shape) < 1:
            self.refuse_shape(tensor)
        hosts, axes = self.in_front(index), Axes.of(tensor.shape)
        self.arrived |= {operator.index for operator in hosts}
        for operator in hosts:
            axes = self.arrive(operator, axes)
            index = operator.outputs[0]
        entry = self.model.tensors[index]
        if entry.type != "INT8":
            raise DnaError(
                f"the input {tensor.name!r} is {tensor.type}, and the network computes with "
                "it; nearest: full-integer quantization, with an INT8 input or a QUANTIZE "
                "right behind a FLOAT32 or UINT8 one"
            )
        return index, axes, hosts

    def enter_first(self, index: int) -> int:
        """Begin with the first input; the tensor of the file that it is, int8."""
        index, self.arrival, hosts = self.arrive_at(index)
        self.arrival_notes = []
        entry = self.model.tensors[index]
        if not self.arrival.in_order:
            moves = ", ".join(str(each) for each in hosts if each.code == TRANSPOSE)
            self.arrival_notes.append(
                f"{moves} is left to the host; the artifact begins with {entry.name!r}, "
                f"{list(entry.shape[1:])}"
            )
        self.builder = GraphBuilder(INPUT, *self.edge(entry))
        self.values[index] = Value(INPUT, entry.shape)
        return index

    def in_front(self, index: int) -> list[TfliteOperator]:
        """The operators up to the last QUANTIZE or moving TRANSPOSE behind the file's input."""
        found: list[TfliteOperator] = []
        count = 0
        for operator in self.line(index):
            found.append(operator)
            if operator.code == "QUANTIZE" or self.moves(operator):
                count = len(found)
        return found[:count]

    def line(self, index: int) -> Iterator[TfliteOperator]:
        """The views and the QUANTIZE that alone read the file's input, and one another."""
        while len(self.readers[index]) == 1 and index not in self.model.outputs:
            (operator,) = self.readers[index]
            quantizes = operator.code == "QUANTIZE" and self.model.tensors[index].type != "INT8"
            if operator.inputs[0] != index or not (quantizes or is_a(operator, "view")):
                return
            yield operator
            index = operator.outputs[0]

    def moves(self, operator: TfliteOperator) -> bool:
        """Whether an operator is a TRANSPOSE that moves values."""
        if operator.code != TRANSPOSE:
            return False
        shape = self.model.tensors[operator.input(0)].shape
        axes = Axes.of(shape).transposed(self.order(operator, len(shape)))
        return not axes.in_order

    def arrive(self, operator: TfliteOperator, axes: Axes) -> Axes:
        """Take in an operator that the host runs on an input; how its values lie behind it.

        Args:
            axes: how they lie in front of it.
        """
        before = self.model.tensors[operator.input(0)]
        after = self.model.tensors[operator.outputs[0]]
        shape = before.shape
        if operator.code == "QUANTIZE":
            self.activation(operator, after.index)
            if before.type not in ("FLOAT32", "UINT8"):
                operator.refuse(f"{before.type} to {after.type}", "FLOAT32 or UINT8 to INT8")
            if before.type == "UINT8" and not (
                before.scales.tolist() == after.scales.tolist()
                and (before.zero_points - 128).tolist() == after.zero_points.tolist()
            ):
                operator.refuse(
                    "UINT8 to INT8 with another scale or zero point",
                    "the same scale and a zero point that is 128 less",
                )
        else:
            self.same_quantization(operator)
            shape = self.shape_behind(operator, shape)
            moved = self.moved(operator, axes, shape)
            if moved is None:
                operator.refuse(f"it reshapes what is moved to {list(shape)}", "one of both")
            axes = moved
        if after.shape != shape:
            operator.refuse(
                f"it makes {list(after.shape)} of {list(before.shape)}", f"{list(shape)}"
            )
        return axes

    def edge(self, tensor: TfliteTensor) -> tuple[tuple[int, ...], float, int]:
        """Shape, scale and zero point of an input, in the shape in which an operator takes it.

        The bytes of an image in DRAM are the same in every shape.
        """
        self.quantized(tensor, f"the input {tensor.name!r}")
        shape, readers = tensor.shape, self.readers[tensor.index]
        while len(readers) == 1 and is_a(readers[0], "view") and not self.moves(readers[0]):
            view = self.model.tensors[readers[0].outputs[0]]
            shape, readers = view.shape, self.readers[view.index]
        flat = len(readers) == 1 and is_a(readers[0], "fully connected")
        if shape[:1] != (1,) or DYNAMIC in shape or len(shape) not in (2, 4) or min(shape) < 1:
            self.refuse_shape(tensor)
        inner = (math.prod(shape),) if flat else shape[1:]
        return inner, float(tensor.scales[0]), int(tensor.zero_points[0])

    def refuse_shape(self, tensor: TfliteTensor) -> None:
        """Raise a DnaError that says which shapes of an input are taken."""
        raise DnaError(
            f"the input {tensor.name!r} has shape {list(tensor.shape)}; nearest: fixed "
            "[1, height, width, channels] or [1, channels]"
        )
