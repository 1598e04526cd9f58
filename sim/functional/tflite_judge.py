"""A TFLite model in its own runtime, with every tensor that the integer graph has too."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tflite

from sim.functional.litert import BUILT_IN, LiteRT
from sw.frontends.tflite import Imported
from sw.frontends.tflite_file import TfliteModel, TfliteTensor

Int8 = npt.NDArray[np.int8]

EXACT_ANYWHERE = BUILT_IN | {
    *("MAX_POOL_2D", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"),
    *("SHAPE", "STRIDED_SLICE", "PACK"),
    *("SOFTMAX", "QUANTIZE", "DEQUANTIZE"),
}
"""Operators that need not be in the delegate: they have no arithmetic, or it is the host's."""
_OUTPUTS_SLOT = 8  # SubGraph.outputs in its vtable
_ALIGNMENT = 4


def with_outputs(content: bytes, more: Sequence[int]) -> bytes:
    """A flatbuffer whose outputs are its own and then the tensors ``more``.

    LiteRT keeps no intermediate results of a delegate, so what is to be seen must be an output. The
    new vector of outputs stands behind the old file; one offset leads to it.
    """
    graph = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
    outputs = [*(int(i) for i in graph.OutputsAsNumpy()), *more]
    where = graph._tab.Pos + graph._tab.Offset(_OUTPUTS_SLOT)
    changed = bytearray(content)
    changed += bytes(-len(changed) % _ALIGNMENT)
    struct.pack_into("<I", changed, where, len(changed) - where)
    changed += struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)
    return bytes(changed)


class TfliteJudge:
    """Runs a model as it is, and once more with everything that the graph has as an output.

    Args:
        content: the file.
        model, imported: what became of it.

    Raises:
        DnaError: LiteRT cannot load it, or computes an operator outside the delegate by other
            arithmetic than the contract's.
    """

    def __init__(self, content: bytes, model: TfliteModel, imported: Imported) -> None:
        self._input = model.tensors[model.inputs[0]]
        self._entry = model.tensors[imported.input]
        self.tensors = [step.tensor for step in imported.steps if step.graph_tensor is not None]
        self._last = imported.output
        changed = with_outputs(content, self.tensors)
        self._whole = LiteRT(changed, built_in=EXACT_ANYWHERE)
        self._plain = LiteRT(with_outputs(content, [self._last]), built_in=EXACT_ANYWHERE)

    def run(self, image: Int8) -> dict[int, Int8]:
        """The tensors of the file by index, and the graph's output as the model alone has it.

        Args:
            image: int8, the graph's input.

        Returns:
            int8 arrays without the batch.
        """
        fed = _fed(image, self._input, self._entry)
        outputs = self._whole.run(fed)
        results = dict(zip(self.tensors, outputs[-len(self.tensors) :], strict=True))
        alone = self._plain.run(fed)[-1]
        if not np.array_equal(alone, results[self._last]):
            raise AssertionError("LiteRT gives other bits when its inner tensors are looked at")
        return results


def _fed(image: Int8, source: TfliteTensor, entry: TfliteTensor) -> npt.NDArray[np.generic]:
    """The graph's input as the model takes it, without the batch."""
    shaped = image.reshape(source.shape[1:])
    if source.type == "UINT8":
        return (shaped.view(np.uint8) ^ 128).astype(np.uint8)
    if source.type == "FLOAT32":
        real = shaped.astype(np.float32) - np.float32(entry.zero_points[0])
        return np.asarray(real * entry.scales[0], np.float32)
    return shaped
