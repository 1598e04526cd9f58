"""The host's parts of a TFLite file as models that the artifact keeps."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sw.artifact.host import HEAD, INPUT, TAIL, Host, HostPart, HostTensor
from sw.errors import DnaError
from sw.frontends.tflite.file.operator import TfliteOperator
from sw.frontends.tflite.file.packing import cut
from sw.frontends.tflite.partition import Partition
from sw.host import children

_TYPES = {
    "FLOAT32": "float32",
    "FLOAT64": "float64",
    "FLOAT16": "float16",
    "BOOL": "bool",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}
"""What numpy calls the schema's types."""

_TRIAL = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(model_path=sys.argv[1])
runner.allocate_tensors()
for each in runner.get_input_details():
    runner.set_tensor(each["index"], np.zeros(each["shape"], each["dtype"]))
runner.invoke()
"""


def host_of(content: bytes, divided: Partition) -> tuple[Host, dict[str, bytes]]:
    """What the host runs, and its models by the name of their file.

    Raises:
        DnaError: a tensor at an edge is of a type that numpy does not have.
    """
    models = {}
    head = tail = None
    graph, whole = divided.imported.graph, divided.whole
    if divided.head:
        inputs, outputs = whole.inputs[:1], (divided.imported.input,)
        head = _part(divided, divided.head, inputs, outputs)
        models[HEAD] = cut(content, _indices(divided.head), inputs, outputs)
        made = head.outputs[0]
        head = HostPart(
            head.runtime,
            head.inputs,
            (HostTensor(graph.input, made.type, made.shape),),
            head.operators,
        )
    if divided.tail:
        inputs = divided.tail_inputs
        tail = _part(divided, divided.tail, inputs, whole.answers)
        models[TAIL] = cut(content, _indices(divided.tail), inputs, whole.answers)
    return Host(head, tail), models


def file_part(divided: Partition) -> HostPart:
    """The whole file as something that the host could run; the first input is ``INPUT``.

    State is the file's own affair.
    """
    whole = divided.whole
    every = _part(divided, whole.operators, whole.given, whole.answers)
    given = every.inputs[0]
    return HostPart(
        every.runtime,
        (HostTensor(INPUT, given.type, given.shape), *every.inputs[1:]),
        every.outputs,
        every.operators,
    )


def borders(divided: Partition) -> tuple[HostTensor, ...]:
    """The tensors of the file that are the machine's answers."""
    imported = divided.imported
    return tuple(_tensor(divided, index, imported.held) for index in imported.outputs)


def check_runs(path: Path) -> None:
    """Run a file once in LiteRT, in a process of its own: what it holds is not all checked here.

    Raises:
        DnaError: LiteRT cannot run it, or ends with the process.
    """
    done = children.run([sys.executable, "-c", _TRIAL, str(path)], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        why = said[-1] if said and done.returncode > 0 else f"it ended with {done.returncode}"
        raise DnaError(f"LiteRT does not run the file: {why[:300]}")


def _indices(operators: Sequence[TfliteOperator]) -> set[int]:
    return {operator.index for operator in operators}


def _part(
    divided: Partition,
    operators: Sequence[TfliteOperator],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> HostPart:
    return HostPart(
        runtime="litert",
        inputs=tuple(_tensor(divided, index, divided.imported.held) for index in inputs),
        outputs=tuple(_tensor(divided, index, {}) for index in outputs),
        operators=dict(Counter(operator.code for operator in operators)),
    )


def _tensor(divided: Partition, index: int, held: dict[int, str]) -> HostTensor:
    tensor = divided.whole.tensors[index]
    name = held.get(index, tensor.name)
    if index in divided.whole.inputs and divided.head:
        name = INPUT
    if tensor.type not in _TYPES:
        raise DnaError(f"{tensor.name!r} is {tensor.type}, which the host cannot pass on")
    return HostTensor(name, _TYPES[tensor.type], tensor.shape)
