"""Names of ports that a change elsewhere in the machine leaves alone.

What has no name in the sources and crosses a border is called ``port$N$M`` by Amaranth, and N
counts through the whole machine: one signal more anywhere would make every block another one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from harness.hardware.verilog import HardwareModule

_NAME = re.compile(r"\\port\$(\d+)\$")
_CELL = re.compile(r"^  cell \\(\S+) ")
_CONNECT = re.compile(r"^    connect \\port\$(\d+)\$")


def numbered_by_module(modules: Mapping[str, HardwareModule]) -> dict[str, HardwareModule]:
    """The modules with those names numbered from 0 in each, in the order in which they come."""
    numbers = {name: _own(module) for name, module in modules.items()}
    return {
        name: dataclasses.replace(module, rtlil=_renamed(module.rtlil, numbers[name], numbers))
        for name, module in modules.items()
    }


def _own(module: HardwareModule) -> dict[str, int]:
    """Of each number in a module's own names: the new one."""
    found: dict[str, int] = {}
    for line in module.rtlil.splitlines():
        pin = _CONNECT.match(line)
        for name in _NAME.finditer(line, pin.end() if pin else 0):
            found.setdefault(name[1], len(found))
    return found


def _renamed(rtlil: str, own: Mapping[str, int], numbers: Mapping[str, Mapping[str, int]]) -> str:
    lines = []
    inner: Mapping[str, int] = {}
    for line in rtlil.splitlines(keepends=True):
        if cell := _CELL.match(line):
            inner = numbers.get(cell[1], {})
        pin = _CONNECT.match(line)
        start = pin.end() if pin else 0
        lines.append(_with(inner, line[:start]) + _with(own, line[start:]))
    return "".join(lines)


def _with(numbers: Mapping[str, int], text: str) -> str:
    return _NAME.sub(lambda name: f"\\port${numbers[name[1]]}$", text)
