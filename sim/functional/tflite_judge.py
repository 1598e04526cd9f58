"""A TFLite model in its own runtime, with every tensor that the integer graph has too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from sim.functional.litert import BUILT_IN, LiteRT
from sw.frontends.tflite import Imported
from sw.frontends.tflite.file import TfliteModel, outside
from sw.frontends.tflite.writer import packed

Int8 = npt.NDArray[np.int8]

EXACT_ANYWHERE = BUILT_IN | {
    *("MAX_POOL_2D", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    *("SHAPE", "STRIDED_SLICE", "PACK"),
    *("TRANSPOSE", "SOFTMAX", "LOG_SOFTMAX", "ARG_MAX", "QUANTIZE", "DEQUANTIZE"),
}
"""Operators that need not be in the delegate: they have no arithmetic, or it is the host's."""


def with_outputs(content: bytes, more: Sequence[int]) -> bytes:
    """A flatbuffer whose outputs are its own and then the tensors ``more``.

    LiteRT keeps no intermediate results of a delegate, so what is to be seen must be an output.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.data is None and buffer.size:  # the rewritten file has other offsets
            buffer.data = np.frombuffer(outside(content, buffer), np.uint8)
            buffer.offset = buffer.size = 0
    graph = model.subgraphs[0]
    graph.outputs = np.array([*graph.outputs, *more], np.int32)
    return packed(model)


class TfliteJudge:
    """Runs a model as it is, with its last int8 tensor, and with all that the graph has as outputs.

    Args:
        content: the file.
        model, imported: what became of it.

    Attributes:
        answer: the model's own output for the last image.

    Raises:
        DnaError: LiteRT cannot load it, or computes an operator outside the delegate by other
            arithmetic than the contract's.
    """

    def __init__(self, content: bytes, model: TfliteModel, imported: Imported) -> None:
        self._input = model.tensors[model.inputs[0]]
        self._entry = model.tensors[imported.input]
        self.tensors = [step.tensor for step in imported.steps if step.graph_tensor is not None]
        self._arrival = imported.arrival
        self._last = imported.output
        self._whole = LiteRT(with_outputs(content, self.tensors), built_in=EXACT_ANYWHERE)
        self._file = LiteRT(content, built_in=EXACT_ANYWHERE)
        self._plain = self._file
        if self._last != model.outputs[0]:
            self._plain = LiteRT(with_outputs(content, [self._last]), built_in=EXACT_ANYWHERE)
        self.answer: npt.NDArray[Any] = np.empty(0)

    def run(self, image: Int8) -> dict[int, Int8]:
        """The tensors of the file by index, and the graph's output as the model alone has it.

        Args:
            image: int8, the graph's input.

        Returns:
            int8 arrays without a batch of 1.
        """
        fed = self._fed(image)
        outputs = self._whole.run(fed)
        results = dict(zip(self.tensors, outputs[-len(self.tensors) :], strict=True))
        (self.answer,) = self._file.run(fed)
        alone = self.answer if self._plain is self._file else self._plain.run(fed)[-1]
        same = np.array_equal(self.answer, outputs[0])
        if not same or not np.array_equal(alone, results[self._last]):
            raise AssertionError("LiteRT gives other bits when its inner tensors are looked at")
        return results

    def _fed(self, image: Int8) -> npt.NDArray[np.generic]:
        """The graph's input as the model takes it."""
        shaped = np.empty(self._input.shape, np.int8)
        axes = self._arrival
        places = np.lib.stride_tricks.as_strided(shaped, axes.extents, axes.steps)
        places[...] = image.reshape(axes.extents)
        if self._input.type == "UINT8":
            return (shaped.view(np.uint8) ^ 128).astype(np.uint8)
        if self._input.type == "FLOAT32":
            real = shaped.astype(np.float32) - np.float32(self._entry.zero_points[0])
            return np.asarray(real * self._entry.scales[0], np.float32)
        return shaped
