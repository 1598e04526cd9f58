"""Which operators of a file run on the machine, and which on the host in front of it and behind it.

First the whole file is tried. Where an operator is not supported, it and all that depends on it is
left to the host, and the rest is tried again. If too few multiply-accumulates remain, the machine
begins at another tensor: what is in front of that is the host's, too. The machine's part is one
network, so an operator between two parts of it leaves one of these to the host.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from sw.errors import DnaError
from sw.frontends.tflite.file.operator import OperatorError, TfliteOperator
from sw.frontends.tflite.file.reader import TfliteModel
from sw.frontends.tflite.importer import Imported, import_model
from sw.operators import find

LEAST_SHARE = 0.9
"""Of a file's multiply-accumulates, what has to run on the machine."""

LEFT_OUT = ("softmax", "quantization", "view", "shape arithmetic")
"""Rows of the table that may stand behind a single output without being a part of the artifact:
they change neither which logit is the largest nor a value's place, or are said in a note."""

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")
_RECURRENT = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "RNN", "SVDF")
_TYPES = ("INT8", "UINT8")


@dataclasses.dataclass(frozen=True)
class Partition:
    """What runs where.

    Attributes:
        whole: the file.
        part: its operators that became the graph, with tensors and indices of the file.
        imported: what became of them.
        head, tail: operators that the host runs in front of the machine and behind it, as parts of
            the artifact.
        tail_inputs: tensors of the file that the tail reads.
        macs: multiply-accumulates by operator, on the machine or not.
        reason: why not the whole file runs on the machine; empty if it does.
    """

    whole: TfliteModel
    part: TfliteModel
    imported: Imported
    head: tuple[TfliteOperator, ...]
    tail: tuple[TfliteOperator, ...]
    tail_inputs: tuple[int, ...]
    macs: dict[int, int]
    reason: str

    @property
    def on_machine(self) -> frozenset[int]:
        """Indices of the operators that are computed on the machine."""
        return _computed(self.imported)

    @property
    def share(self) -> float:
        """Of all multiply-accumulates, those on the machine."""
        return _share(self.macs, self.on_machine)


def partition(model: TfliteModel) -> Partition:
    """Divide a file.

    Raises:
        DnaError: it cannot be read by its own runtime either, or too little of it can run on the
            machine; one line, of the first operator that is in the way.
    """
    try:
        return _divided(model, model, import_model(_restricted(model, model.inputs)), "")
    except OperatorError as error:
        reason = error
    macs = {operator.index: macs_of(model, operator) for operator in model.operators}
    best: tuple[float, TfliteModel, Imported] | None = None
    for entry in _entries(model, macs):
        found = _largest(model, entry, macs)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
        if best is not None and best[0] == 1:
            break
    if best is None:
        raise reason
    return _divided(model, best[1], best[2], str(reason))


def macs_of(model: TfliteModel, operator: TfliteOperator) -> int:
    """Multiply-accumulates of an operator (padding counted, as is usual)."""
    shapes = [model.tensors[index].shape if index >= 0 else () for index in operator.inputs]
    if operator.code in _RECURRENT:
        steps = shapes[0][1] if operator.code != "SVDF" and len(shapes[0]) == 3 else 1
        return abs(steps * sum(math.prod(shape) for shape in shapes[1:] if len(shape) == 2))
    if operator.code not in _WEIGHTED or len(shapes) < 2:
        return 0
    weights = shapes[1]
    if operator.code == "TRANSPOSE_CONV" and len(shapes) > 2:  # every pixel meets every weight
        return abs(math.prod(shapes[2][1:3]) * math.prod(weights))
    result = abs(math.prod(model.tensors[operator.outputs[0]].shape))
    if operator.code == "BATCH_MATMUL":
        return abs(result * shapes[0][-1])
    if operator.code == "DEPTHWISE_CONV_2D":
        return result * math.prod(weights[1:3])
    return result * math.prod(weights[1:])


def _share(macs: dict[int, int], chosen: frozenset[int]) -> float:
    total = sum(macs.values())
    return sum(macs[index] for index in chosen) / total if total else 0.0


def _computed(imported: Imported) -> frozenset[int]:
    """Operators whose result the graph has, or that are within others of it."""
    return frozenset(
        step.index
        for step in imported.steps
        if step.reads and (step.graph_tensor is not None or step.merged)
    )


