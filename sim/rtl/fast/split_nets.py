"""Cuts the nets of flat RTLIL where their drivers meet, for CXXRTL's sake.

CXXRTL orders a design by whole nets. Where one bit of a net depends on another bit of the same net,
by itself or round a corner (an alias of a payload, say), it finds a loop that is none and evaluates
everything twice. A net of its own for each driver leaves no such loops.

Yosys has `splitnets -driver` for this; the Yosys that comes with Amaranth does not.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

_CHUNK = re.compile(r"[\\$][^\s{}]+(?: \[\d+(?::\d+)?\])?|\d+'[01xzm-]+|-?\d+")
_OUTPUTS = frozenset({"\\Y", "\\Q", "\\RD_DATA"})


class _Bits(NamedTuple):
    """Part of a net, or a constant if there is no width."""

    name: str
    low: int = 0
    width: int = 0


def split_nets(text: str) -> str:
    """The same design with a net for each driver.

    Nets whose drivers are all flip-flops stay whole, and so do ports. A net that is cut keeps its
    name and becomes a mere alias of its parts, which waves show and nothing depends on.

    Args:
        text: RTLIL of one module of Yosys' internal cells, without processes.
    """
    lines = text.split("\n")
    widths, ports = _nets(lines)
    cuts = {
        name: _cut(drivers, widths[name])
        for name, drivers in _drivers(lines, widths).items()
        if name not in ports and len(drivers) > 1 and not all(driver.ff for driver in drivers)
    }
    result: list[str] = []
    for line, owner in _owners(lines):
        words = line.split()
        if words[:1] == ["wire"] and words[-1] in cuts:
            init = _take_init(result)
            result.append(line)
            for part in cuts[words[-1]]:
                if init:
                    top = len(init) - part.low
                    bits = init[top - part.width : top]
                    result.append(f"  attribute \\init {part.width}'{bits}")
                result.append(f"  wire width {part.width} {_part(words[-1], part)}")
        elif words[:1] == ["connect"]:
            if owner is None:
                left, right = _sides(line)
                line = f"  connect {_join(left, widths, cuts)} {_join(right, widths, cuts)}"
            else:
                port, signal = line.split(None, 2)[1:]
                line = f"    connect {port} {_join(signal, widths, cuts)}"
            result.append(line)
        elif line == "end":
            for name in cuts:
                result.append(f"  connect {name} {_join(name, widths, cuts)}")
            result.append(line)
        else:
            result.append(line)
    return "\n".join(result)


def _take_init(lines: list[str]) -> str:
    """Remove the initial value from the attributes at the end of ``lines``; returns its bits."""
    for index in range(len(lines) - 1, -1, -1):
        words = lines[index].split()
        if words[:1] != ["attribute"]:
            break
        if words[1] == "\\init":
            del lines[index]
            _, quote, bits = words[2].partition("'")
            return bits if quote else f"{int(words[2]):032b}"  # 32 bits may be a decimal number
    return ""


class _Driver(NamedTuple):
    low: int
    width: int
    ff: bool


def _owners(lines: list[str]) -> Iterator[tuple[str, str | None]]:
    """Every line, with the type of the cell that it belongs to."""
    cell = None
    for line in lines:
        words = line.split(None, 2)
        if words[:1] == ["cell"]:
            cell = words[1]
        yield line, cell
        if line == "  end":
            cell = None


def _nets(lines: list[str]) -> tuple[dict[str, int], set[str]]:
    """Width of every net, and which are ports."""
    widths, ports = {}, set()
    for line in lines:
        words = line.split()
        if words[:1] == ["wire"]:
            widths[words[-1]] = int(words[words.index("width") + 1]) if "width" in words else 1
            if {"input", "output", "inout"} & set(words):
                ports.add(words[-1])
    return widths, ports


def _drivers(lines: list[str], widths: dict[str, int]) -> dict[str, list[_Driver]]:
    """What drives the bits of every net, lowest bit first."""
    drivers = defaultdict(list)
    for line, owner in _owners(lines):
        words = line.split(None, 2)
        if words[:1] != ["connect"]:
            continue
        if owner is None:
            driven = _sides(line)[0]
        elif words[1] in _OUTPUTS:
            driven = words[2]
        else:
            continue
        for bits in _chunks(driven, widths):
            if bits.width:
                ff = owner is not None and "dff" in owner
                drivers[bits.name].append(_Driver(bits.low, bits.width, ff))
    return {name: sorted(found) for name, found in drivers.items()}


def _cut(drivers: list[_Driver], width: int) -> list[_Bits]:
    """The parts of a net: what each driver drives, and what nobody does; lowest first."""
    parts, position = [], 0
    for low, size, _ in [*drivers, _Driver(width, 0, False)]:
        if low > position:
            parts.append(_Bits("", position, low - position))
        if size:
            parts.append(_Bits("", low, size))
        position = low + size
    return parts


def _chunks(signal: str, widths: dict[str, int]) -> Iterator[_Bits]:
    """What a signal is put together from, most significant first."""
    for chunk in _CHUNK.findall(signal):
        name, _, selection = chunk.partition(" ")
        if name not in widths:
            yield _Bits(chunk)
        elif selection:
            high, _, low = selection[1:-1].partition(":")
            low = low or high
            yield _Bits(name, int(low), int(high) - int(low) + 1)
        else:
            yield _Bits(name, 0, widths[name])


def _part(name: str, part: _Bits) -> str:
    """Name of the net that a part becomes. No name that Amaranth or Yosys make has a tilde."""
    return f"{name}~{part.low}"


def _join(signal: str, widths: dict[str, int], cuts: dict[str, list[_Bits]]) -> str:
    """A signal in terms of the parts."""
    result = []
    for bits in _chunks(signal, widths):
        if not bits.width:
            result.append(bits.name)
        elif bits.name not in cuts:
            result.append(_select(bits.name, bits.low, bits.width, widths[bits.name]))
        else:
            for part in reversed(cuts[bits.name]):
                low = max(bits.low, part.low)
                size = min(bits.low + bits.width, part.low + part.width) - low
                if size > 0:
                    name = _part(bits.name, part)
                    result.append(_select(name, low - part.low, size, part.width))
    return result[0] if len(result) == 1 else f"{{ {' '.join(result)} }}"


def _select(name: str, low: int, width: int, whole: int) -> str:
    if width == whole:
        return name
    return f"{name} [{low + width - 1}:{low}]"


def _sides(line: str) -> tuple[str, str]:
    """Both signals of a connection in a module."""
    rest = line.strip().removeprefix("connect ")
    if rest.startswith("{"):
        end = rest.index("}") + 1
    else:
        match = _CHUNK.match(rest)
        assert match is not None, line
        end = match.end()
    return rest[:end], rest[end:].strip()
