"""Runs a deployed network: float images in, float logits out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sim.functional import FunctionalModel
from sim.quantization import dequantize, quantize
from sim.reference import ReferenceModel
from sw import artifact
from sw.artifact import Artifact, Manifest
from sw.classes import has_classes
from sw.errors import DnaError

Engine = Literal["functional", "reference"]
Float32 = npt.NDArray[np.float32]


class Runtime:
    """An artifact ready to run.

    ::

        from sim.runtime import Runtime
        runtime = Runtime.load("build/resnet50")
        logits = runtime.run(images)  # float32 [N, 224, 224, 3], preprocessed
        print(runtime.manifest.class_names[logits[0].argmax()])

    An instance serves one caller at a time; instances in different threads run side by side.

    Args:
        network: a loaded artifact.
        engine: ``functional`` (fast) or ``reference`` (plain numpy); the same bits.
        threads: threads that share the work of one image (``functional`` only).

    Raises:
        DnaError: the engine is unknown or cannot run the network.
    """

    def __init__(self, network: Artifact, engine: Engine = "functional", threads: int = 1) -> None:
        self.manifest: Manifest = network.manifest
        self._model: FunctionalModel | ReferenceModel
        if engine == "functional":
            self._model = FunctionalModel(network.graph, threads)
        elif engine == "reference":
            self._model = ReferenceModel(network.graph)
        else:
            raise DnaError(
                f"engine {engine!r} is unknown; choose from {', '.join(get_args(Engine))}"
            )

    @classmethod
    def load(cls, path: str | Path, engine: Engine = "functional", threads: int = 1) -> Runtime:
        """Read, check and prepare the artifact in the directory ``path``.

        Raises:
            DnaError: the artifact is missing or damaged, or as for the constructor.
        """
        return cls(artifact.load(Path(path)), engine, threads)

    def run(self, batch: npt.NDArray[Any]) -> Float32:
        """Logits of a batch of preprocessed images.

        Args:
            batch: float32 [N, height, width, channels] as the manifest's preprocessing leaves
                them, or int8 of that shape, already quantized.

        Returns:
            float32 [N, classes], whatever the rank of the logits; of another output [N, ...].

        Raises:
            DnaError: ``batch`` has another type or shape, or contains NaN.
        """
        expected = self.manifest.input.shape
        if batch.dtype not in (np.float32, np.int8) or batch.shape[1:] != expected:
            raise DnaError(
                f"the network takes float32 or int8 images of shape (N, {str(expected)[1:]}, "
                f"not {batch.dtype} {batch.shape}"
            )
        if batch.dtype == np.float32:
            batch = quantize(batch, self.manifest.input)
        output = dequantize(self._model.run(batch), self.manifest.output)
        return (
            output.reshape(len(output), -1) if has_classes(self.manifest.output.shape) else output
        )
