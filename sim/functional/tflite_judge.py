"""A TFLite model in its own runtime, with every tensor that the integer graph has too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.functional.litert import BUILT_IN, LiteRT
from sw.frontends.tflite import Imported
from sw.frontends.tflite.file.packing import opened, packed
from sw.frontends.tflite.file.reader import TfliteModel, TfliteTensor
from sw.graph import NOTHING

Int8 = npt.NDArray[np.int8]

EXACT_ANYWHERE = BUILT_IN | {
    *("PRELU", "SPLIT"),
    *("MAX_POOL_2D", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    *("SHAPE", "STRIDED_SLICE", "PACK"),
    *("TRANSPOSE", "SOFTMAX", "LOG_SOFTMAX", "ARG_MAX", "QUANTIZE", "DEQUANTIZE"),
}
"""Operators that need not be in the delegate: they have no arithmetic, or it is the host's."""


def with_outputs(content: bytes, more: Sequence[int]) -> bytes:
    """A flatbuffer whose outputs are its own and then the tensors ``more``.

    LiteRT keeps no intermediate results of a delegate, so what is to be seen must be an output.
    """
    model = opened(content)
    graph = model.subgraphs[0]
    graph.outputs = np.array([*graph.outputs, *more], np.int32)
    return packed(model)


class TfliteJudge:
    """Runs a model as it is, with its last int8 tensors, and with all that the graph has.

    Args:
        content: the file.
        model, imported: what became of it.

    Attributes:
        answer: the model's own first output for the last input.

    Raises:
        DnaError: LiteRT cannot load it, or computes an operator outside the delegate by other
            arithmetic than the contract's.
    """

    def __init__(self, content: bytes, model: TfliteModel, imported: Imported) -> None:
        self._model, self._imported = model, imported
        self.tensors = [step.tensor for step in imported.steps if step.graph_tensor is not None]
        self._last = imported.outputs
        self._whole = LiteRT(with_outputs(content, self.tensors), built_in=EXACT_ANYWHERE)
        self._file = LiteRT(content, built_in=EXACT_ANYWHERE)
        self._plain: LiteRT | None = None
        self.answer: npt.NDArray[Any] = np.empty(0)
        if self._last != model.outputs:
            self._plain = LiteRT(with_outputs(content, self._last), built_in=EXACT_ANYWHERE)

    def run(self, image: Int8, further: Mapping[str, Int8] = NOTHING) -> dict[int, Int8]:
        """The tensors of the file by index, and the graph's output as the model alone has it.

        Args:
            image: int8, the graph's input.
            further: other inputs of the graph by name, as for
                :meth:`sim.functional.FunctionalModel.outputs`.

        Returns:
            int8 arrays without a batch of 1.
        """
        _, *more = self._imported.graph.fed(image, further)
        given = [
            fed(self._model, self._imported, image),
            *(fed_further(self._model, self._imported, n, each) for n, each in enumerate(more, 1)),
        ]
        outputs = [_signed(output) for output in self._whole.run(*given)]
        results = dict(zip(self.tensors, outputs[-len(self.tensors) :], strict=True))
        answers = [_signed(output) for output in self._file.run(*given)]
        self.answer, alone = answers[0], answers
        if self._plain is not None:
            alone = [_signed(output) for output in self._plain.run(*given)[-len(self._last) :]]
        same = all(map(np.array_equal, answers, outputs))
        same &= all(np.array_equal(a, results[i]) for a, i in zip(alone, self._last, strict=True))
        if not same:
            raise AssertionError("LiteRT gives other bits when its inner tensors are looked at")
        return results


def _signed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """UINT8 as the graph has it; anything else as it is."""
    return (values ^ 128).view(np.int8) if values.dtype == np.uint8 else values


def fed(model: TfliteModel, imported: Imported, image: Int8) -> npt.NDArray[np.generic]:
    """The graph's input as the model takes it.

    Args:
        model, imported: what became of the file.
        image: int8 of the shape of the graph's input.
    """
    source, entry = model.tensors[model.inputs[0]], model.tensors[imported.input]
    shaped = np.empty(source.shape, np.int8)
    axes = imported.arrival
    places = np.lib.stride_tricks.as_strided(shaped, axes.extents, axes.steps)
    places[...] = image.reshape(axes.extents)
    return _as_type(shaped, source.type, entry)


def fed_further(
    model: TfliteModel, imported: Imported, number: int, values: Int8
) -> npt.NDArray[np.generic]:
    """An input of the graph besides the first as the model takes it.

    Args:
        model, imported: what became of the file.
        number: of the input, 1 for the one behind the first.
        values: int8 of its shape.
    """
    source = model.tensors[model.inputs[number]]
    entry = model.tensors[imported.further[number - 1]]
    return _as_type(values.reshape(source.shape), source.type, entry)


def _as_type(shaped: Int8, kind: str, entry: TfliteTensor) -> npt.NDArray[np.generic]:
    """An input in the type of the file."""
    if kind == "UINT8":
        return (shaped.view(np.uint8) ^ 128).astype(np.uint8)
    if kind == "FLOAT32":
        zero_point = entry.zero_points[0] - (128 if entry.type == "UINT8" else 0)
        real = shaped.astype(np.float32) - np.float32(zero_point)
        return np.asarray(real * entry.scales[0], np.float32)
    return shaped
