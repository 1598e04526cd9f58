"""Words of the feature memory, taken for as long as something needs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass
class Block:
    """Feature words that are taken from the start of one layer to the end of another.

    Attributes:
        names: the tensors that are there, one after another.
        size: words.
        born, dies: numbers of the first and the last layer.
        base: the first word.
        layer: of the weights of a depthwise layer, which layer; they have no names.
    """

    names: list[str]
    size: int
    born: int
    dies: int
    base: int = 0
    layer: int | None = None

    @property
    def end(self) -> int:
        """The first word behind it."""
        return self.base + self.size

    def meets(self, other: Block, apart: int = 0) -> bool:
        """Whether both are taken in one layer, or in two that are ``apart`` or less."""
        return self.born <= other.dies + apart and other.born <= self.dies + apart


@dataclasses.dataclass(frozen=True)
class Bank:
    """Where a block has to begin: ``number`` modulo ``count``."""

    number: int = 0
    count: int = 1

    def from_(self, base: int) -> int:
        """The first such word from ``base`` on."""
        return base + (self.number - base) % self.count


def first_fit(
    taken: Iterable[Block], size: int, limit: int, bank: Bank | None = None
) -> int | None:
    """The lowest base of ``size`` free words below ``limit``; None if there are none."""
    bank = bank or Bank()
    base = bank.from_(0)
    for block in sorted(taken, key=lambda b: b.base):
        if base + size <= block.base:
            break
        base = bank.from_(max(base, block.end))
    return base if base + size <= limit else None
