"""A network as a framework quantized it, and as it was before."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sw.graph import Graph
from sw.preprocessing import Preprocessing

F32Array = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Quantized:
    """What quantization leaves.

    Attributes:
        graph: the integer graph.
        model: name of the network.
        preprocessing: that its images need.
        fp32: the network in float32: float32 [H, W, C] to logits float32 [classes].
        tflite: the file that TensorFlow made, if it was TensorFlow.
    """

    graph: Graph
    model: str
    preprocessing: Preprocessing
    fp32: Callable[[F32Array], F32Array]
    tflite: bytes | None = None
