"""The memory's ports in time, for Python: ``ports.h`` behind ctypes."""

from __future__ import annotations

import ctypes
import weakref
from functools import cache
from pathlib import Path
from typing import Any

from sim import native
from sim.memory import timing
from sim.memory.model import MemoryModel
from sim.native.declarations import prelude, structure

SOURCE = Path(__file__).with_name("ports.cc")
FLAGS = ("-O2", "-std=c++17")


class PortState(ctypes.Structure):
    """What the memory drives at a port in a cycle; ``raddress`` is that of the word it offers."""

    _fields_ = (
        ("arready", ctypes.c_uint8),
        ("awready", ctypes.c_uint8),
        ("wready", ctypes.c_uint8),
        ("rvalid", ctypes.c_uint8),
        ("bvalid", ctypes.c_uint8),
        ("rlast", ctypes.c_uint8),
        ("rid", ctypes.c_uint32),
        ("raddress", ctypes.c_uint64),
    )


@cache
def _library() -> ctypes.CDLL:
    declared = prelude(*timing.DECLARATIONS, structure(PortState))
    library = native.load(native.library(SOURCE, FLAGS, headers=timing.HEADERS, prelude=declared))
    library.dna_open.restype = ctypes.c_void_p
    return library


class MemoryPorts:
    """All ports of a memory, in cycle 0.

    A cycle is :meth:`offer`, what the bus transfers, and :meth:`take` for each port.

    Args:
        model: how the memory behaves.
        ports: how many.
        readers: identifiers of reads.
        word_bytes: of a word of one port.
    """

    def __init__(self, model: MemoryModel, *, ports: int, readers: int, word_bytes: int) -> None:
        self._library = _library()
        self._states = (PortState * ports)()
        self._memory = ctypes.c_void_p(
            self._library.dna_open(
                ctypes.byref(timing.timing(model)),
                ctypes.c_size_t(ports),
                ctypes.c_size_t(readers),
                ctypes.c_uint64(word_bytes),
            )
        )
        weakref.finalize(self, self._library.dna_close, self._memory)

    def offer(self) -> Any:
        """What the memory drives in the next cycle: a :class:`PortState` for each port."""
        self._library.dna_offer(self._memory, self._states)
        return self._states

    def read(self, port: int, identifier: int, address: int, words: int) -> None:
        """A burst is asked for; ``address`` counts from the begin of the memory."""
        numbers = (ctypes.c_uint64(address), ctypes.c_uint64(words))  # which wraps below 0
        self._library.dna_read(self._memory, ctypes.c_size_t(port), identifier, *numbers)

    def write(self, port: int, address: int, words: int) -> None:
        """A burst is announced."""
        numbers = (ctypes.c_uint64(address), ctypes.c_uint64(words))
        self._library.dna_write(self._memory, ctypes.c_size_t(port), *numbers)

    def write_word(self, port: int) -> None:
        """The next word to be written comes."""
        self._library.dna_write_word(self._memory, ctypes.c_size_t(port))

    def take(self, port: int, *, rready: bool, bready: bool) -> None:
        """The cycle ends; which answers the bus takes."""
        self._library.dna_take(self._memory, ctypes.c_size_t(port), int(rready), int(bready))
