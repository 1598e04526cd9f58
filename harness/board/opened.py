"""A board that is ready to run one compiled network."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.board.device import BoardMachine
from harness.board.link import serial_link
from harness.board.link.simulated import SimulatedLink
from harness.board.soc import SocDescription
from harness.board.sources import read_description
from harness.data.inputs import check_alone
from sim.driver import Driver
from sw.artifact import Artifact, program_of
from sw.artifact.host import HEAD
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class OnBoard:
    """A network on a board.

    Attributes:
        driver: runs images.
        description: of the bitstream.
        simulated: there is no board, only its Verilog in Verilator.
    """

    driver: Driver
    description: SocDescription
    simulated: bool

    def figures(self) -> dict[str, Any]:
        """What the board is, for JSON."""
        return {
            "board": self.description.board,
            "config": self.description.config,
            "simulated": self.simulated,
            "verilog": self.description.verilog,
            "clock_hz": self.description.clock_hz,
        }

    def milliseconds(self, cycles: float) -> float:
        """How long so many cycles of the machine take on the board."""
        return cycles / self.description.clock_hz * 1e3

    @property
    def clock(self) -> str:
        """In MHz, with the unit."""
        return f"{self.description.clock_hz / 1e6:g} MHz"

    def __str__(self) -> str:
        board, config = self.description.board, self.description.config
        if self.simulated:
            return f"that of a simulation of {board} ({config}, {self.clock}), not of a board"
        return (
            f"measured here, with the serial port: {board} ({config}, {self.clock}), "
            f"{self.description.baud / 1e6:g} Mbaud"
        )


def check(network: Artifact, path: Path) -> None:
    """Fail, before images are read, if a network is none that a board runs.

    Args:
        network: the artifact.
        path: of it, for messages.

    Raises:
        DnaError: the host runs a part in front of the machine, or it wants several inputs.
    """
    if HEAD in network.host:
        raise DnaError(f"{path} has a part in front of the machine, which boards do not run")
    check_alone(network.manifest)


@contextlib.contextmanager
def opened(
    network: Artifact, path: Path, folder: Path, port: str | None, tell: Callable[[str], None]
) -> Iterator[OnBoard]:
    """Look for the board and upload the program and its weights, or what is missing there.

    Args:
        network: compiled for the board's configuration.
        path: of it, for messages.
        folder: what ``dna soc`` wrote.
        port: the serial port; None: the board is simulated.
        tell: gets a line of progress.

    Raises:
        DnaError: the network has no program, the folder is none of ``dna soc``, or the board does
            not answer as it should.
    """
    description = read_description(folder)
    program = program_of(network, path)

    def progress(done: int, whole: int) -> None:
        tell(f"uploading: {done:,} of {whole:,} bytes")

    link: SimulatedLink | serial_link.SerialLink
    if port is None:
        tell("building the simulator of the board (some minutes, once)")
        link = SimulatedLink(folder, description)
        preload = link.preload
    else:
        tell("looking for the board")
        link, preload = serial_link.SerialLink(port, description.baud), None
    try:
        machine = BoardMachine(link, description, progress, preload)
        yield OnBoard(Driver(machine, program), description, port is None)
    finally:
        link.close()
