"""The page about the machine's registers, from what describes them in ``hw``."""

from __future__ import annotations

from hw.bus import registers
from hw.status import Fault


def page() -> str:
    """The map of :mod:`hw.bus.registers` and the codes of ``error_code``, as Markdown."""
    return "\n".join(
        [
            registers.document(),
            "## Codes of `error_code`",
            "",
            "| code | fault |",
            "|---|---|",
            *(f"| {fault.value} | `{fault.name}` |" for fault in Fault),
            "",
        ]
    )
