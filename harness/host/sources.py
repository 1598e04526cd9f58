"""Workers are of the same version as their command, down to the source files."""

from __future__ import annotations

from sw.errors import DnaError


def check_same(asked: str, here: str) -> None:
    """Refuse to work for a command of another version.

    Args:
        asked: digest of who gave the work.
        here: digest of this process.

    Raises:
        DnaError: they differ.
    """
    if asked != here:
        raise DnaError(
            "a worker has other sources of open-dna than this command; install the same version "
            "on all computers"
        )
