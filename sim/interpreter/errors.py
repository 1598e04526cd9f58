"""What is wrong with a program."""

from __future__ import annotations

from sw.errors import DnaError


class ProgramError(DnaError):
    """The program does what the machine refuses, or never ends."""