def _entries(model: TfliteModel, macs: dict[int, int]) -> Iterator[int]:
    """Where the machine may begin: the file's input, or what the host computes behind it."""
    yield from model.inputs[:1]
    for operator in model.operators:
        for index in operator.outputs:
            if index >= 0 and model.tensors[index].type in _TYPES:
                behind = frozenset(each.index for each in _behind(model, index, set()))
                if _share(macs, behind) >= LEAST_SHARE:
                    yield index


def _behind(model: TfliteModel, entry: int, without: set[int]) -> list[TfliteOperator]:
    """The operators that read nothing but inputs, constants, and one another's results.

    The first of the inputs is ``entry``.
    """
    written = {index for operator in model.operators for index in operator.outputs}
    written.update(model.inputs)
    there, found = {entry, *model.inputs[1:]}, []
    for operator in model.operators:
        reads = {index for index in operator.inputs if index in written}
        if reads and reads <= there and operator.index not in without:
            found.append(operator)
            there.update(operator.outputs)
    return found


def _restricted(
    model: TfliteModel,
    inputs: tuple[int, ...],
    operators: list[TfliteOperator] | None = None,
) -> TfliteModel:
    """Some operators of a file, that end with all that the others or its user read."""
    chosen = model.operators if operators is None else operators
    fresh = [operator.fresh() for operator in chosen]
    if operators is None:
        return dataclasses.replace(model, operators=fresh)
    inside = {operator.index for operator in chosen}
    read = {
        index
        for operator in model.operators
        if operator.index not in inside
        for index in operator.inputs
    }
    written = [index for operator in chosen for index in operator.outputs]
    first = [index for index in model.outputs if index in written]
    outputs = tuple(dict.fromkeys([*first, *(index for index in written if index in read)]))
    return dataclasses.replace(model, operators=fresh, inputs=inputs, outputs=outputs)


def _largest(
    model: TfliteModel, entry: int, macs: dict[int, int]
) -> tuple[float, TfliteModel, Imported] | None:
    """The largest part behind a tensor that is a network of the machine, and its share."""
    without: set[int] = set()
    while True:
        operators = _behind(model, entry, without)
        if _share(macs, frozenset(each.index for each in operators)) < LEAST_SHARE:
            return None
        part = _restricted(model, (entry, *model.inputs[1:]), operators)
        try:
            imported = import_model(part)
        except OperatorError as error:
            without.add(error.operator)
            continue
        except DnaError:
            return None
        share = _share(macs, _computed(imported))
        return None if share < LEAST_SHARE else (share, part, imported)


def _divided(whole: TfliteModel, part: TfliteModel, imported: Imported, reason: str) -> Partition:
    """What the host has to do around the machine's part."""
    macs = {operator.index: macs_of(whole, operator) for operator in whole.operators}
    held = {i: name for i, name in imported.held.items() if name in imported.graph.outputs}
    tail, reads = _in_front(whole, whole.answers, frozenset(held))
    plain = all(_is_left_out(operator) for operator in tail)
    if plain and len(whole.answers) == 1 and not set(reads) & set(whole.inputs):
        tail, reads = (), ()
    head: tuple[TfliteOperator, ...] = ()
    if part.inputs != whole.inputs or set(reads) & set(whole.inputs):
        head, given = _in_front(whole, (imported.input,), frozenset())
        others = set(whole.inputs[1:])
        if others & {*given, *reads} or others & {i for each in head for i in each.inputs}:
            raise DnaError("the host would need another input than the first one")
    return Partition(whole, part, imported, head, tail, reads, macs, reason)


def _is_left_out(operator: TfliteOperator) -> bool:
    row = find("tflite", operator.code)
    return row is not None and row.name in LEFT_OUT


def _in_front(
    model: TfliteModel, ends: tuple[int, ...], given: frozenset[int]
) -> tuple[tuple[TfliteOperator, ...], tuple[int, ...]]:
    """The operators that compute ``ends``, in order, and what they read: given, or inputs."""
    writer = {index: operator for operator in model.operators for index in operator.outputs}
    waiting, reads, needed = list(ends), [], set()
    while waiting:
        index = waiting.pop()
        if index in given or index in model.inputs:
            reads.append(index)
        elif index in writer and writer[index].index not in needed:
            needed.add(writer[index].index)
            waiting += writer[index].inputs
    operators = tuple(each for each in model.operators if each.index in needed)
    return operators, tuple(sorted(set(reads)))
