"""Registers that only hand on what another one holds, as kinds of their own.

The staggered entries and exits of the arrays are chains of such registers: 12,000 in f200. They are
no modules, so they are looked for in the flat design.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator

from sim.rtl.fast.lane_code import Lane, translate
from sim.rtl.fast.lane_kinds import MIN_INSTANCES, Kind
from sim.rtl.fast.lane_wires import WORD
from sim.rtl.fast.netlist import Cell, Netlist, Wire, parse

_FLIPFLOP = "$dff"
_NAME = re.compile(r"[\\$][^\s{}]+")
_WHOLE = re.compile(r"[\\$][^\s{}]+")
_BITS_OF_ONE = re.compile(r"[\\$][^\s{}]+(?: \[\d+(?::\d+)?\])?")
_CELL = re.compile(r"^  cell \$dff (\S+)\n(?:    .*\n)*  end\n", re.MULTILINE)
_MEMORY = re.compile(r"^  memory .*\n", re.MULTILINE)


def with_delays(text: str, kinds: Collection[Kind]) -> tuple[str, list[Kind]]:
    """The flat design with such registers as instances, and all kinds of instances then.

    A register is taken if it starts with zeros, takes bits of one wire as they are, and is read
    only as a whole and by instances and such registers: what else reads a register of a loop must
    be told its value in each cycle.

    Args:
        text: RTLIL of the flat design, a module without processes, and what is left of ``kinds``.
        kinds: the instances in it.
    """
    top, end, rest = text.partition("\nend\n")
    netlist = parse(_MEMORY.sub("", top[top.index("\nmodule ") :].split("\n", 2)[2]))
    plain = {cell.name: cell for cell in netlist.cells if _hands_on(cell, netlist)}
    modules = {kind.module for kind in kinds}
    read = set(_read(netlist, {*modules, *plain}))
    widths = {
        name: netlist.wires[cell.ports["\\Q"]].width
        for name, cell in plain.items()
        if cell.ports["\\Q"] not in read
    }
    worth = {width for width, count in Counter(widths.values()).items() if count >= MIN_INSTANCES}

    def instance(found: re.Match[str]) -> str:
        name = found[1]
        if widths.get(name) not in worth:
            return found[0]
        ports = plain[name].ports
        register = ports["\\Q"]
        connections = "".join(f"    connect {port} {seen}\n" for port, seen in ports.items())
        return f"  cell {_module(widths[name])} {register}\n{connections}  end\n"

    delays = [Kind(_module(width), _lane(width)) for width in sorted(worth)]
    return _CELL.sub(instance, top + "\n") + end[1:] + rest, [*kinds, *delays]


def _hands_on(cell: Cell, netlist: Netlist) -> bool:
    if cell.kind != _FLIPFLOP or cell.ports["\\CLK"] != "\\clk":
        return False
    wire = netlist.wires.get(cell.ports["\\Q"])
    return (
        wire is not None
        and not wire.init
        and not wire.direction
        and wire.width <= WORD
        and cell.parameters["\\CLK_POLARITY"][-1] == "1"
        and _BITS_OF_ONE.fullmatch(cell.ports["\\D"]) is not None
    )


def _read(netlist: Netlist, lanes: Collection[str]) -> Iterator[str]:
    """The wires that something else reads than instances and cells that are named in ``lanes``.

    Those are among them of which an instance or such a cell reads a part.
    """
    for cell in netlist.cells:
        inside = cell.kind in lanes or cell.name in lanes
        for signal in cell.ports.values():
            if not (inside and _WHOLE.fullmatch(signal)):
                yield from _NAME.findall(signal)
    for sides in netlist.connections:
        for signal in sides:
            yield from _NAME.findall(signal)


def _module(width: int) -> str:
    return f"\\delay_{width}"


def _lane(width: int) -> Lane:
    """One register."""
    wires = {"\\CLK": (1, "input"), "\\D": (width, "input"), "\\Q": (width, "output")}
    register = Cell(
        _FLIPFLOP,
        "\\register",
        {"\\CLK_POLARITY": "1"},
        {name: name for name in wires},
    )
    ports = {name: Wire(bits, direction, 0) for name, (bits, direction) in wires.items()}
    return translate(Netlist(ports, [register], []))
