"""Which bits of a block's border a register drives, or takes as they are.

A path that crosses the border is all inside the block only where that is so. What stands on the
other side is looked for through the whole machine, in all places where the block stands.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.hardware.timing import cache
from harness.hardware.timing.netlist.design import Design
from harness.hardware.verilog import TOP
from sim import yosys

# Enables and resets of registers as the hardware has them, and no logic that nothing reads.
_SCRIPT = """read_rtlil design.il
hierarchy -top \\dna
proc
opt_expr
opt_clean
opt_dff
opt_clean
write_json design.json
"""

_REGISTER = ("$dff", "$dffe", "$sdff", "$sdffe", "$sdffce", "$adff", "$adffe")
_CLOCKS = ("CLK", "RD_CLK", "WR_CLK")
_Bit = tuple[str, str, int]
"""Module, port, place."""


class Borders:
    """What stands at the ports of all modules of a machine.

    Args:
        modules: of Yosys' JSON: logic still in words, the modules as they were written.
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._modules = modules
        self._known: dict[tuple[str, _Bit], bool] = {}

    @classmethod
    def of(cls, design: Design, progress: Callable[[str], None]) -> Borders:
        """Those of ``design``, which takes Yosys some seconds."""
        text = design.text(TOP)

        def make() -> str:
            progress("what stands at the borders of blocks")
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                (folder / "design.il").write_text(text)
                yosys.run(_SCRIPT, folder)
                whole = json.loads((folder / "design.json").read_text())
            kept = {
                name: {
                    "ports": module["ports"],
                    "cells": [
                        [cell["type"], _clocked(cell), cell["port_directions"], cell["connections"]]
                        for cell in module["cells"].values()
                    ],
                }
                for name, module in whole["modules"].items()
            }
            return json.dumps(kept)

        return cls(
            json.loads(cache.text(cache.digest("borders", yosys.version(), _SCRIPT, text), make))
        )

    def closed(self, module: str, ports: Mapping[str, tuple[str, int]]) -> list[list[str | int]]:
        """Name and place of the bits of a module's ports where a register stands outside."""
        return [
            [port, place]
            for port, (way, width) in ports.items()
            for place in range(width)
            if (self.driven_by_register if way == "input" else self.taken_by_register)(
                module, port, place
            )
        ]

    def driven_by_register(self, module: str, port: str, place: int) -> bool:
        """Whether a register (or a constant) drives that bit of an input wherever ``module`` is."""
        return self._memo("above", (module, port, place), self._from_above)

    def taken_by_register(self, module: str, port: str, place: int) -> bool:
        """Whether only registers take that bit of an output, wherever ``module`` is."""
        return self._memo("out", (module, port, place), self._to_above)

    def _memo(self, kind: str, bit: _Bit, find: Callable[..., bool]) -> bool:
        key = (kind, bit)
        if key not in self._known:
            self._known[key] = True  # a loop through borders adds nothing of its own
            self._known[key] = find(*bit)
        return self._known[key]

    def _from_above(self, module: str, port: str, place: int) -> bool:
        if not self._sites[module]:
            return False  # the machine's own port
        return all(
            self._source(outer, connections[port][place])
            for outer, connections in self._sites[module]
            if port in connections
        )

    def _source(self, module: str, bit: int | str) -> bool:
        """Whether a register drives a net."""
        if isinstance(bit, str):
            return True
        kind, name, place = self._drivers[module].get(bit, ("nothing", "", 0))
        if kind == "input":
            return self.driven_by_register(module, name, place)
        if kind in self._modules:
            return self._memo("inside", (kind, name, place), self._from_inside)
        return kind == "register"

    def _from_inside(self, module: str, port: str, place: int) -> bool:
        return self._source(module, self._modules[module]["ports"][port]["bits"][place])

    def _to_above(self, module: str, port: str, place: int) -> bool:
        if not self._sites[module]:
            return False
        return all(
            self._sinks(outer, connections[port][place])
            for outer, connections in self._sites[module]
            if port in connections
        )

    def _sinks(self, module: str, bit: int | str) -> bool:
        """Whether registers alone take a net."""
        if isinstance(bit, str):
            return True
        for kind, name, place in self._readers[module].get(bit, ()):
            if kind == "output":
                if not self.taken_by_register(module, name, place):
                    return False
            elif kind in self._modules:
                if not self._memo("in", (kind, name, place), self._to_inside):
                    return False
            elif kind != "register":
                return False
        return True

    def _to_inside(self, module: str, port: str, place: int) -> bool:
        return self._sinks(module, self._modules[module]["ports"][port]["bits"][place])

    @cached_property
    def _sites(self) -> dict[str, list[tuple[str, Mapping[str, list[int | str]]]]]:
        sites: dict[str, list[tuple[str, Mapping[str, list[int | str]]]]] = defaultdict(list)
        for name, module in self._modules.items():
            for kind, _, _, connections in module["cells"]:
                if kind in self._modules:
                    sites[kind].append((name, connections))
        return sites

    @cached_property
    def _drivers(self) -> dict[str, dict[int, tuple[str, str, int]]]:
        return {
            name: self._ends(module, "input", "output") for name, module in self._modules.items()
        }

    def _ends(
        self, module: Mapping[str, Any], port_way: str, pin_way: str
    ) -> dict[int, tuple[str, str, int]]:
        found: dict[int, tuple[str, str, int]] = {}
        for name, port in module["ports"].items():
            if port["direction"] == port_way:
                for place, bit in enumerate(port["bits"]):
                    found[bit] = (port_way, name, place)
        for kind, clocked, ways, connections in module["cells"]:
            for pin, bits in connections.items():
                if ways[pin] == pin_way:
                    for place, bit in enumerate(bits):
                        inner = (
                            kind if kind in self._modules else "register" if clocked else "logic"
                        )
                        found[bit] = (inner, pin, place)
        return found

    @cached_property
    def _readers(self) -> dict[str, dict[int, list[tuple[str, str, int]]]]:
        readers: dict[str, dict[int, list[tuple[str, str, int]]]] = {}
        for name, module in self._modules.items():
            of = readers[name] = defaultdict(list)
            for port_name, port in module["ports"].items():
                if port["direction"] == "output":
                    for place, bit in enumerate(port["bits"]):
                        of[bit].append(("output", port_name, place))
            for kind, clocked, ways, connections in module["cells"]:
                for pin, bits in connections.items():
                    if ways[pin] == "input" and pin not in _CLOCKS:
                        inner = (
                            kind if kind in self._modules else "register" if clocked else "logic"
                        )
                        for place, bit in enumerate(bits):
                            of[bit].append((inner, pin, place))
        return readers


def _clocked(cell: Mapping[str, Any]) -> bool:
    """Whether all of a cell's inputs and outputs are those of registers."""
    kind, parameters = cell["type"], cell["parameters"]
    if kind in _REGISTER or kind == "$memwr_v2":
        return True
    return kind == "$memrd_v2" and int(parameters["CLK_ENABLE"], 2) == 1
