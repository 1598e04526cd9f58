"""How far ONNX Runtime's arithmetic is from the contract's, operation by operation.

Every operation of the graph gets the operands that ONNX Runtime computed, so that a difference is
its own and not one of those before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from sim.reference import run_operation
from sw.errors import DnaError
from sw.frontends.onnx import Imported
from sw.operations import Tensor

Int8 = npt.NDArray[np.int8]


@dataclasses.dataclass
class Measured:
    """One operation against ONNX Runtime.

    Attributes:
        operation: its name.
        kind: of operation, as the graph calls it.
        values: how many were compared.
        differing: how many differ.
        largest: the largest difference, in steps of int8.
    """

    operation: str
    kind: str
    values: int = 0
    differing: int = 0
    largest: int = 0


class OnnxMeasurer:
    """Runs a model in ONNX Runtime with every quantized tensor as an output.

    Args:
        path: the file.
        imported: what became of it.

    Raises:
        DnaError: ONNX Runtime cannot run it.
    """

    def __init__(self, path: Path, imported: Imported) -> None:
        self._imported = imported
        model = onnx.load(path)
        present = {item.name for item in model.graph.output}
        names = list(imported.tensors.values())
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name) for name in names if name not in present
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its exceptions have no class of their own
            raise DnaError(f"ONNX Runtime cannot run {path}: {str(error)[:300]}") from error
        self._names = names

    def tensors(self, image: Int8) -> dict[str, Int8]:
        """The tensors of the graph as ONNX Runtime computes them.

        Args:
            image: int8, the graph's input.
        """
        graph = self._imported.graph
        source = graph.tensors[graph.input]
        real = (image.astype(np.float32) - np.float32(source.zero_point)) * np.float32(source.scale)
        fed = {self._imported.input: real.transpose(2, 0, 1)[np.newaxis]}
        outputs = self._session.run(self._names, fed)
        return {
            name: _as_held(output, graph.tensors[name])
            for name, output in zip(self._imported.tensors, outputs, strict=True)
        }

    def measure(self, images: Iterable[Int8]) -> list[Measured]:
        """Compare every operation on every image."""
        graph = self._imported.graph
        sums = {op.name: Measured(op.name, type(op).__name__) for op in graph.operations}
        for image in images:
            tensors = self.tensors(image)
            for operation in graph.operations:
                inputs = [tensors[name] for name in operation.inputs]
                got = run_operation(graph, operation, inputs).astype(np.int32)
                distance = np.abs(got - tensors[operation.output])
                found = sums[operation.name]
                found.values += distance.size
                found.differing += int(np.count_nonzero(distance))
                found.largest = max(found.largest, int(distance.max()))
        return list(sums.values())


def _as_held(output: npt.NDArray[Any], tensor: Tensor) -> Int8:
    """int8, channels last, without the batch."""
    signed = (output ^ 128).view(np.int8) if output.dtype == np.uint8 else output
    moved = signed[0].transpose(1, 2, 0) if signed.ndim == 4 else signed
    held: Int8 = np.ascontiguousarray(moved).reshape(tensor.shape)
    return held


def by_kind(measured: Iterable[Measured]) -> list[Measured]:
    """The sums over the operations of each kind."""
    sums: dict[str, Measured] = {}
    for row in measured:
        total = sums.setdefault(row.kind, Measured(row.kind, row.kind))
        total.values += row.values
        total.differing += row.differing
        total.largest = max(total.largest, row.largest)
    return list(sums.values())
