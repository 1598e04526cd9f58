"""What a sweep has found so far, in a file that survives whatever ends the sweep."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from harness.explore.evaluate import Outcome, Task
from sw.errors import DnaError

_START = b'{"key":"'


class _Line(msgspec.Struct):
    key: str
    config: str
    outcome: Outcome


def _is_cut_off(line: bytes, error: msgspec.MsgspecError) -> bool:
    """Whether this may be the begin of a line, which is what a sweep leaves that was killed."""
    head = line[: len(_START)]
    return _START.startswith(head) and not isinstance(error, msgspec.ValidationError)


class State:
    """Outcomes by :attr:`Task.key`, a line of JSON each, appended as they come.

    A line is on the disk when :meth:`add` returns. A last line that was cut off counts for nothing.

    Args:
        path: the file; it need not exist.

    Raises:
        DnaError: the file cannot be read or written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, Outcome] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise DnaError(f"cannot read {path}: {error.strerror}") from error
        lines = content.split(b"\n")
        self._whole = not lines[-1]
        for number, line in enumerate(lines[:-1], 1):
            try:
                known = msgspec.json.decode(line, type=_Line)
            except msgspec.MsgspecError as error:
                if _is_cut_off(line, error):
                    continue
                raise DnaError(
                    f"line {number} of {path} is no result of a sweep ({error}); choose another "
                    "file with --state"
                ) from error
            self._outcomes[known.key] = known.outcome

    def get(self, task: Task) -> Outcome | None:
        """What is known of ``task``."""
        return self._outcomes.get(task.key)

    def add(self, task: Task, outcome: Outcome) -> None:
        """Keep an outcome.

        Raises:
            DnaError: the file cannot be written.
        """
        line = msgspec.json.encode(_Line(task.key, task.config.name, outcome)) + b"\n"
        if not self._whole:
            line = b"\n" + line
        try:
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DnaError(f"cannot write {self._path}: {error.strerror}") from error
        self._whole = True
        self._outcomes[task.key] = outcome
