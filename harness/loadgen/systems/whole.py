"""What LoadGen's samples run on: the functional model, with the host's parts around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.loadgen.systems.sut import Model
from sim.functional import FunctionalModel
from sim.host import WholeModel
from sw.artifact import Artifact


def model_of(network: Artifact, threads: int) -> Model:
    """Runs a network, one sample at a time.

    A network whose answer is one map of the machine gives that, int8 [1, ...]; of others the
    answer is all outputs of the file one after the other, as bytes: uint8 [1, bytes].

    Args:
        network: the artifact.
        threads: that share the work of a sample.
    """
    manifest = network.manifest
    if not manifest.host.parts and not manifest.others:
        return FunctionalModel(network.graph, threads).run
    whole = WholeModel(network, threads=threads)

    def run(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        outputs = whole.outputs(batch[0])
        if manifest.answer_shape:
            return outputs[network.graph.output][np.newaxis]
        return joined(outputs)

    return run


def joined(outputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """All outputs as bytes, one after the other: uint8 [1, bytes]."""
    parts = [
        np.frombuffer(np.ascontiguousarray(each).tobytes(), np.uint8) for each in outputs.values()
    ]
    return np.concatenate(parts)[np.newaxis]
