"""The boards: what is on them, and by which names LiteX knows it."""

from __future__ import annotations

import dataclasses

from sw.errors import DnaError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
    """A board with an ECP5, an SDRAM and a serial port over USB.

    Attributes:
        name: in commands.
        title: of the board and its chips.
        platform: module of ``litex_boards.platforms`` with its pins.
        device: as that module names the FPGA.
        chip, package, speed: as nextpnr names it.
        crystal: name of the clock's pin there, and its frequency in Hz.
        reset: name of a pin that resets, high.
        held_high: pins that must be driven high for the board to stay alive.
        sdram: class of ``litedram.modules``.
        sdram_bytes: of the memory.
        memory: preset of :mod:`sim.memory.presets` that is like it, behind LiteDRAM at 40 MHz.
        baud: of the serial port.
    """

    name: str
    title: str
    platform: str
    device: str
    chip: str
    package: str
    speed: int
    crystal: tuple[str, int]
    reset: str
    held_high: tuple[str, ...]
    sdram: str
    sdram_bytes: int
    memory: str
    baud: int


ULX3S = Board(
    name="ulx3s",
    title="Radiona ULX3S with a Lattice LFE5U-85F and 32 MB of SDRAM",
    platform="radiona_ulx3s",
    device="LFE5U-85F",
    chip="85k",
    package="CABGA381",
    speed=6,
    crystal=("clk25", 25_000_000),
    reset="rst",
    held_high=("wifi_gpio0",),
    sdram="MT48LC16M16",
    sdram_bytes=32 << 20,
    memory="sdr-40x16",
    baud=1_000_000,
)

BOARDS = {board.name: board for board in (ULX3S,)}
"""By name. Another board is one more :class:`Board`."""


def find(name: str) -> Board:
    """The board of that name.

    Raises:
        DnaError: there is none.
    """
    if name not in BOARDS:
        raise DnaError(f"there is no board {name!r}; there is: {', '.join(BOARDS)}")
    return BOARDS[name]
