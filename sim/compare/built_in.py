"""LiteRT's own kernels beside its delegate, operator by operator, each on the same operands."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from sw.frontends.tflite import Imported
from sw.frontends.tflite.file.packing import opened, part
from sw.frontends.tflite.file.reader import TfliteModel

Int8 = npt.NDArray[np.int8]


class BuiltInKernels:
    """Each operator of a file alone, without the delegate.

    Args:
        content: the file.
        model, imported: what became of it.
    """

    def __init__(self, content: bytes, model: TfliteModel, imported: Imported) -> None:
        self._model, self._imported = model, imported
        self._file = opened(content)
        self._operators = {operator.index: operator for operator in model.operators}
        self._runners: dict[int, Any] = {}

    def difference(
        self,
        index: int,
        image: Int8,
        further: Mapping[str, Int8],
        judged: Mapping[int, Int8],
    ) -> tuple[int, int] | None:
        """In how many values an operator's own kernel differs from the delegate, and by how much.

        Args:
            index: the operator.
            image: int8, the graph's input.
            further: its other inputs by name.
            judged: what LiteRT computes with its delegate, int8, by index of the tensor.

        Returns:
            None if an operand is not at hand, or the kernel does not run alone.
        """
        operator = self._operators[index]
        written = {i for each in self._operators.values() for i in each.outputs}
        known = written | set(self._model.inputs)
        reads = list(dict.fromkeys(i for i in operator.inputs if i in known))
        given: dict[int, Int8] = dict(judged)
        names = self._imported.graph.further
        given |= {i: further[name] for i, name in zip(self._imported.further, names, strict=True)}
        if self._imported.arrival.in_order:
            given[self._imported.input] = image
        if len(operator.outputs) != 1 or not all(i in given for i in reads):
            return None
        with contextlib.suppress(RuntimeError, ValueError):
            runner = self._runner(index, reads)
            for i, place in zip(reads, runner.get_input_details(), strict=True):
                values = given[i].reshape(place["shape"])
                if place["dtype"] is np.uint8:
                    values = values.view(np.uint8) ^ np.uint8(128)
                runner.set_tensor(place["index"], values)
            runner.invoke()
            got = runner.get_tensor(runner.get_output_details()[0]["index"]).reshape(-1)
            if got.dtype == np.uint8:
                got = (got ^ 128).view(np.int8)
            distance = np.abs(got.astype(np.int32) - judged[operator.outputs[0]].reshape(-1))
            return int(np.count_nonzero(distance)), int(distance.max(initial=0))
        return None

    def _runner(self, index: int, reads: list[int]) -> Any:
        if index not in self._runners:
            content = part(self._file, {index}, reads, self._operators[index].outputs)
            self._runners[index] = Interpreter(
                model_content=content,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._runners[index].allocate_tensors()
        return self._runners[index]
