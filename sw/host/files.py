"""Writes a file so that nobody finds half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from sw.errors import DnaError


def write(path: Path, content: str | bytes) -> None:
    """Make ``content`` what ``path`` holds; whatever was there stays until that is whole.

    What cannot be replaced (a device, a pipe, a file in a folder that is read-only) is written in
    place.

    Raises:
        DnaError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    place = Path(os.path.realpath(path))
    try:
        if place.exists() and not (place.is_file() and os.access(place.parent, os.W_OK)):
            place.write_bytes(data)
        elif place.exists() and not os.access(place, os.W_OK):
            raise DnaError(f"cannot write {path}: it is read-only")
        else:
            _replace(place, data)
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error


def _replace(place: Path, data: bytes) -> None:
    new = place.with_name(f".{place.name[:200]}-{secrets.token_hex(4)}")
    try:
        with new.open("xb") as file:
            file.write(data)
        if place.exists():
            new.chmod(place.stat().st_mode & 0o7777)
        os.replace(new, place)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
