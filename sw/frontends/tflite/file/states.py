"""State that is carried from call to call as further inputs and outputs of a file.

A variable is read once and assigned once in a call: what READ_VARIABLE makes becomes an input of
the file, what ASSIGN_VARIABLE takes an output, and the values that CALL_ONCE assigns are those of
the first call. Whoever reads the rewritten file meets no variable any more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sw.errors import DnaError
from sw.frontends.tflite.file.fields import unread
from sw.frontends.tflite.file.packing import number_of, opened, packed
from sw.frontends.tflite.file.reader import DAMAGE, FILE_IDENTIFIER, State

CODE = schema.BuiltinOperator
_VARIABLES = (CODE.CALL_ONCE, CODE.VAR_HANDLE, CODE.READ_VARIABLE, CODE.ASSIGN_VARIABLE)
Variable = tuple[bytes, bytes]
"""Container and name of a variable."""


def without_states(content: bytes) -> tuple[bytes, tuple[State, ...]]:
    """A file without variables that computes what a call of ``content`` does, and its state.

    Returns:
        ``content`` itself if it has no variable.

    Raises:
        DnaError: it uses variables in a way that is not understood; one line.
    """
    if content[4:8] != FILE_IDENTIFIER:
        return content, ()
    try:
        codes = schema.Model.GetRootAsModel(content, 0)
        kinds = [codes.OperatorCodes(n) for n in range(codes.OperatorCodesLength())]
        numbers = {n for kind in kinds for n in (kind.BuiltinCode(), kind.DeprecatedBuiltinCode())}
        if CODE.VAR_HANDLE not in numbers:
            return content, ()
        return _Rewriter(opened(content)).run()
    except DAMAGE:  # whoever reads it says so
        return content, ()


class _Rewriter:
    """Follows the variables of a file in the order in which its operators run."""

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.handles: dict[int, Variable] = {}
        self.initial: dict[Variable, Any] = {}
        self.source: dict[Variable, int] = {}
        self.now: dict[Variable, int] = {}
        self.renamed: dict[int, int] = {}
        self.started: set[int] = set()

    def run(self) -> tuple[bytes, tuple[State, ...]]:
        kept = []
        for place, operator in enumerate(self.graph.operators):
            code = number_of(self.model.operatorCodes[operator.opcodeIndex])
            operator.inputs = self._current(operator.inputs)
            if code in _VARIABLES:
                if unread(operator):
                    raise DnaError(f"operator {place}: {unread(operator)}")
                self._variable(code, operator, place)
            else:
                kept.append(operator)
        if len(self.model.subgraphs) != 1 + len(self.started):
            raise DnaError(
                f"{len(self.model.subgraphs)} subgraphs; beside the network only those are "
                "supported that CALL_ONCE starts"
            )
        graph = self.graph
        outputs = self._current(graph.outputs).tolist()
        states = tuple(self._state(variable, outputs) for variable in self.source)
        graph.operators = kept
        graph.inputs = np.array([*graph.inputs, *(each.source for each in states)], np.int32)
        targets = [each.target for each in states]
        graph.outputs = np.array(list(dict.fromkeys([*outputs, *targets])), np.int32)
        self.model.subgraphs, self.model.signatureDefs = [graph], None
        return packed(self.model), states

    def _current(self, indices: Any) -> npt.NDArray[np.int32]:
        """Indices of tensors, where one is another reading of a variable those of the first."""
        listed = [] if indices is None else [int(index) for index in indices]
        return np.array([self.renamed.get(index, index) for index in listed], np.int32)

    def _variable(self, code: int, operator: Any, place: int) -> None:
        if code == CODE.CALL_ONCE:
            self._start(int(operator.builtinOptions.initSubgraphIndex))
        elif code == CODE.VAR_HANDLE:
            self.handles[int(operator.outputs[0])] = _variable(operator)
        elif code == CODE.READ_VARIABLE:
            self._read(self._handle(operator, place), int(operator.outputs[0]))
        else:
            variable = self._handle(operator, place)
            if variable in self.now and self.now[variable] != self.source.get(variable):
                raise DnaError(f"variable {_name(variable)} is assigned twice in a call")
            self.now[variable] = int(operator.inputs[1])

    def _handle(self, operator: Any, place: int) -> Variable:
        if int(operator.inputs[0]) not in self.handles:
            raise DnaError(f"operator {place}: its variable has no VAR_HANDLE in front of it")
        return self.handles[int(operator.inputs[0])]

    def _read(self, variable: Variable, result: int) -> None:
        if variable not in self.now:
            self.source[variable] = self.now[variable] = result
            return
        self._same(variable, self.now[variable], result)
        self.renamed[result] = self.now[variable]

    def _start(self, number: int) -> None:
        """Take the values that another subgraph assigns before the first call."""
        if not 0 < number < len(self.model.subgraphs) or number in self.started:
            raise DnaError(f"CALL_ONCE of subgraph {number}")
        self.started.add(number)
        graph, handles = self.model.subgraphs[number], {}
        for operator in graph.operators:
            code = number_of(self.model.operatorCodes[operator.opcodeIndex])
            if code == CODE.VAR_HANDLE:
                handles[int(operator.outputs[0])] = _variable(operator)
                continue
            tensor = graph.tensors[int(operator.inputs[1])] if len(operator.inputs) > 1 else None
            data = None if tensor is None else self.model.buffers[tensor.buffer].data
            handle = int(operator.inputs[0]) if len(operator.inputs) else -1
            if code != CODE.ASSIGN_VARIABLE or data is None or handle not in handles:
                raise DnaError("CALL_ONCE of more than variables that get constants")
            if handles[handle] in self.initial:
                raise DnaError(f"variable {_name(handles[handle])} begins with two values")
            self.initial[handles[handle]] = (tensor, data)

    def _state(self, variable: Variable, outputs: list[int]) -> State:
        source, target, name = self.source[variable], self.now[variable], _name(variable)
        if variable not in self.initial:
            raise DnaError(f"variable {name} is read before anything has assigned it")
        if target == source or target in self.graph.inputs or target in self.source.values():
            raise DnaError(
                f"variable {name} is assigned nothing that the network computes; nearest: a "
                "constant, or a state that a call changes"
            )
        self._same(variable, source, target)
        tensor, data = self.initial[variable]
        read = self.graph.tensors[source]
        if _said(tensor) != _said(read) or read.type != schema.TensorType.INT8:
            raise DnaError(
                f"variable {name} begins with another type, shape or scale than it is read with, "
                "or is not INT8"
            )
        initial = np.frombuffer(bytes(data), np.int8).reshape(read.shape)
        return State(name, source, target, initial, target in outputs)

    def _same(self, variable: Variable, first: int, other: int) -> None:
        tensors = self.graph.tensors
        if _said(tensors[first]) != _said(tensors[other]):
            raise DnaError(
                f"variable {_name(variable)} is read with another type, shape or scale than it is "
                "assigned with; nearest: the same for both"
            )


def _variable(operator: Any) -> Variable:
    options = operator.builtinOptions
    return bytes(options.container or b""), bytes(options.sharedName or b"")


def _name(variable: Variable) -> str:
    return b"/".join(part for part in variable if part).decode(errors="replace")


def _said(tensor: Any) -> tuple[Any, ...]:
    """Type, shape and quantization of a tensor."""
    quantization = tensor.quantization
    scales = [] if quantization is None else quantization.scale
    zeros = [] if quantization is None else quantization.zeroPoint
    return (
        tensor.type,
        [] if tensor.shape is None else [int(n) for n in tensor.shape],
        [] if scales is None else [float(scale) for scale in scales],
        [] if zeros is None else [int(zero) for zero in zeros],
    )
