"""A :class:`MemoryModel` for C++: the same structure for RTL simulation and cycle model."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from pathlib import Path

from sim.memory import dram as controller
from sim.memory.dram import Dram
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


_PLAIN = (
    "channels",
    "groups",
    "banks",
    "clock_ps",
    "burst_bytes",
    "burst_clocks",
    "command_clocks",
    "turn_clocks",
)
_TIMES = tuple(field.name for field in dataclasses.fields(Dram) if field.name.startswith("t_"))
_OTHERS = (
    "cycle_ps",
    "page_bursts",
    "interleave_bytes",
    "read_latency",
    "write_latency",
    "turnaround",
    "queue",
    "write_high",
    "write_low",
)


class DramTiming(ctypes.Structure):
    """A :class:`sim.memory.dram.Dram`: times in command clocks; ``channels`` is 0 if there is none.

    ``cycle_ps`` is the period of the machine's clock, ``page_bursts`` the bursts of a row.
    """

    _fields_ = tuple((name, ctypes.c_uint64) for name in (*_PLAIN, *_TIMES, *_OTHERS))


class MemoryTiming(ctypes.Structure):
    """How a memory behaves in time.

    Attributes:
        latency: cycles from a request to the first word of its answer.
        rate: words a cycle, in units of 1 / ``RATE_ONE``.
        stall_threshold: draws of 32 bits below it stall.
        states: of the draws at cycle 0, by port and :class:`Channel`.
        reorder: whether reads with different identifiers overtake each other.
        dram: the DRAM behind the ports, if there is one.
    """

    _fields_ = (
        ("latency", ctypes.c_uint64),
        ("rate", ctypes.c_int64),
        ("stall_threshold", ctypes.c_uint64),
        ("states", ctypes.c_uint64 * (MOST_PORTS * len(Channel))),
        ("reorder", ctypes.c_uint8),
        ("dram", DramTiming),
    )


DECLARATIONS = (
    enumeration(Channel),
    constants({"RATE_ONE": RATE_ONE, "CHANNELS": len(Channel)}),
    structure(DramTiming),
    structure(MemoryTiming),
)
"""C++ for whoever reads a :class:`MemoryTiming`."""

HEADERS = tuple(Path(__file__).with_name(name) for name in ("draw.h", "dram.h", "ports.h"))
"""C++ of the memory in time."""


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
        dram=DramTiming() if model.dram is None else _dram(model.dram, model.cycle_ps),
    )


def _dram(dram: Dram, cycle_ps: int) -> DramTiming:
    return DramTiming(
        **{name: getattr(dram, name) for name in _PLAIN},
        **{name: dram.clocks(getattr(dram, name)) for name in _TIMES},
        cycle_ps=cycle_ps,
        page_bursts=dram.page_bytes // dram.burst_bytes,
        interleave_bytes=controller.INTERLEAVE_BYTES,
        read_latency=dram.read_clocks,
        write_latency=dram.write_clocks,
        turnaround=controller.TURNAROUND_CLOCKS,
        queue=controller.QUEUE,
        write_high=controller.WRITE_HIGH,
        write_low=controller.WRITE_LOW,
    )
