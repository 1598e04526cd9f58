"""A TFLite model against its integer graph: LiteRT on the file itself, operator by operator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.compare.built_in import BuiltInKernels
from sim.compare.engines import Comparison, compare_output, random_further
from sim.functional import FunctionalModel
from sim.functional.tflite_judge import TfliteJudge
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.frontends.tflite import Imported, Step
from sw.frontends.tflite.file.reader import TfliteModel

Int8 = npt.NDArray[np.int8]


def operator_name(step: Step) -> str:
    """What an operator of the file is called in a comparison: its number and kind."""
    return f"{step.index} {step.code}"


class TfliteComparer:
    """Runs the file in LiteRT, and its graph by the functional model and the reference.

    Args:
        content: the file.
        model, imported: what became of it.
        built_in: also run each operator in LiteRT's own kernels.

    Raises:
        DnaError: an engine cannot run it.
    """

    def __init__(
        self, content: bytes, model: TfliteModel, imported: Imported, *, built_in: bool = False
    ) -> None:
        self._steps = [step for step in imported.steps if step.graph_tensor is not None]
        self._engines = {
            "functional": FunctionalModel(imported.graph).run_all,
            "reference": ReferenceModel(imported.graph).run_all,
        }
        self._graph, self._repeated = imported.graph, imported.repeated
        self._judge = TfliteJudge(content, model, imported)
        self._kernels = BuiltInKernels(content, model, imported) if built_in else None

    def image(self, image: Int8) -> list[Comparison]:
        """Compare what every operator of the file computes for one image.

        Args:
            image: int8 of the shape of the graph's input; further inputs, state too, are random.

        Raises:
            DnaError: LiteRT makes a tensor of another size, or fails.
        """
        further = random_further(self._graph, image)
        judged = self._judge.run(image, further)
        results = {name: run(image, further) for name, run in self._engines.items()}
        comparisons = []
        for step in self._steps:
            comparison = Comparison(operator_name(step))
            expected = judged[step.tensor]
            for name, tensors in results.items():
                assert step.graph_tensor is not None
                got = tensors[step.graph_tensor]
                if step.graph_tensor in self._repeated:
                    got = np.ascontiguousarray(got[..., : self._repeated[step.graph_tensor]])
                if got.size != expected.size:
                    raise DnaError(
                        f"operator {comparison.operation} makes {expected.size} values in LiteRT, "
                        f"not {got.size}"
                    )
                compare_output(comparison, name, got.reshape(expected.shape), expected)
            if self._kernels is not None:
                found = self._kernels.difference(step.index, image, further, judged)
                if found is not None:
                    comparison.built_in, comparison.largest = found
            comparisons.append(comparison)
        return comparisons
