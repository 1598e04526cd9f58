"""Which machines a sweep looks at."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.configuration import unknown_parameter
from hw.config import DnaConfig
from sw.errors import DnaError

KIB = 1024
DIMENSIONS = ("modules", "array", "lanes", "depth", "feature", "fifo", "dram")
"""What a sweep varies, in this order: modules, rows (and columns) of an array, lanes, pixels of an
accumulation tile, KiB of feature memory, KiB of the weight FIFO, bytes of DRAM per cycle."""
_LETTERS = {"lanes": "l", "depth": "t", "feature": "f", "fifo": "w", "dram": "d"}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A machine to look at.

    Attributes:
        name: what it is called.
        config: itself; None if its parameters make no machine.
        refused: why not.
    """

    name: str
    config: DnaConfig | None
    refused: str | None = None


def product(base: DnaConfig, choices: Mapping[str, Sequence[int]]) -> list[Candidate]:
    """Every combination of ``choices``; what is not chosen is derived from ``base``.

    Lanes and the DRAM port stay the same part of the machine's width, the memories the same size in
    bytes, as far as a machine can have that.

    Args:
        choices: positive values by name of :data:`DIMENSIONS`.
    """
    varied = [name for name in DIMENSIONS if choices.get(name)]
    combinations = itertools.product(*(choices[name] for name in varied))
    return [_named(base, dict(zip(varied, values, strict=True))) for values in combinations]


def read(path: Path) -> list[Candidate]:
    """The configurations in a JSON file: a list of objects with the parameters of a machine.

    Raises:
        DnaError: it cannot be read, or is no such list.
    """
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise DnaError(f"{path} is no list of configurations: {error}") from error
    if not entries:
        raise DnaError(f"{path} has no configuration")
    return [_candidate(entry, f"{path}[{number}]") for number, entry in enumerate(entries)]


def _named(base: DnaConfig, chosen: Mapping[str, int]) -> Candidate:
    parameters = _parameters(base, chosen)
    if not chosen:
        return _candidate(parameters, None)
    shape = "{modules}x{rows}x{columns}".format_map(parameters)
    rest = [f"{_LETTERS[name]}{value}" for name, value in chosen.items() if name in _LETTERS]
    return _candidate({**parameters, "name": "-".join([shape, *rest])}, None)


def _candidate(parameters: dict[str, Any], fallback: str | None) -> Candidate:
    name = str(parameters.get("name", fallback))
    fault = unknown_parameter(parameters)
    if fault is not None:
        return Candidate(name, None, fault)
    try:
        return Candidate(name, msgspec.convert({"name": name, **parameters}, type=DnaConfig))
    except msgspec.ValidationError as error:
        return Candidate(name, None, str(error))


def _parameters(base: DnaConfig, chosen: Mapping[str, int]) -> dict[str, Any]:
    modules = chosen.get("modules", base.modules)
    rows = chosen.get("array", base.rows)
    width, base_width = modules * rows, base.modules * base.columns
    dram = chosen.get("dram", max(8, base.dram_bytes_per_cycle * width // base_width))
    burst = min(base.burst_words, max(1, min(4096, base.port_granule_bytes) // dram))
    feature = base.feature_words * base.rows
    fifo = max(base.weight_fifo_words * base.dram_bytes_per_cycle, burst * dram)
    if "feature" in chosen:
        feature = chosen["feature"] * KIB
    if "fifo" in chosen:
        fifo = chosen["fifo"] * KIB
    lanes = chosen.get("lanes", max(rows, base.lanes * width // base_width))
    return {
        **dataclasses.asdict(base),
        "modules": modules,
        "rows": rows,
        "columns": rows,
        "lanes": lanes,
        "accumulation_depth": chosen.get("depth", base.accumulation_depth),
        "dram_bytes_per_cycle": dram,
        "feature_words": feature // rows,
        "weight_fifo_words": fifo // dram,
        "burst_words": burst,
        "dram_ports": min(4, max(1, dram // 128)),
        "depthwise_words": min(base.depthwise_words, lanes // rows),
    }
