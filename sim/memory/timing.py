"""A :class:`MemoryModel` for C++: the same structure for RTL simulation and cycle model."""

from __future__ import annotations

import ctypes
import enum
from pathlib import Path

from sim.memory.model import RATE_ONE, MemoryModel
from sim.native.declarations import constants, enumeration, structure


class Channel(enum.IntEnum):
    """What draws random numbers, each its own: the channels and the choice of a reader."""

    AR = 0
    R = 1
    AW = 2
    W = 3
    B = 4
    CHOICE = 5


MOST_PORTS = 4


def stream(channel: Channel, port: int) -> int:
    """What :class:`sim.memory.stalls.Stalls` calls a channel of a port."""
    return channel + len(Channel) * port


class MemoryTiming(ctypes.Structure):
    """How a memory behaves in time.

    Attributes:
        latency: cycles from a request to the first word of its answer.
        rate: words a cycle, in units of 1 / ``RATE_ONE``.
        stall_threshold: draws of 32 bits below it stall.
        states: of the draws at cycle 0, by port and :class:`Channel`.
        reorder: whether reads with different identifiers overtake each other.
    """

    _fields_ = (
        ("latency", ctypes.c_uint64),
        ("rate", ctypes.c_int64),
        ("stall_threshold", ctypes.c_uint64),
        ("states", ctypes.c_uint64 * (MOST_PORTS * len(Channel))),
        ("reorder", ctypes.c_uint8),
    )


DECLARATIONS = (
    enumeration(Channel),
    constants({"RATE_ONE": RATE_ONE, "CHANNELS": len(Channel)}),
    structure(MemoryTiming),
)
"""C++ for whoever reads a :class:`MemoryTiming`."""

HEADERS = (Path(__file__).with_name("draw.h"),)
"""C++ that draws the random numbers."""


def timing(model: MemoryModel) -> MemoryTiming:
    """What C++ must know of ``model``."""
    return MemoryTiming(
        latency=model.latency,
        rate=model.rate,
        stall_threshold=model.stalls.threshold,
        states=tuple(
            model.stalls.state(stream(channel, port))
            for port in range(MOST_PORTS)
            for channel in Channel
        ),
        reorder=model.reorder,
    )
