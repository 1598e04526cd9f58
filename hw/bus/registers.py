"""The register map: what software sees of the machine over AXI4-Lite.

Each register is declared by its fields (:mod:`hw.bus.register_fields`). The hardware
(:mod:`hw.bus.register_file`), the constants of the driver and ``docs/registers.md`` derive from the
declarations; nothing here needs the HDL.
"""

from __future__ import annotations

import enum

from hw import isa
from hw.bus.register_fields import REGISTER_BITS, REGISTER_BYTES, Access, Field, Register
from hw.isa import Engine
from hw.status import Activity

COUNTERS_OFFSET = 0x100
ADDRESS_BITS = 10
DEFAULT_WATCHDOG_CYCLES = 8192


def _word(
    access: Access,
    doc: str,
    *,
    width: int = REGISTER_BITS,
    reset: int | None = 0,
    locked: bool = False,
) -> tuple[Field, ...]:
    """The fields of a register that is one number."""
    return (Field("value", access, doc, width, reset, locked),)


class Event(enum.IntEnum):
    """What can raise the interrupt line; the number of its bit."""

    ENDED = 0
    FAULT = 1


_EVENTS = {Event.ENDED: "program ended", Event.FAULT: "fault"}


def _events(access: Access) -> tuple[Field, ...]:
    """A bit for each :class:`Event`."""
    return tuple(Field(event.name.lower(), access, _EVENTS[event]) for event in Event)


REGISTERS = (
    Register("id", 0x00, _word(Access.R, "0x414E446F, the letters oDNA", reset=isa.MAGIC)),
    Register("version", 0x04, _word(Access.R, "ISA version", reset=isa.ISA_VERSION)),
    Register(
        "config_low", 0x08, _word(Access.R, "digest of the configuration, low half", reset=None)
    ),
    Register(
        "config_high", 0x0C, _word(Access.R, "digest of the configuration, high half", reset=None)
    ),
    Register(
        "control",
        0x10,
        (
            Field("start", Access.W, "start, refused while busy or stopped", locked=True),
            Field("reset", Access.W, "reset the machine when its transfers have ended"),
            Field("force", Access.W, "reset it at once, for a bus that hangs and is reset too"),
        ),
    ),
    Register(
        "status",
        0x14,
        (
            Field("busy", Access.R, "busy"),
            Field("done", Access.R, "program ended"),
            Field("error", Access.R, "stopped by a fault"),
        ),
    ),
    Register("error_code", 0x18, _word(Access.R, "hw.status.Fault of the first fault", width=8)),
    Register("error_address", 0x1C, _word(Access.R, "where; what it counts depends on the code")),
    Register("interrupt", 0x20, _events(Access.RW1C)),
    Register(
        "interrupt_enable",
        0x24,
        _events(Access.RW),
        "which of them raise the interrupt line",
    ),
    Register(
        "window_base_low",
        0x28,
        _word(
            Access.RW,
            "byte address of the memory window, low half; the lowest 12 bits, or "
            "those below dram_ports x port_granule_bytes, count as 0",
            locked=True,
        ),
    ),
    Register(
        "window_base_high",
        0x2C,
        _word(Access.RW, "byte address of the memory window, high half", locked=True),
    ),
    Register(
        "window_size",
        0x30,
        _word(Access.RW, "bytes of the memory window; nothing outside is touched", locked=True),
    ),
    Register(
        "write_base",
        0x34,
        _word(Access.RW, "byte offset of the part that may be written", locked=True),
    ),
    Register(
        "write_size", 0x38, _word(Access.RW, "bytes of the part that may be written", locked=True)
    ),
    Register("program", 0x3C, _word(Access.RW, "byte offset of the program", locked=True)),
    Register(
        "watchdog",
        0x40,
        _word(
            Access.RW,
            "cycles without progress that count as a hang; 0: never",
            reset=DEFAULT_WATCHDOG_CYCLES,
        ),
    ),
    Register("cycles_low", 0x44, _word(Access.R, "cycles from start to interrupt, low half")),
    Register("cycles_high", 0x48, _word(Access.R, "cycles from start to interrupt, high half")),
)
"""All registers but the counters of activities."""


def counter_offset(engine: Engine, activity: Activity) -> int:
    """Byte offset of the counter of cycles that ``engine`` spent in ``activity``."""
    return COUNTERS_OFFSET + REGISTER_BYTES * (engine * len(Activity) + activity)


def counter_name(engine: Engine, activity: Activity) -> str:
    """Name of the counter of cycles that ``engine`` spent in ``activity``."""
    return f"counter_{engine.name}_{activity.name}".lower()


COUNTERS = tuple(
    Register(
        counter_name(engine, activity),
        counter_offset(engine, activity),
        _word(Access.R, "cycles of the last program"),
    )
    for engine in Engine
    for activity in Activity
)
"""A register for each engine and activity."""

BY_NAME = {register.name: register for register in (*REGISTERS, *COUNTERS)}

CONTROL_START = BY_NAME["control"].mask("start")
CONTROL_RESET = BY_NAME["control"].mask("reset")
CONTROL_FORCE = BY_NAME["control"].mask("force")
STATUS_BUSY = BY_NAME["status"].mask("busy")
STATUS_DONE = BY_NAME["status"].mask("done")
STATUS_ERROR = BY_NAME["status"].mask("error")
ALL_EVENTS = sum(1 << event for event in Event)
"""Every bit of ``interrupt`` and ``interrupt_enable``."""


def document() -> str:
    """The register map as Markdown: a table of the registers, one of their fields."""
    lines = [
        "# Registers",
        "",
        "32-bit registers over AXI4-Lite. An address without a register answers DECERR. A write "
        "that is not done, or not in all of its fields, answers SLVERR: to a register that is "
        "only read, with some byte strobes missing, or to what is refused while a "
        "program runs or a fault has stopped the machine.",
        "",
        "| offset | name | access | what |",
        "|---|---|---|---|",
    ]
    for register in (*REGISTERS, *COUNTERS):
        access = Access.RW if register.writable else Access.R
        lines.append(
            f"| {register.offset:#05x} | `{register.name}` | {access.value} | {register.doc} |"
        )
    lines += [
        "",
        "## Fields",
        "",
        "The counters are 32 bits to read, 0 after power-on.",
        "",
        "| register | bits | field | access | after power-on |",
        "|---|---|---|---|---|",
    ]
    for register in REGISTERS:
        for field in register.fields:
            low = register.shift(field.name)
            bits = f"{low}" if field.width == 1 else f"{low + field.width - 1}:{low}"
            reset = "by configuration" if field.reset is None else f"{field.reset:#x}"
            lines.append(
                f"| `{register.name}` | {bits} | `{field.name}` | {field.access.value} | {reset} |"
            )
    return "\n".join(lines) + "\n"
