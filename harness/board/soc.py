"""The system on chip around the machine, in LiteX: no processor, the host is at the serial port.

Clock and reset; LiteDRAM's controller of the board's SDRAM, with a port for the machine's AXI4 (its
words wider than the SDRAM's, a converter between them) and one for the host; LiteX' UARTBone, a
master that reads and writes words as bytes on the serial port tell it; and the machine's registers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness.board.boards import Board
from hw.config import DnaConfig
from sw.errors import DnaError
from sw.host import extras

TOP = "dna_board"
_FLAGS = {
    "DFII_CONTROL_CKE": 2,
    "DFII_CONTROL_ODT": 4,
    "DFII_CONTROL_RESET_N": 8,
    "DFII_COMMAND_CS": 1,
    "DFII_COMMAND_WE": 2,
    "DFII_COMMAND_CAS": 4,
    "DFII_COMMAND_RAS": 8,
}
"""Bits of LiteDRAM's registers, by the names that its start sequence has."""

_COMMENT = re.compile(r"^//[^\n]*\n|/\*.*?\*/\n?", re.M | re.S)
"""LiteX' comments have the time of day and, in any order, cells: one SoC is to be one text."""


class InitStep(msgspec.Struct, frozen=True):
    """A step of the SDRAM's start.

    Attributes:
        what: in words.
        control: whether the bits are those of the control register, and not a command to send.
        address, bank: of the command.
        bits: for the register.
        cycles: to wait afterwards.
    """

    what: str
    control: bool
    address: int
    bank: int
    bits: int
    cycles: int


class SocDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver must know of a SoC; ``soc.json`` beside its bitstream.

    Attributes:
        board, config, config_digest: for which it was made.
        clock_hz: of all of it.
        baud: of the serial port.
        registers, memory: addresses on the bus.
        memory_bytes: of the SDRAM.
        csr: addresses of LiteX' registers that the driver uses, by name.
        init: of the SDRAM.
        verilog: SHA-256 of the Verilog, of which bitstream and simulation are made.
    """

    board: str
    config: str
    config_digest: str
    clock_hz: int
    baud: int
    registers: int
    memory: int
    memory_bytes: int
    csr: dict[str, int]
    init: list[InitStep]
    verilog: str


@dataclasses.dataclass(frozen=True)
class Generated:
    """Verilog and pin constraints of a SoC, without the machine's own, and what a driver knows."""

    verilog: str
    pins: str
    csr: dict[str, int]
    init: list[InitStep]


def generate(board: Board, config: DnaConfig, clock_hz: int) -> Generated:
    """The SoC around the module ``dna_axi`` of ``dna rtl``.

    Raises:
        DnaError: LiteX is not installed, or the machine has several ports.
    """
    if config.dram_ports != 1:
        raise DnaError(
            f"{board.name} has one memory; the configuration has {config.dram_ports} dram_ports"
        )
    with extras.needs("board", "LiteX"):
        from litedram.init import get_sdram_phy_init_sequence
        from litex.soc.integration.builder import Builder

        from harness.board.litex_soc import BoardSoc
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        soc = BoardSoc(board, config, clock_hz)
        builder = Builder(
            soc,
            output_dir=scratch,
            csr_json=f"{scratch}/csr.json",
            compile_software=False,
            compile_gateware=False,
        )
        builder.build(build_name=TOP, run=False)
        folder = Path(scratch)
        csr = json.loads((folder / "csr.json").read_text())["csr_registers"]
        steps, _ = get_sdram_phy_init_sequence(
            soc.sdram.controller.settings.phy, soc.sdram.controller.settings.timing
        )
        return Generated(
            verilog=_COMMENT.sub("", (folder / "gateware" / f"{TOP}.v").read_text()),
            pins=(folder / "gateware" / f"{TOP}.lpf").read_text(),
            csr={name: int(register["addr"]) for name, register in csr.items()},
            init=[_step(step) for step in steps],
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """LiteX tells all that it does through the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def _step(step: tuple[str, int, int, str, int]) -> InitStep:
    what, address, bank, flags, cycles = step
    names = flags.split("|")
    return InitStep(
        what, "CONTROL" in names[0], address, bank, sum(_FLAGS[name] for name in names), cycles
    )
