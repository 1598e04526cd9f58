"""A board without hardware: UARTBone's protocol in front of a memory and the registers of LiteX."""

from __future__ import annotations

import struct

from harness.board.addresses import MEMORY, REGISTERS
from harness.board.soc import InitStep, SocDescription
from hw.config import PRESETS
from sw.errors import DnaError

CSR = {
    name: 4 * number
    for number, name in enumerate(
        (
            "ctrl_reset",
            "ctrl_scratch",
            "ctrl_bus_errors",
            "sdram_dfii_control",
            "sdram_dfii_pi0_command",
            "sdram_dfii_pi0_command_issue",
            "sdram_dfii_pi0_address",
            "sdram_dfii_pi0_baddress",
        )
    )
}
DESCRIPTION = SocDescription(
    board="ulx3s",
    config="nano",
    config_digest=PRESETS["nano"].digest,
    clock_hz=50_000_000,
    baud=1_000_000,
    registers=REGISTERS,
    memory=MEMORY,
    memory_bytes=1 << 18,
    csr=CSR,
    init=[
        InitStep("clock enable", True, 0, 0, 14, 20),
        InitStep("precharge", False, 1024, 0, 11, 0),
    ],
    verilog="0" * 64,
)


class FakeBoard:
    """A link; words of every address are kept, and counted.

    Attributes:
        words: by address.
        written: words written so far, to the memory.
        order: addresses outside the memory in the order of their writes, with the values.
        cut_after: the link is gone when so many words have been written; None: never.
        stuck: a bit of the memory's data that is always 0.
    """

    def __init__(self) -> None:
        self.words: dict[int, int] = {CSR["ctrl_scratch"]: 0x12345678}
        self.written = 0
        self.order: list[tuple[int, int]] = []
        self.cut_after: int | None = None
        self.stuck = 0
        self.silent = False

    def exchange(self, sent: bytes, answer: int, seconds: float) -> bytes:
        """Do what the bytes say."""
        command, count, place = struct.unpack(">BBI", sent[:6])
        if self.silent:
            return b""
        addresses = [4 * (place + word) for word in range(count)]
        if command == 2:
            return b"".join(struct.pack(">I", self.words.get(a, 0)) for a in addresses)
        for address, value in zip(addresses, struct.unpack(f">{count}I", sent[6:]), strict=True):
            if self.cut_after is not None and self.written >= self.cut_after:
                raise DnaError("the serial port is gone")
            if address >= MEMORY:
                self.written += 1
                value &= ~self.stuck
            else:
                self.order.append((address, value))
            self.words[address] = value
        return b""

    def close(self) -> None:
        """Nothing to give back."""
