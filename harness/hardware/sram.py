"""What a memory on the chip costs: the energy of a word, and area."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

RECORD = Path(__file__).with_name("cacti.json")
"""Written by ``make energy``."""


class PublishedSram(msgspec.Struct, frozen=True):
    """A table of a paper.

    Attributes:
        pairs: (KiB, pJ) of reading or writing 64 bits of a memory, the smallest first.
    """

    pairs: tuple[tuple[float, float], ...]

    def word(self, bits: int, size: float) -> float:
        """The pJ of a word of a memory of ``size`` bytes: between the table's sizes by powers.

        Below the smallest size and above the largest the power of the nearest two goes on.
        """
        kibibytes = size / 1024
        pairs = list(zip(self.pairs, self.pairs[1:], strict=False))
        (small, low), (large, high) = next((p for p in pairs if kibibytes <= p[1][0]), pairs[-1])
        power = math.log(high / low) / math.log(large / small)
        return float(low * (kibibytes / small) ** power * bits / 64)

    def mm2(self, bits: int, size: float) -> None:
        """Nothing: the table has no area."""


class _Memory(msgspec.Struct, frozen=True):
    bits: int
    kibibytes: int
    read_pj: float
    write_pj: float
    mm2: float


class _Record(msgspec.Struct, frozen=True):
    tool: str
    nanometres: int
    ports: int
    memories: list[_Memory]


class CactiSram(msgspec.Struct, frozen=True):
    """CACTI's figures of a grid of widths and sizes (``tests/sweeps/cacti.py``)."""

    record: _Record

    @property
    def source(self) -> str:
        """Tool and technology."""
        record = self.record
        return f"{record.tool}, {record.nanometres} nm, {record.ports} ports"

    def word(self, bits: int, size: float) -> float:
        """The pJ of a word of a memory of ``size`` bytes, the mean of reading and writing."""
        return self._between(bits, size, lambda memory: (memory.read_pj + memory.write_pj) / 2)

    def mm2(self, bits: int, size: float) -> float:
        """Its area."""
        return self._between(bits, size, lambda memory: memory.mm2)

    def _between(self, bits: int, size: float, figure: Any) -> float:
        """By powers of width and size between four memories of the grid; outside it goes on."""
        found = {(m.bits, m.kibibytes): math.log(figure(m)) for m in self.record.memories}
        widths, sizes = (sorted({key[axis] for key in found}) for axis in (0, 1))
        (narrow, wide, across), (small, large, along) = (
            _place(axis, value) for axis, value in ((widths, bits), (sizes, size / 1024))
        )
        low, high = (
            (1 - across) * found[narrow, each] + across * found[wide, each]
            for each in (small, large)
        )
        return math.exp((1 - along) * low + along * high)


def _place(axis: list[int], value: float) -> tuple[int, int, float]:
    """The two of ``axis`` that are nearest to ``value``, and how far it is on the way."""
    place = min(max(bisect_left(axis, value), 1), len(axis) - 1)
    low, high = axis[place - 1 : place + 1]
    return low, high, math.log(value / low) / math.log(high / low)


@cache
def cacti() -> CactiSram:
    """The grid that is kept."""
    return CactiSram(msgspec.json.decode(RECORD.read_bytes(), type=_Record))
