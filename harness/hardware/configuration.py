"""Which machine a command means: a preset by name, or a JSON file with its parameters."""

from __future__ import annotations

import dataclasses
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
        config = msgspec.json.decode(content, type=DnaConfig)
    except (msgspec.MsgspecError, OSError) as error:
        raise DnaError(f"{path} is no configuration: {error}") from error
    names = [field.name for field in dataclasses.fields(DnaConfig)]
    unknown = [key for key in msgspec.json.decode(content) if key not in names]
    if unknown:
        raise DnaError(
            f"{path} is no configuration: a machine has no parameter {unknown[0]!r}; "
            f"there are {', '.join(names)}"
        )
    return config
