"""A model that is deployed already: a folder and arrays, no framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.host import computer
from sim.runtime import Runtime
from sw.artifact import Manifest
from sw.classes import best, check_classes
from sw.errors import DnaError


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

    def classes(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The class of each image, int64 [N]: -1 is a background in front of class 0.

        Args:
            logits: of :meth:`run`.

        Raises:
            DnaError: the network's output is no row of logits.
        """
        manifest = self.manifest
        check_classes(manifest.model, manifest.answer_shape)
        return best(np.atleast_2d(logits), manifest.class_offset)

    def run(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Logits of one image or several.

        Args:
            images: float32, preprocessed as the manifest says, or int8, quantized as it says:
                [height, width, channels] or [N, height, width, channels].

        Returns:
            float32 [classes] or [N, classes], whatever the rank of the logits; of a network whose
            output is no row of logits, the output's shape or [N, ...].

        Raises:
            DnaError: ``images`` has another type or shape, or contains NaN.
        """
        if images.ndim == len(self.manifest.given_shape):
            logits: npt.NDArray[np.float32] = self._runtime.run(images[np.newaxis])[0]
            return logits
        return self._runtime.run(images)

    def outputs(self, images: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """All outputs of the file by name, each with the inputs as its first axis.

        Args:
            images: as for :meth:`run`.

        Raises:
            DnaError: as :meth:`run`; or an output has another shape for each input.
        """
        if images.ndim == len(self.manifest.given_shape):
            images = images[np.newaxis]
        answers = [self._runtime.infer(image) for image in images]
        try:
            return {name: np.stack([each[name] for each in answers]) for name in answers[0]}
        except ValueError as error:
            raise DnaError(
                "an output has another shape for every input; give them one by one"
            ) from error
