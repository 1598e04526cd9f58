"""A model that is deployed already: a folder and arrays, no framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.host import computer
from sim.runtime import Runtime
from sw.artifact import Manifest


class DeployedModel:
    """Runs what ``dna quantize`` or ``dna compile`` wrote to a folder.

    ::

        model = DeployedModel("resnet50.dna")
        logits = model.run(images)

    Set-up checks every file of the folder. Neither it nor :meth:`run` imports a machine-learning
    framework.
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        """Open a folder.

        Args:
            folder: the artifact.
            threads: default: all CPUs.

        Raises:
            DnaError: the artifact is missing or damaged, or ``threads`` is below 1.
        """
        cpus = computer.cpus()
        self._runtime = Runtime.load(folder, threads=cpus if threads is None else threads)

    @property
    def manifest(self) -> Manifest:
        """What the folder says of itself: input and output, preprocessing, class names."""
        return self._runtime.manifest

    def run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Logits of one image or several.

        Args:
            images: float32, preprocessed as the manifest says, or int8, quantized as it says:
                [height, width, channels] or [N, height, width, channels].

        Returns:
            float32 [classes] or [N, classes].

        Raises:
            DnaError: ``images`` has another type or shape, or contains NaN.
        """
        if images.ndim == len(self.manifest.input.shape):
            logits: npt.NDArray[np.float32] = self._runtime.run(images[np.newaxis])[0]
            return logits
        return self._runtime.run(images)
