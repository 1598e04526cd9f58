"""What the board's memory holds already: a checksum of each block, kept in that memory.

Uploading ResNet50 takes minutes, so it is done once, and goes on where a broken link ended it. The
table is believed as long as the SoC has not been reset since (:mod:`harness.board.device` knows).
"""

from __future__ import annotations

import zlib

import numpy as np

from harness.board.link.uartbone import WORD, UartBone

BLOCK = 4096
"""Bytes of a block. Everything in a memory window begins at a multiple of as many."""


class Journal:
    """The checksums, at the end of the memory: their number, then each, the first block first.

    Args:
        bus: to the board.
        base, size: of the whole memory on it.
        fresh: whether the board comes from a reset, and the table is to be emptied.

    Attributes:
        size: bytes of the memory in front of the table.
    """

    def __init__(self, bus: UartBone, base: int, size: int, *, fresh: bool) -> None:
        blocks = size // BLOCK
        self.size = size - -(-(1 + blocks) * WORD // BLOCK) * BLOCK
        self._bus, self._address = bus, base + self.size
        self._sums = np.zeros(blocks, np.uint32)
        self._known = 0
        if fresh:
            bus.put(self._address, 0)
        else:
            self._known = min(bus.get(self._address), blocks)
            self._sums[: self._known] = bus.read(self._address + WORD, self._known)

    def holds(self, offset: int, content: bytes) -> bool:
        """Whether the block at ``offset`` has that content."""
        return bool(self._sums[offset // BLOCK] == _checksum(content))

    def note(self, offset: int, content: bytes) -> None:
        """The block at ``offset`` has been written and read back."""
        self._set(offset // BLOCK, offset // BLOCK + 1, _checksum(content))

    def forget(self, offset: int, length: int) -> None:
        """Something else may be in these bytes from now on."""
        first, last = offset // BLOCK, -(-(offset + length) // BLOCK)
        if self._sums[first:last].any():
            self._set(first, last, 0)

    def _set(self, first: int, last: int, value: int) -> None:
        self._sums[first:last] = value
        first = min(first, self._known)
        self._bus.write(self._address + (1 + first) * WORD, self._sums[first:last])
        if last > self._known:
            self._known = last
            self._bus.put(self._address, last)


def _checksum(content: bytes) -> int:
    """Never 0, which stands for unknown."""
    return zlib.crc32(content) or 1
