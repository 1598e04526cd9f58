"""How the values of a tensor lie among those of another that was only moved or reshaped."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Axes:
    """The axes of a tensor, outermost first, in terms of another one's values in their order.

    Attributes:
        extents: how many values each has.
        steps: how far apart these are in the other tensor.
    """

    extents: tuple[int, ...]
    steps: tuple[int, ...]

    @staticmethod
    def of(shape: Sequence[int]) -> Axes:
        """Those of a tensor itself."""
        steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        return Axes(tuple(shape), tuple(steps))

    @property
    def in_order(self) -> bool:
        """Whether every value is in its old place."""
        steps = Axes.of(self.extents).steps
        return all(
            extent == 1 or mine == theirs
            for extent, mine, theirs in zip(self.extents, self.steps, steps, strict=True)
        )

    def transposed(self, order: Sequence[int]) -> Axes:
        """With axis ``order[i]`` at place i."""
        return Axes(tuple(self.extents[a] for a in order), tuple(self.steps[a] for a in order))

    def reshaped(self, shape: Sequence[int]) -> Axes | None:
        """Of the same values in another shape; None if these are no axes any more."""
        waiting = self._joined()
        extent, step = waiting.pop() if waiting else (1, 1)
        steps = []
        for size in reversed(shape):
            if extent == 1 and waiting:
                extent, step = waiting.pop()
            if extent % size:
                return None
            steps.append(step)
            extent, step = extent // size, step * size
        return Axes(tuple(shape), tuple(reversed(steps)))

    def _joined(self) -> list[tuple[int, int]]:
        """Extents and steps without axes of one value, neighbours that are one axis as one."""
        joined: list[tuple[int, int]] = []
        for extent, step in zip(self.extents, self.steps, strict=True):
            if extent == 1:
                continue
            if joined and joined[-1][1] == extent * step:
                joined[-1] = (joined[-1][0] * extent, step)
            else:
                joined.append((extent, step))
        return joined
