"""Which version of the program this is, down to its source files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType

from sw.errors import DnaError


def digest(*places: tuple[ModuleType, str]) -> str:
    """Changes with the names and the contents of source files.

    Args:
        places: a package of ours, and a pattern for files in it (:meth:`pathlib.Path.glob`).
    """
    found = hashlib.sha256()
    for package, pattern in places:
        root = Path(package.__path__[0])
        for path in sorted(path for path in root.glob(pattern) if path.is_file()):
            found.update(f"{path.relative_to(root.parent)}\n".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


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
