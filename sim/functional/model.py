"""The functional model: the fastest engine here that has the contract's bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sim.functional import kernels
from sim.functional.isa import chosen
from sw.errors import DnaError
from sw.graph import NOTHING, Graph

Int8 = npt.NDArray[np.int8]


class Engine(Protocol):
    """What computes the outputs of one image."""

    def run(self, image: Int8, *further: Int8) -> list[Int8]:
        """The outputs for one image, without batch dimensions, in the order of the graph.

        Args:
            image: the input.
            further: inputs, in the order of the graph.
        """
        ...


class FunctionalModel:
    """A graph, run fast: by our own kernels on a CPU that has what they need, else by LiteRT.

    Both have the same bits; tests hold them to the reference. An instance serves one caller at a
    time; it releases the interpreter lock while it computes, so worker threads with an instance
    each run side by side.

    Args:
        graph: what to run.
        threads: threads that share the work of one image.

    Raises:
        DnaError: ``threads`` is less than 1, ``DNA_ISA`` names no instruction set of this CPU, or
            the engine cannot be built or cannot run the whole graph exactly.
    """

    def __init__(self, graph: Graph, threads: int = 1) -> None:
        if threads < 1:
            raise DnaError(f"threads must be at least 1, not {threads}")
        self.graph = graph
        self._threads = threads
        self._engine = self._make(every_tensor=False)
        self._every_tensor: Engine | None = None

    def _make(self, *, every_tensor: bool) -> Engine:
        isa = chosen()
        if isa is not None:
            return kernels.Kernels(self.graph, isa, self._threads, every_tensor=every_tensor)
        # Imported only where needed: a CPU that the kernels run on needs no LiteRT.
        from sim.functional.flatbuffer import emit
        from sim.functional.litert import LiteRT

        return LiteRT(emit(self.graph, every_tensor=every_tensor), self._threads)

    def run(self, batch: Int8) -> Int8:
        """The output of the graph for a batch; of several the first.

        Each image is a first call: of a network that carries maps from call to call with those
        that the first one begins with.

        Args:
            batch: int8 [images, *input shape].

        Returns:
            int8 [images, *output shape].

        Raises:
            DnaError: ``batch`` has another type or shape.
        """
        self._check(batch, batch.shape[1:])
        # One image at a time: a batch in one call is no faster (docs/numerics.md).
        outputs = [self._engine.run(*self.graph.fed(image, NOTHING))[0] for image in batch]
        shape = self.graph.tensors[self.graph.output].shape
        return np.stack(outputs) if outputs else np.zeros((0, *shape), np.int8)

    def outputs(self, image: Int8, further: Mapping[str, Int8] = NOTHING) -> list[Int8]:
        """All outputs of the graph for one image, in its order.

        Args:
            image: int8 of the shape of the graph's input.
            further: of other inputs, by name; a state that is not there has its initial value.

        Raises:
            DnaError: an input is missing, or has another type or shape.
        """
        return self._engine.run(*self.graph.fed(image, further))

    def run_all(self, image: Int8, further: Mapping[str, Int8] = NOTHING) -> dict[str, Int8]:
        """Every tensor of the graph for one image.

        Args:
            image, further: as for :meth:`outputs`.

        Returns:
            The tensors by name, the inputs included.

        Raises:
            DnaError: as :meth:`outputs`.
        """
        given = self.graph.fed(image, further)
        if self._every_tensor is None:
            self._every_tensor = self._make(every_tensor=True)
        outputs = self._every_tensor.run(*given)
        names = [*self.graph.inputs, *(operation.output for operation in self.graph.operations)]
        return dict(zip(names, [*given, *outputs], strict=True))

    def _check(self, array: Int8, image_shape: tuple[int, ...]) -> None:
        expected = self.graph.tensors[self.graph.input].shape
        if array.dtype != np.int8 or image_shape != expected:
            raise DnaError(
                f"the network takes int8 images of shape {expected}, "
                f"not {array.dtype} of shape {image_shape}"
            )
