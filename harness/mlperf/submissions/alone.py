"""One process at a time in a folder."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from sw.errors import DnaError

LOCK = ".lock"


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else gets into this for the same folder; it is over with the process at the latest.

    Args:
        folder: made if it is not there; the lock file in it stays.

    Raises:
        DnaError: another process is at work there, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / LOCK).open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DnaError(
                f"another process is at work in {folder}; wait for its end or choose another folder"
            ) from error
        except OSError as error:
            raise DnaError(f"cannot write {folder}: {error.strerror}") from error
        yield
