"""Three readings of one integer graph, value by value: reference, functional model, LiteRT.

The judge is LiteRT with its default delegate on the flatbuffer of the graph; the contract is what
it computes (docs/numerics.md).
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from sim.functional import FunctionalModel
from sim.functional.flatbuffer import emit
from sim.functional.litert import LiteRT
from sim.reference import ReferenceModel
from sw.graph import Graph

Int8 = npt.NDArray[np.int8]
ENGINES = ("functional", "reference")


@dataclasses.dataclass(frozen=True)
class Difference:
    """The first value of an operation's output that an engine computes in another way.

    Attributes:
        engine: whose value it is.
        where: index into the output.
        got: its value.
        expected: LiteRT's.
    """

    engine: str
    where: tuple[int, ...]
    got: int
    expected: int


@dataclasses.dataclass
class Comparison:
    """What was compared at the output of one operation, over all images and both engines.

    Attributes:
        operation: its name.
        values: comparisons made: values of LiteRT times ``ENGINES``.
        mismatches: how many of them differ.
        first: the first difference.
        built_in: of LiteRT's values, how many its own kernels, without the delegate, compute in
            another way from the same operands; None where that was not tried.
        largest: the largest such difference, in steps.
        differ: of ``mismatches``, how many are whose.
    """

    operation: str
    values: int = 0
    mismatches: int = 0
    first: Difference | None = None
    built_in: int | None = None
    largest: int = 0
    differ: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, other: Comparison) -> None:
        """Count another comparison of the same operation in."""
        self.values += other.values
        self.mismatches += other.mismatches
        self.first = self.first or other.first
        if other.built_in is not None:
            self.built_in = (self.built_in or 0) + other.built_in
        self.largest = max(self.largest, other.largest)
        for engine, count in other.differ.items():
            self.differ[engine] = self.differ.get(engine, 0) + count


class Comparer:
    """Runs all three on one image after the other.

    Args:
        graph: the network.

    Raises:
        DnaError: an engine cannot run the graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._operations = [operation.output for operation in graph.operations]
        self._engines = {
            "functional": FunctionalModel(graph).run_all,
            "reference": ReferenceModel(graph).run_all,
        }
        self._judge = LiteRT(emit(graph, every_tensor=True))

    def image(self, image: Int8) -> list[Comparison]:
        """Compare the outputs of every operation for one image.

        Args:
            image: int8 of the shape of the graph's input; further inputs, state too, are random.
        """
        further = random_further(self._graph, image)
        given = self._graph.fed(image, further)
        judged = dict(zip(self._operations, self._judge.run(*given), strict=True))
        results = {name: run(image, further) for name, run in self._engines.items()}
        comparisons = []
        for operation in self._operations:
            comparison = Comparison(operation)
            for name in ENGINES:
                compare_output(comparison, name, results[name][operation], judged[operation])
            comparisons.append(comparison)
        return comparisons


def random_further(graph: Graph, image: Int8) -> dict[str, Int8]:
    """Random values for the inputs besides the first, by name; of one image always the same."""
    rng = np.random.default_rng(zlib.crc32(image.tobytes()))
    return {
        name: rng.integers(-128, 128, graph.tensors[name].shape, dtype=np.int8)
        for name in graph.further
    }


def compare_output(comparison: Comparison, engine: str, got: Int8, expected: Int8) -> None:
    """Count the values of one output in; ``got`` and ``expected`` have the same shape."""
    differing = got != expected
    comparison.values += expected.size
    count = int(np.count_nonzero(differing))
    comparison.mismatches += count
    comparison.differ[engine] = comparison.differ.get(engine, 0) + count
    if comparison.first is None and differing.any():
        where = tuple(int(i) for i in np.argwhere(differing)[0])
        comparison.first = Difference(engine, where, int(got[where]), int(expected[where]))


def total(comparisons: Iterable[list[Comparison]]) -> list[Comparison]:
    """The sums over images, operation by operation."""
    sums: dict[str, Comparison] = {}
    for image in comparisons:
        for comparison in image:
            sums.setdefault(comparison.operation, Comparison(comparison.operation)).add(comparison)
    return list(sums.values())
