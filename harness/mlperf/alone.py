"""One process at a time in a folder, and no child that outlives its parent."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from sw.errors import DnaError

LOCK = ".lock"
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


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


def ends_with_parent() -> Callable[[], None]:
    """For ``subprocess``'s ``preexec_fn``: the child is killed with this thread, even by -9.

    Only Linux can do that; elsewhere a child whose parent is killed comes to its own end.
    """
    parent, libc = os.getpid(), ctypes.CDLL(None)

    def ask() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it was asked for
            os._exit(1)

    return ask
