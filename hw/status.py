"""What the machine says of itself: what each engine does in a cycle, and why the machine stopped.

Nothing here needs the HDL.
"""

from __future__ import annotations

import enum

from hw.isa import Engine


class Activity(enum.IntEnum):
    """What an engine does in a cycle: exactly one of these, so that the counts add up."""

    IDLE = 0
    """It has no instruction."""
    BUSY = 1
    """It makes progress."""
    WAIT_TOKEN = 2
    """Its next instruction waits for another engine."""
    WAIT_DRAM = 3
    """It waits for the external memory."""
    WAIT_WEIGHTS = 4
    """The next weights are not in the array yet."""
    WAIT_ACCUMULATION = 5
    """It waits for the accumulation memory: no free tile, or none that is complete."""
    WAIT_FEATURE = 6
    """It waits for the feature memory."""
    WAIT_OUTPUT = 7
    """The block behind it is not ready."""


ACTIVITY_BITS = (len(Activity) - 1).bit_length()
"""Bits of an :class:`Activity`."""


class Fault(enum.IntEnum):
    """Why the machine stopped; the number in the CSR ``error_code``."""

    NONE = 0
    BAD_CHECKSUM = 1
    BAD_OPCODE = 2
    BAD_MAGIC = 3
    BAD_VERSION = 4
    BAD_CONFIG = 5
    TRUNCATED = 6
    OUT_OF_WINDOW = 7
    BUS_READ = 8
    BUS_WRITE = 9
    WEIGHT_HEADER = 10
    BANK_CONFLICT = 11
    BAD_SPLIT = 12
    BAD_FIELD = 13
    TOKEN_OVERFLOW = 14
    WATCHDOG = 16


def waiting(address: int) -> dict[Engine, Activity]:
    """Who waited for what, from the address of a WATCHDOG fault; idle engines are left out."""
    mask = (1 << ACTIVITY_BITS) - 1
    activities = {engine: Activity(address >> ACTIVITY_BITS * engine & mask) for engine in Engine}
    return {engine: what for engine, what in activities.items() if what is not Activity.IDLE}
