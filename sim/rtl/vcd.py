"""Waves: what to record, and a cut through a VCD file (IEEE 1364-2005, section 18)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from sw.errors import DnaError

CYCLE_NS = 2
_FEMTOSECONDS = 1_000_000
# Scopes around the component in the files that Amaranth's simulator writes.
_OUTER_SCOPES = ["bench", "top"]


@dataclasses.dataclass(frozen=True)
class Waves:
    """A request for a VCD file of cycles ``start`` (inclusive) to ``stop`` (exclusive).

    The rising clock edge of cycle n is at ``n * 2 + 1`` ns.

    Attributes:
        modules: hierarchical names of the submodules to record, like ``core.post``, with all that
            is inside; everything if empty.
    """

    file: Path
    start: int
    stop: int
    modules: tuple[str, ...] = ()


def unknown_modules(waves: Waves) -> DnaError:
    """The error for names that match nothing."""
    return DnaError(f"the hardware has no module {' or '.join(waves.modules)}")


def cut(source: Path, waves: Waves) -> None:
    """Copy what ``waves`` asks for out of ``source``, which Amaranth's simulator wrote.

    The values that hold at the start are dumped there.

    Raises:
        DnaError: the file cannot be written, or no module has one of the names.
    """
    start, stop = (cycle * CYCLE_NS * _FEMTOSECONDS for cycle in (waves.start, waves.stop))
    held: dict[str, str] = {}
    changes: list[str] = []
    time = 0
    with source.open() as lines:
        header, chosen = _header(lines, [name.split(".") for name in waves.modules])
        if not chosen:
            raise unknown_modules(waves)
        for line in lines:
            if line.startswith("#"):
                time = int(line[1:])
                if time >= stop:
                    break
                if time > start:
                    changes.append(line)
            elif line.strip() and not line.startswith("$") and _identifier(line) in chosen:
                if time <= start:
                    held[_identifier(line)] = line
                else:
                    changes.append(line)
    try:
        with waves.file.open("w") as file:
            file.writelines([*header, f"#{start}\n", "$dumpvars\n", *held.values(), "$end\n"])
            file.writelines([*changes, f"#{stop}\n"])
    except OSError as error:
        raise DnaError(f"cannot write {waves.file}: {error.strerror}") from error


def _header(lines: Iterator[str], modules: list[list[str]]) -> tuple[list[str], set[str]]:
    """The declarations, without variables of other modules; the identifiers of those kept."""
    header: list[str] = []
    chosen: set[str] = set()
    scope: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["$scope"]:
            scope.append(words[2])
        elif words[:1] == ["$upscope"]:
            scope.pop()
        elif words[:1] == ["$var"]:
            inside = scope[len(_OUTER_SCOPES) :]
            if modules and not any(inside[: len(module)] == module for module in modules):
                continue
            chosen.add(words[3])
        header.append(line)
        if words[:1] == ["$enddefinitions"]:
            break
    return header, chosen


def _identifier(change: str) -> str:
    """The identifier code of a value change: ``1!`` and ``b1010 !`` both change ``!``."""
    return change.split()[1] if change[0] in "bBrRsS" else change[1:].strip()
