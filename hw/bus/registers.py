"""The register map: what software sees of the machine over AXI4-Lite."""

from __future__ import annotations

import dataclasses

from hw.isa import Engine
from hw.status import Activity

DEFAULT_WATCHDOG_CYCLES = 8192
COUNTERS_OFFSET = 0x100
ADDRESS_BITS = 10

CONTROL_START, CONTROL_RESET = 1, 2
STATUS_BUSY, STATUS_DONE, STATUS_ERROR = 1, 2, 4


@dataclasses.dataclass(frozen=True)
class Register:
    """One 32-bit register: its byte offset, whether software may write it, and what it is."""

    name: str
    offset: int
    writable: bool
    doc: str


REGISTERS = (
    Register("id", 0x00, False, "0x414E446F, the letters oDNA"),
    Register("version", 0x04, False, "ISA version"),
    Register("config_low", 0x08, False, "digest of the configuration, low half"),
    Register("config_high", 0x0C, False, "digest of the configuration, high half"),
    Register("control", 0x10, True, "bit 0: start; bit 1: reset the machine; reads as 0"),
    Register("status", 0x14, False, "bit 0: busy; bit 1: program ended; bit 2: stopped by a fault"),
    Register("error_code", 0x18, False, "hw.status.Fault of the first fault"),
    Register("error_address", 0x1C, False, "where; what it counts depends on the code"),
    Register("interrupt", 0x20, True, "bit 0: program ended; bit 1: fault; write 1 to clear"),
    Register("interrupt_enable", 0x24, True, "which of them raise the interrupt line"),
    Register("window_base_low", 0x28, True, "byte address of the memory window, low half"),
    Register("window_base_high", 0x2C, True, "byte address of the memory window, high half"),
    Register("window_size", 0x30, True, "bytes of the memory window; nothing outside is touched"),
    Register("write_base", 0x34, True, "byte offset of the part that may be written"),
    Register("write_size", 0x38, True, "bytes of the part that may be written"),
    Register("program", 0x3C, True, "byte offset of the program"),
    Register("watchdog", 0x40, True, "cycles without progress that count as a hang; 0: never"),
    Register("cycles_low", 0x44, False, "cycles from start to interrupt, low half"),
    Register("cycles_high", 0x48, False, "cycles from start to interrupt, high half"),
)
BY_NAME = {register.name: register for register in REGISTERS}


def counter_offset(engine: Engine, activity: Activity) -> int:
    """Byte offset of the counter of cycles that ``engine`` spent in ``activity``."""
    return COUNTERS_OFFSET + 4 * (engine * len(Activity) + activity)


def document() -> str:
    """The register map as a Markdown table."""
    lines = [
        "# Registers",
        "",
        "32-bit registers over AXI4-Lite. Byte strobes are honoured as all or nothing.",
        "",
        "| offset | name | access | what |",
        "|---|---|---|---|",
    ]
    for register in REGISTERS:
        access = "read/write" if register.writable else "read"
        lines.append(f"| {register.offset:#05x} | `{register.name}` | {access} | {register.doc} |")
    for engine in Engine:
        for activity in Activity:
            name = f"counter_{engine.name}_{activity.name}".lower()
            offset = counter_offset(engine, activity)
            lines.append(f"| {offset:#05x} | `{name}` | read | cycles of the last program |")
    return "\n".join(lines) + "\n"
