"""What the host computes of a network: parts of the user's file in front of the machine and behind.

They are models of the file's own runtime, cut out of it. What passes between them and the machine
has names: ``INPUT`` is what the user gives, and the machine's maps are called as in the graph.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from sw.errors import DnaError
from sw.graph import Graph

HEAD = "head.model"
TAIL = "tail.model"
INPUT = "file's input"

RUNTIMES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime"}
"""What runs such a model, by what the manifest calls it."""


class HostTensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor at an edge of the host's model.

    Attributes:
        name: what it is; of a map of the machine its name in the graph.
        type: as numpy calls it; uint8 where the machine has int8 is that value with 128 more.
        shape: in the model, with the batch; -1 where it depends on the values.
        last: whether a map has its channels last there, too.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    last: bool = True


class HostPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that the host runs.

    Attributes:
        runtime: that it is for.
        inputs, outputs: of the model, in its order.
        operators: how many it has of each kind.
    """

    runtime: Literal["litert", "onnxruntime"]
    inputs: tuple[HostTensor, ...]
    outputs: tuple[HostTensor, ...]
    operators: dict[str, int]

    def __str__(self) -> str:
        counts = (f"{count} {code}" for code, count in sorted(self.operators.items()))
        return f"{', '.join(counts)} in {RUNTIMES[self.runtime]}"


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What runs on the host.

    Attributes:
        head: in front of the machine; None: the user gives the machine's input.
        tail: behind it; None: the answer are the machine's maps.
    """

    head: HostPart | None = None
    tail: HostPart | None = None

    @property
    def parts(self) -> dict[str, HostPart]:
        """Those that there are, by the name of their file."""
        both = {HEAD: self.head, TAIL: self.tail}
        return {name: part for name, part in both.items() if part is not None}


def check_host(host: Host, graph: Graph) -> None:
    """Check that the host's models fit the machine's maps.

    Raises:
        DnaError: one takes or makes a tensor that there is not, or of another size.
    """
    if host.head is not None:
        (made,) = host.head.outputs[:1] or (None,)
        if made is None or len(host.head.outputs) != 1 or made.name != graph.input:
            raise DnaError(f"the host's head does not make {graph.input!r}")
        if [each.name for each in host.head.inputs] != [INPUT]:
            raise DnaError("the host's head does not read the file's input")
    given = {*graph.inputs, *graph.outputs, *([INPUT] if host.head else ())}
    for part in host.parts.values():
        for tensor in (*part.inputs, *part.outputs):
            _check_tensor(tensor, graph)
    for tensor in host.tail.inputs if host.tail else ():
        if tensor.name not in given:
            raise DnaError(f"the host's tail reads {tensor.name!r}, which nothing makes")


def _check_tensor(tensor: HostTensor, graph: Graph) -> None:
    try:
        np.dtype(tensor.type)
    except TypeError as error:
        raise DnaError(f"{tensor.name!r} has type {tensor.type!r}, which there is not") from error
    if tensor.name in graph.tensors:
        size = int(np.prod(graph.tensors[tensor.name].shape))
        if tensor.type not in ("int8", "uint8") or int(np.prod(tensor.shape)) != size:
            raise DnaError(f"{tensor} is not the {size} values of {tensor.name!r}")


def as_held(values: npt.NDArray[np.generic], tensor: HostTensor) -> npt.NDArray[np.int8]:
    """A map of the machine, int8 in the graph's order, flat, from the host's tensor."""
    data = values if tensor.last else np.moveaxis(values, 1, -1)
    flat = np.ascontiguousarray(data).reshape(-1)
    return (flat ^ 128).view(np.int8) if tensor.type == "uint8" else flat.view(np.int8)


def as_seen(
    values: npt.NDArray[np.int8], tensor: HostTensor
) -> npt.NDArray[np.int8] | npt.NDArray[np.uint8]:
    """The host's tensor from a map of the machine, int8."""
    data = values
    if not tensor.last:
        data = np.moveaxis(values, -1, 0)
    data = np.ascontiguousarray(data).reshape(tensor.shape)
    return (data.view(np.uint8) ^ np.uint8(128)) if tensor.type == "uint8" else data
