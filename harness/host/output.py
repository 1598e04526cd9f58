"""The standard output as a file that can be full, or a pipe that can be closed."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from sw.errors import DnaError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_PLACES = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENAMETOOLONG),
        *(errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )
)
"""What a computer can lack; any other error of the system is a fault of ours."""


class _Raw(io.FileIO):
    """A file descriptor that says in a line why it cannot be written."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise DnaError(f"cannot write to the standard output: {error.strerror}") from error


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Within it, whatever cannot be written is a :class:`DnaError`, however it is printed.

    Raises:
        DnaError: the standard output cannot take what was printed, or a file could not be written
            by someone who did not say so better.
    """
    before = sys.stdout
    sys.stdout = _text(before)
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _PLACES:
            raise
        where = f" {error.filename}" if error.filename is not None else ""
        raise DnaError(f"cannot write or read{where}: {error.strerror}") from error
    finally:
        try:
            sys.stdout.flush()
        except (DnaError, ValueError):
            _to_nowhere()
        sys.stdout = before


def _text(stream: TextIO | None) -> TextIO:
    """``stream`` anew, with errors that are lines; one without a descriptor as it is."""
    if stream is None:  # closed by who started this; also keeps other files off its descriptor
        return open(os.devnull, "w")
    try:
        stream.flush()
        raw = _Raw(stream.fileno(), "w", closefd=False)
    except (AttributeError, ValueError, OSError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=raw.isatty(),
    )


def _to_nowhere() -> None:
    """What is still buffered has no reader: let Python write it where it is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
