"""The clock of a figure in seconds: how fast, and what proves it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from harness.hardware.timing import result
from harness.hardware.timing.netlist import design
from harness.hardware.timing.result import Timing
from hw.config import DnaConfig
from sw.errors import DnaError

ASSUMED_MHZ = 300.0
"""The clock of the DNA-F200, which is assumed if nobody says another."""

ASSUMED: Literal["assumed"] = "assumed"


class Proof(msgspec.Struct, frozen=True):
    """What proves a clock.

    Attributes:
        target: ecp5, or the name of a Liberty file.
        corner: process, voltage and temperature, or speed grade.
        tool: that found it, with its version.
        file: what `dna timing` wrote.
        fmax_mhz: that it found; the clock may be slower.
        assumptions: what it rests on.
    """

    target: str
    corner: str
    tool: str
    file: str
    fmax_mhz: float
    assumptions: list[str]

    def __str__(self) -> str:
        return f"proved: {self.target}, {self.corner}, {self.tool}, {self.file}"


class Clock(msgspec.Struct, frozen=True):
    """A clock in MHz, with its proof or the word that it is assumed."""

    mhz: float
    proof: Proof | Literal["assumed"] = ASSUMED

    def __str__(self) -> str:
        return f"{self.mhz:g} MHz ({self.proof})"


def chosen(config: DnaConfig, file: Path | None, mhz: float | None) -> tuple[Clock, Timing | None]:
    """The clock of ``config``, and what proves it.

    Args:
        file: from `dna timing`, if there is one.
        mhz: that somebody wants: assumed without a file, with one not more than it proves.

    Raises:
        DnaError: the file proves no clock of this machine, or a slower one.
    """
    if file is None:
        return Clock(ASSUMED_MHZ if mhz is None else mhz), None
    timing = result.read(file)
    proof = _proof(timing, config, file)
    if mhz is not None and mhz > proof.fmax_mhz:
        raise DnaError(
            f"--clock {mhz:g} is more than {file} proves of {config.name}: {proof.fmax_mhz:g} MHz "
            f"({proof.target}, {proof.corner})"
        )
    return Clock(proof.fmax_mhz if mhz is None else mhz, proof), timing


def _proof(timing: Timing, config: DnaConfig, file: Path) -> Proof:
    if timing.digest != config.digest:
        raise DnaError(
            f"{file} is about another machine: {timing.config} ({timing.digest}), not "
            f"{config.name} ({config.digest})"
        )
    if timing.hardware != design.hardware():
        raise DnaError(
            f"{file} was made from other sources of the hardware; make it again: "
            f"dna timing --config {timing.config} --target {timing.target}"
        )
    if timing.fmax_mhz is None or timing.corner is None:
        raise DnaError(f"{file} proves no clock: its target is {timing.target}")
    return Proof(
        target=timing.target,
        corner=timing.corner,
        tool=", ".join(f"{name} {version}" for name, version in timing.tools.items()),
        file=str(file),
        fmax_mhz=timing.fmax_mhz,
        assumptions=timing.assumptions,
    )
