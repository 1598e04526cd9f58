"""Numbers on the wires of AXI, for those who have no HDL at hand (ARM IHI 0022)."""

from __future__ import annotations

import enum

BURST_INCREMENTING = 1
"""``ARBURST`` and ``AWBURST``: each word one behind the one before."""


class Response(enum.IntEnum):
    """``RRESP`` and ``BRESP``."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3
