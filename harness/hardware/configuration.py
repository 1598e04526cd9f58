"""Which machine a command means: a preset by name, or a JSON file with its parameters."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from hw.config import PRESETS, DnaConfig
from sw.errors import DnaError


def configuration(name: str) -> DnaConfig:
    """The preset called ``name``, or what the JSON file of that name holds.

    Raises:
        DnaError: there is neither, or the parameters make no machine.
    """
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise DnaError(
            f"no configuration {name!r}; choose one of {', '.join(PRESETS)}, "
            "or a JSON file with its parameters"
        )
    try:
        content = path.read_bytes()
        said = msgspec.json.decode(content)
        # First: a name that is misspelt is also one that is missing.
        fault = unknown_parameter(said) if isinstance(said, dict) else None
        if fault is not None:
            raise DnaError(f"{path} is no configuration: {fault}")
        return msgspec.json.decode(content, type=DnaConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise DnaError(f"{path} is no configuration: {error}") from error


def unknown_parameter(names: Iterable[str]) -> str | None:
    """What to say if one of ``names`` is no parameter of a machine: the nearest, and all."""
    known = [field.name for field in dataclasses.fields(DnaConfig)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {near[0]!r}? " if near else ""
            return f"a machine has no parameter {name!r}; {meant}There are {', '.join(known)}"
    return None
