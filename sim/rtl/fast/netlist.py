"""Reads the RTLIL that Yosys writes: modules, and what is in them if they have no processes."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

from sim.yosys import unexpected

MODULE = re.compile(r"^module (\S+)\n(.*?)^end$", re.MULTILINE | re.DOTALL)
"""A module: its name and its text."""

_CHUNK = re.compile(r"([\\$][^\s{}]+)(?: \[(\d+)(?::(\d+))?\])?|(\d+)'([01xzm-]+)|(-?\d+)")
_INTEGER = 32  # the width of a constant that is written as a number
_SIGNAL = re.compile(rf"(?:{_CHUNK.pattern}|[{{}}\s])*")


class UnsupportedError(Exception):
    """The module is not simple enough; whoever asks leaves it as it is."""


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Bits ``low`` to ``low + width`` of a wire, or a constant, whose ``wire`` is empty."""

    wire: str
    low: int
    width: int
    value: int = 0

    def __str__(self) -> str:
        if self.wire:
            return f"{self.wire} [{self.low + self.width - 1}:{self.low}]"
        return f"{self.width}'{self.value:0{self.width}b}"


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """A cell: type, name, parameters, and what its ports are connected to, as text.

    It equals only itself, so that it can be a key.
    """

    kind: str
    name: str
    parameters: dict[str, str] = dataclasses.field(default_factory=dict)
    ports: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Wire:
    """A wire; ``direction`` is that of a port, or empty."""

    width: int
    direction: str
    init: int


@dataclasses.dataclass(frozen=True)
class Netlist:
    """A module without processes."""

    wires: dict[str, Wire]
    cells: list[Cell]
    connections: list[tuple[str, str]]

    def chunks(self, signal: str) -> list[Chunk]:
        """What a signal is put together from, least significant first.

        Raises:
            UnsupportedError: a bit of it is undefined.
            DnaError: it is no signal.
        """
        return list(self._chunks(signal))[::-1]

    def _chunks(self, signal: str) -> Iterator[Chunk]:
        if not _SIGNAL.fullmatch(signal):
            raise unexpected(f"the signal {signal!r}")
        for name, high, low, width, bits, number in _CHUNK.findall(signal):
            if set(bits) - {"0", "1"}:
                raise UnsupportedError(f"a constant like {bits}")
            if number:
                yield Chunk("", 0, _INTEGER, int(number) % (1 << _INTEGER))
            elif bits:
                yield Chunk("", 0, int(width), int(bits, 2))
            elif name not in self.wires:
                raise unexpected(f"{name}, which is no wire of the module")
            elif high:
                bottom = int(low or high)
                yield Chunk(name, bottom, int(high) - bottom + 1)
            else:
                yield Chunk(name, 0, self.wires[name].width)


def cut(chunks: Sequence[Chunk], low: int, width: int) -> list[Chunk]:
    """``width`` bits from bit ``low`` on of what ``chunks`` are together, the first one lowest."""
    found, position = [], 0
    for chunk in chunks:
        first = max(low - position, 0)
        last = min(low + width - position, chunk.width)
        if first < last:
            bits = last - first
            value = chunk.value >> first & ((1 << bits) - 1)
            found.append(Chunk(chunk.wire, chunk.low + first if chunk.wire else 0, bits, value))
        position += chunk.width
    return found


def parse(text: str) -> Netlist:
    """The netlist in the text between ``module`` and ``end``.

    Raises:
        UnsupportedError: there are processes or memories in it.
        DnaError: a line of it is none that Yosys is known to write.
    """
    wires: dict[str, Wire] = {}
    cells: list[Cell] = []
    connections: list[tuple[str, str]] = []
    init, cell = 0, None
    for line in text.split("\n"):
        words = line.split()
        match words[:1]:
            case ["attribute"] if words[1] == "\\init":
                _, quote, bits = words[2].partition("'")
                init = int(bits.replace("x", "0"), 2) if quote else int(words[2])
            case ["wire"]:
                width = int(words[words.index("width") + 1]) if "width" in words else 1
                ways = {"input", "output", "inout"} & set(words)
                wires[words[-1]] = Wire(width, "".join(ways), init)
                init = 0
            case ["cell"]:
                cell = Cell(words[1], words[2])
                cells.append(cell)
            case ["parameter"] if cell is not None:
                cell.parameters[words[-2]] = words[-1]
            case ["connect"] if cell is not None:
                port, signal = line.split(None, 2)[1:]
                cell.ports[port] = signal
            case ["connect"]:
                connections.append(_sides(line))
            case ["end"]:
                cell = None
            case ["process" | "memory"]:
                raise UnsupportedError(words[0])
            case [] | ["attribute"] | ["parameter"]:
                pass
            case _:
                raise unexpected(f"the line {line!r}")
    return Netlist(wires, cells, connections)


def _sides(line: str) -> tuple[str, str]:
    """Left and right of a connection between signals."""
    rest = line.strip().removeprefix("connect ")
    if rest.startswith("{"):
        end = rest.index("}") + 1
    else:
        found = _CHUNK.match(rest)
        if found is None:
            raise unexpected(f"the line {line!r}")
        end = found.end()
    return rest[:end].strip(), rest[end:].strip()
