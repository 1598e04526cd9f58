"""How far ONNX Runtime's arithmetic is from the contract's, by operation and for the whole network.

Every operation of the graph gets the operands that ONNX Runtime computed, so that a difference is
its own and not one of those before it; :mod:`sim.compare.exact` says which rounding explains. Then
the file as it is and the whole graph are run side by side, each on its own results, and compared
where the graph ends, in the order of the file. What explains a difference there is measured, not
chosen: the graph is run again with every result of the operations that differed moved by one step,
all up, all down, or at random. ONNX Runtime moved a few of them, so it cannot be further away than
that by more than the step in which the last result is rounded. If no operation differed, the whole
must be equal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.compare.exact import exact, unexplained
from sim.compare.onnx_session import OnnxSession
from sim.reference import ReferenceModel, run_operation
from sw.errors import DnaError
from sw.frontends.onnx import Imported, Value
from sw.numerics import INT8_MAX, INT8_MIN
from sw.operations import Operation

Int8 = npt.NDArray[np.int8]
RANDOM_RUNS = 4
_FAR = 2.0**30


@dataclasses.dataclass
class Measured:
    """One operation against ONNX Runtime.

    Attributes:
        operation: its name.
        kind: of operation, as the graph calls it.
        values: how many were compared.
        differing: how many differ.
        unexplained: how many of these no rounding explains.
        largest: the largest difference, in steps of int8.
    """

    operation: str
    kind: str
    values: int = 0
    differing: int = 0
    unexplained: int = 0
    largest: int = 0


@dataclasses.dataclass
class Whole:
    """The whole network against the file as it is.

    Attributes:
        values: how many were compared at the end of the graph.
        differing: how many differ.
        largest: the largest difference, in steps of the graph's output.
        explained: the largest one that the differences of single operations explain.
    """

    values: int = 0
    differing: int = 0
    largest: int = 0
    explained: int = 0


class OnnxMeasurer:
    """Runs a model in ONNX Runtime, as it is and with every quantized tensor as an output.

    Args:
        path: the file.
        imported: what became of it.

    Raises:
        DnaError: ONNX Runtime cannot run it.
    """

    def __init__(self, path: Path, imported: Imported) -> None:
        self._imported = imported
        graph = imported.graph
        self._names = {
            op.output: imported.tensors[op.output]
            for op in graph.operations
            if op.output in imported.tensors
        }
        self._session = OnnxSession(path, self._names.values())
        self._file = OnnxSession(path, [end.border for end in imported.ends])
        self._source = graph.tensors[graph.input]
        self._bytes = self._file.input_type

    def _fed(self, image: Int8) -> dict[str, npt.NDArray[Any]]:
        """What the file reads for an input of the graph."""
        real: npt.NDArray[Any] = image
        if self._bytes == "tensor(uint8)":
            real = (image ^ np.int8(-128)).view(np.uint8)
        elif self._bytes == "tensor(float)":
            source = self._source
            real = image.astype(np.float32) - np.float32(source.zero_point)
            real = real * np.float32(source.scale)
        ordered = real if self._imported.input_last else real.transpose(2, 0, 1)
        return {self._imported.input: ordered[np.newaxis]}

    def tensors(self, image: Int8) -> dict[str, Int8]:
        """The tensors of the graph as ONNX Runtime computes them.

        Args:
            image: int8, the graph's input.

        Raises:
            DnaError: one has another shape there.
        """
        graph = self._imported.graph
        outputs = self._session.run(list(self._names.values()), self._fed(image))
        found = {graph.input: image}
        for name, output in zip(self._names, outputs, strict=True):
            shape = graph.tensors[name].shape
            places = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
            order = _as_seen(places, self._imported.views[name])
            _check_shape(self._names[name], output, order)
            found[name] = np.empty(shape, np.int8)
            found[name].flat[order] = _signed(output)
        return found

    def measure(self, images: Iterable[Int8]) -> list[Measured]:
        """Compare every operation on every image."""
        graph = self._imported.graph
        sums = {op.name: Measured(op.name, type(op).__name__) for op in graph.operations}
        for image in images:
            tensors = self.tensors(image)
            passing: dict[str, Any] = {}
            for operation, inputs, output in self._operations(tensors):
                got = run_operation(graph, operation, inputs)
                distance = np.abs(got.astype(np.int32) - output)
                found = sums[operation.name]
                found.values += distance.size
                found.differing += int(np.count_nonzero(distance))
                found.unexplained += unexplained(graph, operation, inputs, got, output, passing)
                if operation.output not in tensors:
                    passing[operation.output] = exact(graph, operation, inputs, passing)
                found.largest = max(found.largest, int(distance.max()))
        return list(sums.values())

    def _operations(self, tensors: dict[str, Int8]) -> Iterable[tuple[Operation, list[Int8], Int8]]:
        """Every operation with its operands and its result among ``tensors``.

        What the file has no tensor for (a pooling behind which an activation is an operation of
        its own) is computed from what it has.
        """
        graph, known = self._imported.graph, dict(tensors)
        for operation in graph.operations:
            inputs = [known[name] for name in operation.inputs]
            if operation.output not in known:
                known[operation.output] = run_operation(graph, operation, inputs)
            yield operation, inputs, known[operation.output]

    def whole(self, images: Sequence[Int8], measured: Iterable[Measured]) -> Whole:
        """Compare the file as it is with the whole graph, on every image.

        Args:
            measured: what :meth:`measure` found on the same images.

        Raises:
            DnaError: the file's result has another shape.
        """
        graph, ends, found = self._imported.graph, self._imported.ends, Whole()
        deviating = {row.operation for row in measured if row.differing}
        model = ReferenceModel(graph)
        for image in images:
            outputs = self._file.run([end.border for end in ends], self._fed(image))
            known, computed = self.tensors(image), model.run_all(image)
            for end, judged in zip(ends, outputs, strict=True):
                seen, name = end.value, end.value.name
                expected, ours = self._steps(judged, name), computed[name]
                _check_shape(end.border, expected, _as_seen(ours, seen))
                if (expected != _as_seen(known[name], seen)).any():
                    # It computes in another way when it is asked for what lies between.
                    deviating = {operation.name for operation in graph.operations}
                distance = np.abs(_as_seen(ours, seen).astype(np.int32) - expected)
                found.values += distance.size
                found.differing += int(np.count_nonzero(distance))
                found.largest = max(found.largest, int(distance.max()))
                if distance.any() and deviating:
                    reach = self._reach(image, name, ours, deviating)
                    found.explained = max(found.explained, reach)
        return found

    def _reach(self, image: Int8, name: str, ours: Int8, deviating: set[str]) -> int:
        """How far steps in the results of ``deviating`` reach at an output, and one of rounding."""
        rng = np.random.default_rng(0)
        graph, largest = self._imported.graph, 0
        for least, most in ((1, 1), (-1, -1), *[(-1, 1)] * RANDOM_RUNS):
            values = {graph.input: image}
            for operation in graph.operations:
                inputs = [values[name] for name in operation.inputs]
                output = run_operation(graph, operation, inputs)
                if operation.name in deviating:
                    lo, hi = getattr(operation, "lo", INT8_MIN), getattr(operation, "hi", INT8_MAX)
                    moved = output + rng.integers(least, most + 1, output.shape, dtype=np.int16)
                    output = np.clip(moved, lo, hi).astype(np.int8)
                values[operation.output] = output
            distance = np.abs(values[name].astype(np.int32) - ours)
            largest = max(largest, int(distance.max()))
        return largest + 1

    def _steps(self, output: npt.NDArray[Any], name: str) -> npt.NDArray[np.int32]:
        """What the file computes, in steps of an output of the graph."""
        if output.dtype != np.float32:
            return _signed(output).astype(np.int32)
        target = self._imported.graph.tensors[name]
        steps = np.rint(output.astype(np.float64) / target.scale) + target.zero_point
        bounded: npt.NDArray[np.int32] = np.clip(np.nan_to_num(steps), -_FAR, _FAR).astype(np.int32)
        return bounded


def _as_seen(held: npt.NDArray[Any], seen: Value) -> npt.NDArray[Any]:
    """A tensor of the graph in the shape and order in which the file has it."""
    ordered = held.transpose(2, 0, 1) if held.ndim == 3 and not seen.last else held
    return (ordered.reshape(-1) if seen.flat else ordered)[np.newaxis]


def _check_shape(name: str, output: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    if output.shape != expected.shape:
        raise DnaError(
            f"{name!r} is {list(output.shape)} in ONNX Runtime, {list(expected.shape)} by the graph"
        )


def _signed(output: npt.NDArray[Any]) -> Int8:
    """Bytes as int8."""
    signed: Int8 = (output ^ 128).view(np.int8) if output.dtype == np.uint8 else output
    return signed


def by_kind(measured: Iterable[Measured]) -> list[Measured]:
    """The sums over the operations of each kind."""
    sums: dict[str, Measured] = {}
    for row in measured:
        total = sums.setdefault(row.kind, Measured(row.kind, row.kind))
        total.values += row.values
        total.differing += row.differing
        total.unexplained += row.unexplained
        total.largest = max(total.largest, row.largest)
    return list(sums.values())


def faults(measured: Iterable[Measured], whole: Whole) -> list[str]:
    """Where the file computes another thing than the graph: what no rounding explains."""
    found = [
        f"{row.operation}: {row.differing:,} of {row.values:,} values differ from ONNX Runtime's, "
        f"by {row.largest} steps at most, and rounding explains all but {row.unexplained:,}"
        for row in measured
        if row.unexplained
    ]
    if whole.largest > whole.explained:
        found.append(
            f"the whole network: {whole.differing:,} of {whole.values:,} values differ from ONNX "
            f"Runtime's, by {whole.largest} steps at most, where rounding explains "
            f"{whole.explained}"
        )
    return found
