"""Ways to run a layer: the second pass.

There is one set of them for each place where its feature maps may live; other passes choose.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence, Set

from sw.compiler.candidates.slabs import Slabs, slabs
from sw.compiler.candidates.stripes import row_stripe, stripe_sizes, stripes, units
from sw.compiler.candidates.tiles import all_links, quickest_tiling, tilings
from sw.compiler.choice import Choice, Links, Stripe, Tiling
from sw.compiler.estimates import Estimate, estimate, estimate_tiling
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
        self._in_stripes: dict[tuple[int, Links, int, int], Candidate] = {}
        self._striped: dict[tuple[int, Links, Set[str]], list[Candidate]] = {}

    def linked(self, layer: Convolution) -> list[Tiling]:
        """A convolution in one stripe, with all links that its modules can have."""
        return [
            quickest_tiling(self.platform, layer, layer.target.height, links)
            for links in all_links(self.platform.config, layer)
        ]

    def striped(self, layer: Layer, links: Links, in_dram: Set[str]) -> list[Candidate]:
        """The ways to run ``layer`` by itself, the quickest first.

        It is one stripe if all that it touches is in feature memory.

        Args:
            links: of a convolution.
            in_dram: the tensors that live in DRAM.
        """
        key = (layer.number, links, layer.tensors & in_dram)
        if key not in self._striped:
            ways = [
                self._candidate(layer, choice, in_dram)
                for choice in self._choices(layer, links, in_dram)
            ]
            self._striped[key] = sorted(ways, key=lambda c: (c.estimate.cycles, c.slabs.words))
        return self._striped[key]

    def smallest(self, layer: Layer, links: Links) -> int:
        """Feature words that ``layer`` needs if all that it reads and writes is in DRAM."""
        return min(way.slabs.words for way in self.striped(layer, links, layer.tensors))

    def in_two(self, layer: Convolution, links: Links, row: int) -> Candidate:
        """A convolution in two stripes, the second one from output row ``row`` on.

        All that it touches is in feature memory.
        """
        parts = (row_stripe(layer, 0, row), row_stripe(layer, row, layer.target.height))
        return self._candidate(layer, self._choice(layer, links, parts, 1), frozenset())

    def followed(self, layer: Convolution, way: Candidate, in_dram: Set[str]) -> Candidate:
        """A convolution as in ``way``, in tiles for a next one that takes nothing from it.

        That one need not wait until the last tile has drained, only until there is room for its
        own first one.
        """
        links = way.choice.tilings[0].links

        def quickest(stripe: Stripe) -> Tiling:
            return min(
                tilings(self.platform, layer, stripe.rows, links),
                key=lambda tiling: estimate_tiling(self.platform, layer, tiling).free,
            )

        choice = dataclasses.replace(
            way.choice, tilings=tuple(quickest(stripe) for stripe in way.choice.stripes)
        )
        return self._candidate(layer, choice, in_dram)

    def in_stripes(self, layer: Convolution, links: Links, rows: int, first: int) -> Candidate:
        """A convolution in stripes of so many rows, but for the first one and the last one.

        All that it touches is in feature memory.
        """
        key = (layer.number, links, rows, first)
        if key not in self._in_stripes:
            height = layer.target.height
            starts = [0, *range(first, height, rows), height]
            parts = tuple(row_stripe(layer, *ends) for ends in itertools.pairwise(starts))
            choice = self._choice(layer, links, parts, 1)
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

    def _choices(self, layer: Layer, links: Links, in_dram: Set[str]) -> Iterator[Choice]:
        # A mean collects its output in one slab, whatever its stripes are.
        passing = {layer.source.tensor} if isinstance(layer, MeanPool) else layer.tensors
        sizes = stripe_sizes(layer)
        if in_dram.isdisjoint(passing):
            yield self._choice(layer, links, stripes(layer, sizes[0]), 1)
            return
        for size in sizes:
            parts = stripes(layer, size)
            yield self._choice(layer, links, parts, 1)
            if size < units(layer):
                yield self._choice(layer, links, parts, 2)

    def _choice(
        self, layer: Layer, links: Links, parts: tuple[Stripe, ...], buffers: int
    ) -> Choice:
        tiles: tuple[Tiling, ...] = ()
        if isinstance(layer, Convolution):
            by_rows = {
                rows: quickest_tiling(self.platform, layer, rows, links)
                for rows in {stripe.rows for stripe in parts}
            }
            tiles = tuple(by_rows[stripe.rows] for stripe in parts)
        return Choice(parts, tiles, buffers)

    def _candidate(
        self, layer: Layer, choice: Choice, in_dram: Set[str], before: Estimate | None = None
    ) -> Candidate:
        return Candidate(
            choice,
            slabs(self.platform.config, layer, choice, in_dram),
            estimate(self.platform, layer, choice, in_dram, before),
        )
