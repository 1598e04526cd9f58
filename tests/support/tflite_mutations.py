"""Models that set one field of a TFLite file to another value, for every field of its schema.

The fields are those of the schema's objects, which come with LiteRT: of an accepted operator, of
its table of options, of every tensor that it reads or writes, of their quantization and buffers,
and of the file around some. One for which ``tests.support.tflite_values`` has no value is a
:class:`KeyError`, so that another version of the schema fails the tests until somebody looks.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from sw.frontends.tflite.file.packing import packed
from tests.support.tflite_bases import Base
from tests.support.tflite_values import VALUES, Together, constants, replacements

WHOLE = ("CONV_2D", "PAD")
"""The operators around which fields of the file itself are set."""


@dataclasses.dataclass(frozen=True)
class Place:
    """An object of a base's file.

    Attributes:
        what: it is, for messages.
        kind: its class in the schema.
        find: takes it out of the file's objects.
        position: among the operator's inputs, of what belongs to one.
    """

    what: str
    kind: type
    find: Callable[[Any], Any]
    position: int = -1


def places(base: Base) -> Iterator[Place]:
    """The objects of a base whose fields are set."""
    model = base.model()
    operator = base.operator(model)
    yield Place("operator", schema.OperatorT, base.operator)
    yield Place(
        "operator code",
        schema.OperatorCodeT,
        lambda model: model.operatorCodes[base.operator(model).opcodeIndex],
    )
    if operator.builtinOptions is not None:
        yield Place(
            "options", type(operator.builtinOptions), lambda m: base.operator(m).builtinOptions
        )
    for position in range(len(operator.inputs)):
        yield from _of_tensor(base, position)
    yield from _of_tensor(base, -1)
    if base.code in WHOLE:
        yield Place("model", schema.ModelT, lambda model: model)
        yield Place("subgraph", schema.SubGraphT, lambda model: model.subgraphs[0])


def _of_tensor(base: Base, position: int) -> Iterator[Place]:
    what = f"input {position}" if position >= 0 else "output"

    def tensor(model: Any) -> Any:
        operator = base.operator(model)
        return model.subgraphs[0].tensors[
            operator.inputs[position] if position >= 0 else operator.outputs[0]
        ]

    def quantization(model: Any) -> Any:
        held = tensor(model)
        if held.quantization is None:
            held.quantization = schema.QuantizationParametersT()
        return held.quantization

    yield Place(what, schema.TensorT, tensor, position)
    yield Place(f"{what}, quantization", schema.QuantizationParametersT, quantization, position)
    if tensor(base.model()).buffer:
        yield Place(
            f"{what}, buffer",
            schema.BufferT,
            lambda model: model.buffers[tensor(model).buffer],
            position,
        )


def mutations(base: Base) -> Iterator[tuple[str, str, list[tuple[str, Callable[[], bytes]]]]]:
    """For each field: of what, its name, and files with other values of it by what they say."""
    for place in places(base):
        item = place.find(base.model())
        for name in vars(place.kind()):
            values = list(VALUES[place.kind][name](item))
            if place.kind is schema.BufferT and name == "data":
                values = [*constants(base.code, place.position), *values]
            yield place.what, name, [(_text(v), _file(base, place, name, v)) for v in values]
    for position in range(len(base.operator(base.model()).inputs)):
        yield "operator", f"input {position}", list(_other_inputs(base, position))


def _file(base: Base, place: Place, name: str, value: Any) -> Callable[[], bytes]:
    def write() -> bytes:
        model = base.model()
        fields = value.fields if isinstance(value, Together) else {name: value}
        item = place.find(model)
        for each, held in fields.items():
            assert hasattr(item, each)
            setattr(item, each, held)
        return packed(model)

    return write


def _other_inputs(base: Base, position: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Another tensor of the file, none, or a constant of another type in its place."""
    count = len(base.model().subgraphs[0].tensors)
    for index in range(-1, count):
        yield f"tensor {index}", _rewired(base, position, lambda _, index=index: index)
    for array, kind in replacements(base.code, position):
        yield (
            f"{_text(array)} of type {kind}",
            _rewired(base, position, lambda m, a=array, k=kind: _constant(m, a, k)),
        )


def _rewired(base: Base, position: int, index_of: Callable[[Any], int]) -> Callable[[], bytes]:
    def write() -> bytes:
        model = base.model()
        index = index_of(model)
        inputs = np.array(base.operator(model).inputs)
        inputs[position] = index
        base.operator(model).inputs = inputs
        return packed(model)

    return write


def _constant(model: Any, array: np.ndarray, kind: int) -> int:
    """Index of a new constant in ``model``."""
    data = np.frombuffer(array.tobytes(), np.uint8)
    model.buffers.append(schema.BufferT(data=data))
    shape = np.array(array.shape, np.int32)
    tensors = model.subgraphs[0].tensors
    tensors.append(schema.TensorT(shape=shape, type=kind, buffer=len(model.buffers) - 1, name="c"))
    return len(tensors) - 1


def _text(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, Together):
        return ", ".join(f"{name} {_text(held)}" for name, held in value.fields.items())
    if isinstance(value, list) and value and hasattr(value[0], "Pack"):
        return f"{len(value)} of {type(value[0]).__name__}"
    if hasattr(value, "Pack"):
        return type(value).__name__
    return str(value.tolist() if isinstance(value, np.ndarray) else value)[:50]
