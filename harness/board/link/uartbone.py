"""Words of the SoC's bus over a serial port: the host's side of LiteX' UARTBone.

A request is a byte for the command, one for the number of words, the address in words and, of a
write, the words; numbers have their highest byte first. Only a read is answered.
"""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sw.errors import DnaError

WORD = 4
MOST_WORDS = 255
_WRITE, _READ = 1, 2
SECONDS = 2.0
"""An answer takes milliseconds; a board that says nothing for so long is not there."""


class Link(Protocol):
    """A serial port, or what stands in for one."""

    def exchange(self, sent: bytes, answer: int, seconds: float) -> bytes:
        """Send bytes, take an answer of so many.

        Returns:
            The answer; shorter if it did not come within ``seconds``.

        Raises:
            DnaError: the port is gone.
        """

    def close(self) -> None:
        """Give the port back."""


class UartBone:
    """Reads and writes of words.

    Args:
        link: to the board.
    """

    def __init__(self, link: Link) -> None:
        self.link = link

    def write(self, address: int, words: npt.NDArray[np.uint32]) -> None:
        """Write words, uint32 [n], one behind the other.

        Raises:
            DnaError: the port is gone.
        """
        for first in range(0, len(words), MOST_WORDS):
            part = words[first : first + MOST_WORDS]
            head = struct.pack(">BBI", _WRITE, len(part), address // WORD + first)
            self.link.exchange(head + part.astype(">u4").tobytes(), 0, SECONDS)

    def read(self, address: int, count: int) -> npt.NDArray[np.uint32]:
        """Read words, uint32 [count].

        Raises:
            DnaError: the port is gone, or the board does not answer.
        """
        parts = []
        for first in range(0, count, MOST_WORDS):
            number = min(MOST_WORDS, count - first)
            head = struct.pack(">BBI", _READ, number, address // WORD + first)
            answer = self.link.exchange(head, number * WORD, SECONDS)
            if len(answer) != number * WORD:
                raise DnaError(
                    f"the board does not answer: {len(answer)} of {number * WORD} bytes came "
                    f"within {SECONDS:g} s; is its bitstream the one of `dna soc`?"
                )
            parts.append(np.frombuffer(answer, ">u4").astype(np.uint32))
        return np.concatenate(parts) if parts else np.zeros(0, np.uint32)

    def put(self, address: int, value: int) -> None:
        """Write a word."""
        self.write(address, np.array([value], np.uint32))

    def get(self, address: int) -> int:
        """Read a word."""
        return int(self.read(address, 1)[0])
