"""What was found is kept by a hash of what it was found from, so that the same is not done twice.

Each part of a run is kept as soon as it is there: whatever ends a run, the next one goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import platformdirs

from sw.errors import DnaError
from sw.host import files


def folder() -> Path:
    """Where it is kept."""
    return Path(platformdirs.user_cache_dir("open-dna")) / "timing"


def digest(*ingredients: str) -> str:
    """One for all ``ingredients``."""
    whole = hashlib.sha256()
    for text in ingredients:
        data = text.encode()
        whole.update(f"{len(data)}\n".encode() + data)
    return whole.hexdigest()[:32]


def text(key: str, make: Callable[[], str]) -> str:
    """What is kept under ``key``; made now if there is nothing.

    Raises:
        DnaError: it cannot be written.
    """
    path = folder() / key
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text()
    made = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DnaError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    files.write(path, made)
    return made
