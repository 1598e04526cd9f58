"""Numbers on the wires of AXI, for those who have no HDL at hand (ARM IHI 0022)."""

from __future__ import annotations

import enum

from hw.config import DnaConfig

BURST_INCREMENTING = 1
"""``ARBURST`` and ``AWBURST``: each word one behind the one before."""
CACHE_NORMAL = 0b0011
"""``ARCACHE`` and ``AWCACHE``: normal memory, not cacheable, bufferable."""
PROTECTION_DATA = 0b000
"""``ARPROT`` and ``AWPROT``: data, secure, unprivileged."""


class Response(enum.IntEnum):
    """``RRESP`` and ``BRESP``."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def memory_prefixes(config: DnaConfig) -> list[str]:
    """What the names of the wires of each port to memory begin with, before ``_``."""
    if config.dram_ports == 1:
        return ["m_axi"]
    return [f"m_axi{number}" for number in range(config.dram_ports)]
