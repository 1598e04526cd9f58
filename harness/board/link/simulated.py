"""The board in Verilator: the SoC's own Verilog, with a model of its SDRAM and its serial port."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import struct
import tempfile
from importlib.metadata import version
from pathlib import Path
from subprocess import PIPE
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
import platformdirs

from harness.board.link import verilator
from harness.board.soc import TOP, SocDescription
from harness.board.sources import VERILOG
from sw.errors import DnaError
from sw.host import children

_FOLDER = Path(__file__).with_name("simulation")
_SOURCES = ("board.cc", "primitives.v")
_OPTIONS = (
    *("--cc", "--exe", "--build", "-j", "0", "-O3", "--prefix", "Vtop", "--top-module", TOP),
    *("--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal", "-Wno-lint"),
    *("--Mdir", "model", "-CFLAGS", "-I.. -march=native", "-o", "board"),
)
_DATA_PIN = re.compile(r"^\) (TRELLIS_IO\w*) \(\n(?:.*\n)??\s*\.B \(sdram_dq\[(\d+)\]\)", re.M)


class SimulatedLink:
    """A link to a simulated board; its time passes only while bytes are on their way.

    Args:
        folder: of ``dna soc``.
        description: that is there.

    Attributes:
        cycle: of the board's clock.

    Raises:
        DnaError: Verilator is not installed, or fails.
    """

    def __init__(self, folder: Path, description: SocDescription) -> None:
        self._clock_hz = description.clock_hz
        program = _build(folder / VERILOG, description)
        self._ends = contextlib.ExitStack()
        self._process = self._ends.enter_context(
            children.started([program], stdin=PIPE, stdout=PIPE)
        )
        self.cycle = 0

    @property
    def _pipes(self) -> tuple[BinaryIO, BinaryIO]:
        return cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)

    def exchange(self, sent: bytes, answer: int, seconds: float) -> bytes:
        """As :class:`harness.board.link.uartbone.Link` says; seconds are those of the board."""
        into, out = self._pipes
        try:
            cycles = int(seconds * self._clock_hz)
            into.write(struct.pack("<cIIQ", b"X", len(sent), answer, cycles) + sent)
            into.flush()
            (count,) = struct.unpack("<I", out.read(4))
            found = out.read(count)
            (self.cycle,) = struct.unpack("<Q", out.read(8))
        except (OSError, struct.error) as error:
            raise DnaError("the simulated board has ended") from error
        return found

    def preload(self, offset: int, content: bytes | npt.NDArray[np.uint8]) -> None:
        """Put bytes into the SDRAM at once, as no board can."""
        into, _ = self._pipes
        data = bytes(content)
        into.write(struct.pack("<cII", b"L", offset, len(data)) + data)
        into.flush()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._ends.close()


def _build(verilog: Path, description: SocDescription) -> Path:
    """The simulator's program, kept in the user's cache."""
    verilator.root()
    text = verilog.read_text()
    pins = _pins(text, description)
    contents = [text, pins, version("verilator"), *_OPTIONS]
    contents += [(_FOLDER / name).read_text() for name in _SOURCES]
    key = hashlib.sha256("\0".join(contents).encode()).hexdigest()[:16]
    kept = Path(platformdirs.user_cache_dir("open-dna")) / "board" / key / "board"
    if kept.is_file():
        return kept
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / VERILOG).write_text(text)
        (folder / "pins.h").write_text(pins)
        for name in _SOURCES:
            shutil.copy(_FOLDER / name, folder)
        verilator.run([*_OPTIONS, VERILOG, *reversed(_SOURCES)], folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        finished = kept.with_suffix(f".{os.getpid()}")
        shutil.copy(folder / "model/board", finished)
        finished.replace(kept)
    return kept


def _pins(verilog: str, description: SocDescription) -> str:
    """The header that names the cells of the SDRAM's data pins, and the length of a bit."""
    cells = {int(bit): cell for cell, bit in _DATA_PIN.findall(verilog)}
    if sorted(cells) != list(range(16)):
        raise DnaError("the Verilog of the SoC has not the data pins of an SDRAM of 16 bits")
    values = " | ".join(
        f"(top).rootp->{TOP}__DOT__{cell}__DOT__driven << {bit}" for bit, cell in cells.items()
    )
    return (
        f"#define DATA_PINS(top) uint16_t({values})\n"
        f"constexpr int BIT_CYCLES = {round(description.clock_hz / description.baud)};\n"
    )
