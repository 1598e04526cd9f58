"""Which machine a command means: a preset by name, or a JSON file with its parameters."""

from __future__ import annotations

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
        return msgspec.json.decode(path.read_bytes(), type=DnaConfig)
    except (msgspec.MsgspecError, OSError) as error:
        raise DnaError(f"{path} is no configuration: {error}") from error
