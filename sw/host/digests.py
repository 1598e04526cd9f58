"""What tells one file from another, and one version of our sources from another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import ModuleType


def of_file(path: Path) -> str:
    """sha256 of a file's content, as hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_sources(*places: tuple[ModuleType, str]) -> str:
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
