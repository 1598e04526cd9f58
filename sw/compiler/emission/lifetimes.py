"""How long a feature map in DRAM is needed, so that another one can have its place."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence

from hw.isa import Opcode
from hw.isa.accesses import Memory
from sw.compiler.emission.steps import Step
from sw.program import DramTensor


def lifetimes(steps: Sequence[Step], maps: Mapping[str, DramTensor]) -> dict[str, range]:
    """From the first to the last of the steps that touch each of ``maps``.

    Args:
        steps: in program order. Tokens keep what they mean in that order.
        maps: where they are, each in a place of its own.
    """
    places = sorted((tensor.offset, name) for name, tensor in maps.items())
    offsets = [offset for offset, _ in places]
    lives: dict[str, range] = {}
    for number, step in enumerate(steps):
        if step.opcode is Opcode.WEIGHTS:
            continue
        for rows in (*step.accesses.reads, *step.accesses.writes):
            index = bisect.bisect_right(offsets, rows.start) - 1
            if rows.memory is not Memory.DRAM or index < 0:
                continue
            name = places[index][1]
            if rows.start < maps[name].region.end:
                first = lives[name].start if name in lives else number
                lives[name] = range(first, number + 1)
    return lives


class Places:
    """Gives maps places of which each is another's when it is no longer needed.

    Attributes:
        length: of all of them together, in bytes.
    """

    def __init__(self, alignment: int) -> None:
        self.length = 0
        self._alignment = alignment
        self._taken: list[tuple[int, int, range]] = []

    def take(self, length: int, life: range) -> int:
        """The lowest offset, a multiple of the alignment, at which so many bytes are free."""
        offset = 0
        for start, stop, other in sorted(self._taken, key=lambda place: place[0]):
            apart = life.stop <= other.start or other.stop <= life.start
            if not apart and start < offset + length and offset < stop:
                offset = -(-stop // self._alignment) * self._alignment
        self._taken.append((offset, offset + length, life))
        self.length = max(self.length, offset + length)
        return offset
