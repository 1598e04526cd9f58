"""What is needed of a Liberty file: its corner, its cells, a buffer, and a copy without wires."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sw.errors import DnaError

_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_WORD = re.compile(
    r'(?P<group>\w+)\s*\(\s*"?(?P<name>[^(){};"]*)"?\s*\)\s*\{'
    r'|(?P<key>\w+)\s*:\s*(?P<value>"[^"]*"|[^;\n{}]+)'
    r'|(?P<open>\{)|(?P<close>\})|"[^"]*"'
)
_WIRES = re.compile(r"^\s*default_wire_load\w*\s*:[^\n]*$", re.M)
_BUFFER_STRENGTH = 5
"""Buffers of up to so many times the area of the smallest are put into trees."""


class Cell(msgspec.Struct):
    """A cell of the library: its area, its pins, what its outputs compute, what its inputs load."""

    name: str
    area: float = 0.0
    ways: dict[str, str] = {}
    functions: dict[str, str] = {}
    clocks: set[str] = set()
    avoided: bool = False
    loads: dict[str, float] = {}

    @property
    def is_buffer(self) -> bool:
        """One input, and an output that is the same; no clock buffer, by its name."""
        ins = [pin for pin, way in self.ways.items() if way == "input"]
        outs = [pin for pin, way in self.ways.items() if way == "output"]
        return (
            len(ins) == len(outs) == 1
            and self.functions.get(outs[0], "").strip("() ") == ins[0]
            and not self.name.upper().startswith("CLK")
            and not self.avoided
        )


class Library(msgspec.Struct, frozen=True):
    """A Liberty file.

    Attributes:
        name: of the file.
        corner: operating conditions, process, voltage and temperature.
        text: all of it, without a default wire load.
        cells: by name.
        buffer: the cell for trees of buffers.
    """

    name: str
    corner: str
    text: str
    cells: dict[str, Cell]
    buffer: Cell


def read(path: Path) -> Library:
    """The file at ``path``, which may be compressed (``.gz``).

    Raises:
        DnaError: it cannot be read, or is no library of cells with a buffer in it.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("latin-1")
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DnaError(f"cannot read the Liberty file {path}: {reason}") from error
    about: dict[str, str] = {}
    cells: dict[str, Cell] = {}
    for place, key, value in _statements(_COMMENT.sub("", text)):
        groups = [group for group, _ in place]
        if groups == ["library", "cell"]:
            cell = cells.setdefault(place[1][1], Cell(place[1][1]))
            if key == "area":
                cell.area = _number(value, path)
            elif key == "dont_use":
                cell.avoided = value == "true"
        elif groups == ["library", "cell", "pin"]:
            cell = cells.setdefault(place[1][1], Cell(place[1][1]))
            for pin in place[2][1].replace('"', "").split(","):
                if key == "direction":
                    cell.ways[pin.strip()] = value
                elif key == "function":
                    cell.functions[pin.strip()] = value
                elif key == "clock" and value == "true":
                    cell.clocks.add(pin.strip())
                elif key == "capacitance":
                    cell.loads[pin.strip()] = _number(value, path)
        elif groups == ["library"]:
            about[key] = value
    buffers = sorted((cell for cell in cells.values() if cell.is_buffer), key=lambda c: c.area)
    if not buffers:
        raise DnaError(f"{path} is no Liberty file of a library with buffers")
    strongest = [c for c in buffers if c.area <= _BUFFER_STRENGTH * buffers[0].area][-1]
    return Library(path.name, _corner(about, path), _WIRES.sub("", text), cells, strongest)


def _corner(about: dict[str, str], path: Path) -> str:
    try:
        conditions = about.get("default_operating_conditions", "nominal")
        return (
            f"{conditions}: process {float(about['nom_process']):g}, "
            f"{float(about['nom_voltage']):g} V, {float(about['nom_temperature']):g} C"
        )
    except (KeyError, ValueError) as error:
        raise DnaError(
            f"{path} does not say its corner (nom_process, nom_voltage, nom_temperature)"
        ) from error


def _number(value: str, path: Path) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise DnaError(f"{path} has {value!r} where a number belongs") from error


def _statements(text: str) -> Iterator[tuple[list[tuple[str, str]], str, str]]:
    """Group, name and so on of where an attribute stands, the attribute and its value."""
    place: list[tuple[str, str]] = []
    for word in _WORD.finditer(text):
        if word["group"]:
            place.append((word["group"], word["name"].strip()))
        elif word["open"]:
            place.append(("", ""))
        elif word["close"]:
            if place:
                place.pop()
        elif word["key"] and len(place) <= 3:
            yield place, word["key"], word["value"].strip().strip('"').strip()
