"""Verilog of the whole system on chip: one text, of which bitstream and simulation are made."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.board.addresses import MEMORY, REGISTERS
from harness.board.boards import Board
from harness.board.soc import SocDescription, generate
from harness.hardware import verilog
from hw.config import DnaConfig
from sw.errors import DnaError
from sw.host import files

VERILOG, PINS, DESCRIPTION = "top.v", "top.lpf", "soc.json"
_SOURCE_LINE = re.compile(r'^ *\(\* src = "[^"]*" \*\)\n|\(\* src = "[^"]*" \*\) ', re.M)
"""The same circuit is to be the same text, whichever line of Python it comes from."""


def write(
    board: Board,
    config: DnaConfig,
    clock_hz: int,
    folder: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> SocDescription:
    """Write the SoC's Verilog, pin constraints and description to ``folder``.

    Raises:
        DnaError: LiteX is not installed, the machine has several ports, or a file cannot be
            written.
    """
    progress("generating the SoC")
    soc = generate(board, config, clock_hz)
    progress(f"elaborating {config.name}")
    text = soc.verilog
    with tempfile.TemporaryDirectory() as scratch:
        for name, modules in (
            ("wrapper.v", verilog.wrapper(config)),
            ("machine.v", verilog.design(config)),
        ):
            path = Path(scratch) / name
            verilog.write_verilog(modules, path, progress)
            text += _SOURCE_LINE.sub("", path.read_text())
    description = SocDescription(
        board=board.name,
        config=config.name,
        config_digest=config.digest,
        clock_hz=clock_hz,
        baud=board.baud,
        registers=REGISTERS,
        memory=MEMORY,
        memory_bytes=board.sdram_bytes,
        csr=soc.csr,
        init=soc.init,
        verilog=digest(text),
    )
    files.write(folder / VERILOG, text)
    files.write(folder / PINS, soc.pins)
    files.write(folder / DESCRIPTION, msgspec.json.format(msgspec.json.encode(description)))
    return description


def digest(text: str) -> str:
    """SHA-256 of the Verilog, in hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_description(folder: Path) -> SocDescription:
    """What ``dna soc`` wrote there.

    Raises:
        DnaError: there is no such file, or it is another one, or of other Verilog.
    """
    path = folder / DESCRIPTION
    try:
        found = msgspec.json.decode(path.read_bytes(), type=SocDescription)
        text = (folder / VERILOG).read_text()
    except OSError as error:
        raise DnaError(f"{error.filename}: {error.strerror}; `dna soc` writes it") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DnaError(f"{path} is no description of a SoC: {error}") from error
    if digest(text) != found.verilog:
        raise DnaError(f"{folder / VERILOG} is not the file that {path} describes")
    return found
