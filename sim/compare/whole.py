"""A TFLite file as it is against its artifact: the host's parts around the functional model."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from sim.functional.tflite_judge import fed, fed_further, with_outputs
from sim.host import HostModel, WholeModel
from sw.artifact import Artifact
from sw.artifact.host import as_held
from sw.frontends.tflite import ImportedFile
from sw.frontends.tflite.hosting import borders, file_part

FLOATS = (-1.0, 1.0)
"""Between these are the random values of a float input."""


@dataclasses.dataclass
class Answered:
    """An output of the file over all inputs.

    Attributes:
        name: of it.
        values: how many were compared.
        differing: how many differ in a bit.
    """

    name: str
    values: int = 0
    differing: int = 0


class WholeComparer:
    """Runs both on one input after the other.

    Args:
        content: the file.
        file: what became of it.
        network: the artifact.

    Raises:
        DnaError: a runtime cannot load its part.
    """

    def __init__(self, content: bytes, file: ImportedFile, network: Artifact) -> None:
        self._file, self._network = file, network
        self._part = file_part(file.divided)
        self._tail = network.manifest.host.tail is not None
        if not self._tail:  # the answer is that of the machine
            self._part = msgspec.structs.replace(
                self._part, outputs=(*self._part.outputs, *borders(file.divided))
            )
            content = with_outputs(content, file.imported.outputs)
        self._right = HostModel(self._part, content)
        self._ours = WholeModel(network)
        asked = self._part.outputs
        self._asked = asked if self._tail else asked[-len(file.imported.outputs) :]
        self.answered = [Answered(output.name) for output in self._asked]

    def compare(self, seed: int) -> None:
        """Compare the outputs for a random input; what is carried is that of the calls before."""
        rng = np.random.default_rng(seed)
        given = self._part.inputs[0]
        if self._network.manifest.host.head is not None:
            mine = theirs = random_values(rng, np.dtype(given.type), given.shape)
        else:
            shape = self._network.manifest.input.shape
            mine = random_values(rng, np.dtype(np.int8), shape)
            theirs = fed(self._file.model, self._file.imported, mine)
        graph, model, imported = self._network.graph, self._file.model, self._file.imported
        further, fitting = {}, {given.name: theirs}
        for name, part in zip(graph.given[1:], self._part.inputs[1:], strict=True):
            values = random_values(rng, np.dtype(np.int8), graph.tensors[name].shape)
            further[name] = fitting[part.name] = values
            if part.type not in ("int8", "uint8"):
                number = graph.inputs.index(name)
                fitting[part.name] = fed_further(model, imported, number, values)
        right = self._right.run(fitting)
        ours = self._ours.outputs(mine, further)
        for answered, tensor in zip(self.answered, self._asked, strict=True):
            a, b = right[answered.name], ours[answered.name]
            if not self._tail:
                a, b = as_held(a, tensor), b.reshape(-1)
            answered.values += a.size
            same = a.shape == b.shape and a.dtype == b.dtype
            answered.differing += int(np.count_nonzero(_differing(a, b))) if same else a.size


def random_values(
    rng: np.random.Generator, kind: np.dtype[Any], shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Any values of a type, of floats those between ``FLOATS``."""
    if kind.kind == "f":
        return rng.uniform(*FLOATS, shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)


def _differing(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where two arrays have other values; what is no number is like itself."""
    return np.asarray((a != b) & ~((a != a) & (b != b)))
