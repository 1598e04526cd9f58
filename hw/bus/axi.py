"""AXI4 and AXI4-Lite, as ARM IHI 0022 defines them; only the signals that the machine drives.

Member names are the specification's, so that exported ports read ``m_axi__arvalid`` and so on.
"""

from __future__ import annotations

import enum

from amaranth.hdl import unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

ADDRESS_BITS = 64
BURST_INCREMENTING = 1


class Response(enum.IntEnum):
    """``RRESP`` and ``BRESP``."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def _size(data_bytes: int) -> int:
    if data_bytes not in (1, 2, 4, 8, 16, 32, 64, 128, 256):
        raise ValueError(f"data_bytes must be a power of two up to 256, not {data_bytes!r}")
    return data_bytes.bit_length() - 1


class AxiReadSignature(wiring.Signature):
    """Read channels of an AXI4 manager: bursts of whole, aligned words.

    Args:
        data_bytes: bytes of a word. AXI4 ends at 128; 256 stands for two ports side by side.
        id_bits: width of the identifiers.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        self.size = _size(data_bytes)
        super().__init__(
            {
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(unsigned(ADDRESS_BITS)),
                "arid": Out(unsigned(id_bits)),
                "arlen": Out(unsigned(8)),
                "arsize": Out(unsigned(3), init=min(self.size, 7)),
                "arburst": Out(unsigned(2), init=BURST_INCREMENTING),
                "rvalid": In(1),
                "rready": Out(1),
                "rid": In(unsigned(id_bits)),
                "rdata": In(unsigned(8 * data_bytes)),
                "rresp": In(unsigned(2)),
                "rlast": In(1),
            }
        )


class AxiWriteSignature(wiring.Signature):
    """Write channels of an AXI4 manager: bursts of whole, aligned words, one identifier.

    Args:
        data_bytes: bytes of a word.
    """

    def __init__(self, *, data_bytes: int) -> None:
        self.size = _size(data_bytes)
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(unsigned(ADDRESS_BITS)),
                "awid": Out(unsigned(1)),
                "awlen": Out(unsigned(8)),
                "awsize": Out(unsigned(3), init=min(self.size, 7)),
                "awburst": Out(unsigned(2), init=BURST_INCREMENTING),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(unsigned(8 * data_bytes)),
                "wstrb": Out(unsigned(data_bytes), init=(1 << data_bytes) - 1),
                "wlast": Out(1),
                "bvalid": In(1),
                "bready": Out(1),
                "bid": In(unsigned(1)),
                "bresp": In(unsigned(2)),
            }
        )


class AxiLiteSignature(wiring.Signature):
    """AXI4-Lite with 32-bit data, from the manager's side.

    Args:
        address_bits: width of the byte address.
    """

    def __init__(self, *, address_bits: int) -> None:
        super().__init__(
            {
                "awvalid": Out(1),
                "awready": In(1),
                "awaddr": Out(unsigned(address_bits)),
                "awprot": Out(unsigned(3)),
                "wvalid": Out(1),
                "wready": In(1),
                "wdata": Out(unsigned(32)),
                "wstrb": Out(unsigned(4)),
                "bvalid": In(1),
                "bready": Out(1),
                "bresp": In(unsigned(2)),
                "arvalid": Out(1),
                "arready": In(1),
                "araddr": Out(unsigned(address_bits)),
                "arprot": Out(unsigned(3)),
                "rvalid": In(1),
                "rready": Out(1),
                "rdata": In(unsigned(32)),
                "rresp": In(unsigned(2)),
            }
        )


class AxiSignature(wiring.Signature):
    """The read and write channels of one AXI4 manager together.

    Args:
        data_bytes: bytes of a word.
        id_bits: width of the read identifiers.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        read = AxiReadSignature(data_bytes=data_bytes, id_bits=id_bits)
        write = AxiWriteSignature(data_bytes=data_bytes)
        super().__init__({**dict(read.members.items()), **dict(write.members.items())})
