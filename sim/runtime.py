"""Runs a deployed network: float images in, float logits out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from sim.functional import FunctionalModel
from sim.host import WholeModel
from sim.quantization import dequantize, quantize
from sim.reference import ReferenceModel
from sw import artifact
from sw.artifact import Artifact, Manifest
from sw.errors import DnaError
from sw.graph import NOTHING
from sw.operations import Lookup

Engine = Literal["functional", "reference"]
Float32 = npt.NDArray[np.float32]


class Runtime:
    """An artifact ready to run.

    ::

        from sim.runtime import Runtime
        runtime = Runtime.load("build/resnet50")
        logits = runtime.run(images)  # float32 [N, 224, 224, 3], preprocessed
        print(runtime.manifest.class_names[logits[0].argmax()])

    Attributes:
        manifest: of the artifact.
        gives_probabilities: the network ends in a logistic function: its answers are no logits.

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
        self._output = network.graph.output
        self.gives_probabilities = any(
            operation.output == self._output
            and isinstance(operation, Lookup)
            and operation.function == "logistic"
            for operation in network.graph.operations
        )
        self._quantization = dict(zip(network.graph.answers, self.manifest.outputs, strict=True))
        self._model: FunctionalModel | ReferenceModel
        if engine == "functional":
            self._model = FunctionalModel(network.graph, threads)
        elif engine == "reference":
            self._model = ReferenceModel(network.graph)
        else:
            raise DnaError(
                f"engine {engine!r} is unknown; choose from {', '.join(get_args(Engine))}"
            )
        self._whole = WholeModel(network, self._model, threads)

    @classmethod
    def load(cls, path: str | Path, engine: Engine = "functional", threads: int = 1) -> Runtime:
        """Read, check and prepare the artifact in the directory ``path``.

        Raises:
            DnaError: the artifact is missing or damaged, or as for the constructor.
        """
        return cls(artifact.load(Path(path)), engine, threads)

    def run(self, batch: npt.NDArray[Any]) -> Float32:
        """Logits of a batch of preprocessed images.

        Of a network that carries maps from call to call each image is a call, and the first one
        follows the last one of the run before (:meth:`reset`).

        Args:
            batch: float32 [N, height, width, channels] as the manifest's preprocessing leaves
                them, or int8 of that shape, already quantized. Where the host runs a part in front
                of the machine, what that takes.

        Returns:
            float32 [N, classes], whatever the rank of the logits; of another output [N, ...].

        Raises:
            DnaError: ``batch`` has another type or shape, or contains NaN; or the answer is not one
                map of the machine, or the network takes several inputs (:meth:`infer`).
        """
        if self.manifest.further:
            raise DnaError(
                f"{self.manifest.model} takes {', '.join(self.manifest.further)} besides its first "
                "input; take Runtime.infer"
            )
        if not self.manifest.answer_shape:
            raise DnaError(
                f"the answer of {self.manifest.model} is made by the host, or several maps; take "
                "Runtime.infer"
            )
        batch = self._taken(batch)
        if self.manifest.host.head is None and not self.manifest.carries:
            values = self._model.run(batch)
        else:
            values = np.stack([self._whole.outputs(each)[self._output] for each in batch])
        output = dequantize(values, self.manifest.output)
        return output.reshape(len(output), -1) if self.manifest.classifies else output

    def reset(self) -> None:
        """Let the next call be a first one, of a network that carries maps from call to call."""
        self._whole.reset()

    def infer(
        self, given: npt.NDArray[Any], further: Mapping[str, npt.NDArray[Any]] = NOTHING
    ) -> dict[str, npt.NDArray[Any]]:
        """All that the network says of one input, by the name of the output.

        Args:
            given: as one of those that :meth:`run` takes.
            further: of a network of several inputs the others by name, float32 or int8.

        Returns:
            The file's outputs as its own runtime has them; where the host runs nothing behind the
            machine, the machine's maps, float32.

        Raises:
            DnaError: ``given`` has another type or shape, or contains NaN.
        """
        more = {name: self._quantized(name, values) for name, values in further.items()}
        outputs = self._whole.outputs(self._taken(given[np.newaxis])[0], more)
        if self.manifest.host.tail is not None:
            return outputs
        return {
            name: dequantize(values, self._quantization[name]) for name, values in outputs.items()
        }

    def _quantized(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A further input as the machine takes it."""
        if name not in self.manifest.further:
            names = ", ".join(self.manifest.further) or "none besides the first"
            raise DnaError(f"the network has no input {name!r}; it has {names}")
        return quantize(values, self.manifest.further[name]) if values.dtype.kind == "f" else values

    def _taken(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Inputs as the whole network takes them: int8, or what the host's head takes."""
        head, expected = self.manifest.host.head, self.manifest.given_shape
        types = ("float32", "int8") if head is None else (head.inputs[0].type,)
        if batch.dtype.name not in types or batch.shape[1:] != expected:
            raise DnaError(
                f"the network takes {' or '.join(types)} images of shape (N, {str(expected)[1:]}, "
                f"not {batch.dtype} {batch.shape}"
            )
        if head is None and batch.dtype == np.float32:
            return quantize(batch, self.manifest.input)
        return batch
