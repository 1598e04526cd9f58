"""Which machine a command means: a preset by name, or a JSON file with its parameters."""

from __future__ import annotations

import dataclasses
import difflib
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
        names = [field.name for field in dataclasses.fields(DnaConfig)]
        # First: a name that is misspelt is also one that is missing.
        unknown = [key for key in said if key not in names] if isinstance(said, dict) else []
        if unknown:
            near = difflib.get_close_matches(unknown[0], names, n=1)
            raise DnaError(
                f"{path} is no configuration: a machine has no parameter {unknown[0]!r}; "
                + (f"did you mean {near[0]!r}? " if near else "")
                + f"There are {', '.join(names)}"
            )
        return msgspec.json.decode(content, type=DnaConfig)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError) as error:
        raise DnaError(f"{path} is no configuration: {error}") from error
