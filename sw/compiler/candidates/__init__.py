"""Ways to run a layer: the second pass.

There is one set of them for each place where its feature maps may live; other passes choose.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence, Set

from sw.compiler.candidates.slabs import Slabs, slabs
from sw.compiler.candidates.stripes import row_stripe, stripe_sizes, stripes, units
from sw.compiler.candidates.tiles import quickest_tiling, splits
from sw.compiler.choice import Choice, Stripe, Tiling
from sw.compiler.estimates import Estimate, estimate
from sw.compiler.layers import Convolution, Depthwise, Layer, MaxPool, MeanPool
from sw.compiler.platform import Platform


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A way to run a layer, what room it needs and what it costs by estimate."""

    choice: Choice
    slabs: Slabs
    estimate: Estimate


class Candidates:
    """Ways to run the layers of a network.

    Args:
        platform: what it is compiled for.
        layers: of the network.
    """

    def __init__(self, platform: Platform, layers: Sequence[Layer]) -> None:
        self.platform = platform
        self.layers = layers
        self._in_stripes: dict[tuple[int, int, int, int], Candidate] = {}
        self._striped: dict[tuple[int, int, Set[str]], list[Candidate]] = {}

    def splits(self, layer: Convolution) -> list[Tiling]:
        """A convolution in one stripe, with every legal split: 2^n modules share a reduction."""
        pixels = layer.computed.height * layer.computed.width
        return [
            quickest_tiling(self.platform, layer, pixels, split)
            for split in splits(self.platform.config)
        ]

    def striped(self, layer: Layer, split: int, in_dram: Set[str]) -> list[Candidate]:
        """The ways to run ``layer`` by itself, the quickest first.

        It is one stripe if all that it touches is in feature memory.

        Args:
            split: of a convolution.
            in_dram: the tensors that live in DRAM.
        """
        key = (layer.number, split, layer.tensors & in_dram)
        if key not in self._striped:
            ways = [
                self._candidate(layer, choice, in_dram)
                for choice in self._choices(layer, split, in_dram)
            ]
            self._striped[key] = sorted(ways, key=lambda c: (c.estimate.cycles, c.slabs.words))
        return self._striped[key]

    def smallest(self, layer: Layer, split: int) -> int:
        """Feature words that ``layer`` needs if all that it reads and writes is in DRAM."""
        return min(way.slabs.words for way in self.striped(layer, split, layer.tensors))

    def in_two(self, layer: Convolution, split: int, row: int) -> Candidate:
        """A convolution in two stripes, the second one from output row ``row`` on.

        All that it touches is in feature memory.
        """
        parts = (row_stripe(layer, 0, row), row_stripe(layer, row, layer.target.height))
        return self._candidate(layer, self._choice(layer, split, parts, 1), frozenset())

    def in_stripes(self, layer: Convolution, split: int, rows: int, first: int) -> Candidate:
        """A convolution in stripes of so many rows, but for the first one and the last one.

        All that it touches is in feature memory.
        """
        key = (layer.number, split, rows, first)
        if key not in self._in_stripes:
            height = layer.target.height
            starts = [0, *range(first, height, rows), height]
            parts = tuple(row_stripe(layer, *ends) for ends in itertools.pairwise(starts))
            choice = self._choice(layer, split, parts, 1)
            self._in_stripes[key] = self._candidate(layer, choice, frozenset())
        return self._in_stripes[key]

    def beside(self, layer: MaxPool | Depthwise, before: Candidate) -> Candidate | None:
        """A layer whose stripes run between those of the layer that computes its source.

        All that it touches is in feature memory.

        Args:
            before: how that layer runs.

        Returns:
            None if that one runs in one stripe.
        """
        if len(before.choice.stripes) == 1:
            return None
        # A depthwise layer lets the next stripe of the other go first: it takes its own only when
        # the one before is done, and would hold up what is behind it in the program.
        lead = 1 if isinstance(layer, Depthwise) else 0
        parts, after = [], []
        start, height = 0, layer.target.height
        for number, ready in enumerate(before.choice.stripes):
            stop = height
            if ready is not before.choice.stripes[-1]:
                below = ready.row + ready.rows + layer.window.pad_top - layer.window.kernel_height
                stop = min(height, max(start, below // layer.window.row_stride + 1))
            if stop > start:
                parts.append(row_stripe(layer, start, stop))
                after.append(number + lead)
            start = stop
        choice = Choice(tuple(parts), after=tuple(after))
        return self._candidate(layer, choice, frozenset(), before.estimate)

    def _choices(self, layer: Layer, split: int, in_dram: Set[str]) -> Iterator[Choice]:
        # A mean collects its output in one slab, whatever its stripes are.
        passing = {layer.source.tensor} if isinstance(layer, MeanPool) else layer.tensors
        sizes = stripe_sizes(layer)
        if in_dram.isdisjoint(passing):
            yield self._choice(layer, split, stripes(layer, sizes[0]), 1)
            return
        for size in sizes:
            parts = stripes(layer, size)
            yield self._choice(layer, split, parts, 1)
            if size < units(layer):
                yield self._choice(layer, split, parts, 2)

    def _choice(self, layer: Layer, split: int, parts: tuple[Stripe, ...], buffers: int) -> Choice:
        tilings: tuple[Tiling, ...] = ()
        if isinstance(layer, Convolution):
            by_rows = {
                rows: quickest_tiling(self.platform, layer, rows * layer.computed.width, split)
                for rows in {stripe.rows for stripe in parts}
            }
            tilings = tuple(by_rows[stripe.rows] for stripe in parts)
        return Choice(parts, tilings, buffers)

    def _candidate(
        self, layer: Layer, choice: Choice, in_dram: Set[str], before: Estimate | None = None
    ) -> Candidate:
        return Candidate(
            choice,
            slabs(self.platform.config, layer, choice, in_dram),
            estimate(self.platform, layer, choice, in_dram, before),
        )
