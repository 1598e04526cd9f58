"""The clock in a library of standard cells: Yosys and abc map, OpenSTA times, before wires.

Each block is mapped and sized for the corner at which it is timed. Wires have no length, the clock
no skew. Memories are SRAM; what is assumed of them says
:class:`~harness.hardware.timing.cells.memories.Sram`. No path is declared false or to take several
cycles. abc leaves nets of high fan-out as they are: trees of buffers are put in afterwards
(:mod:`harness.hardware.timing.cells.gates`). What there is often of is judged once, and then a cell
with the times at its pins.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.timing import cache
from harness.hardware.timing.cells import memories, sta
from harness.hardware.timing.cells.gates import Gates, plain
from harness.hardware.timing.cells.liberty import Library
from harness.hardware.timing.cells.memories import Box, Sram
from harness.hardware.timing.netlist.blocks import Pins, block_of, by_block
from harness.hardware.timing.netlist.borders import Borders
from harness.hardware.timing.netlist.design import MACHINE, Design
from harness.hardware.timing.netlist.graph import Names, without_bit
from harness.hardware.timing.result import BlockTiming, TimedPath, with_inner
from harness.hardware.verilog import TOP
from sim import yosys

PATHS = 40
"""Paths that are kept of each block."""
OFTEN = 32
"""What multiplies and is there so often is judged once, unless logic leads through it."""
ENDS = 1000
"""Ends of paths that OpenSTA reports, the worst first."""
_RECIPE = "2"
"""Another one when the same netlist is timed otherwise."""

# Sums in Kogge-Stone adders, products in Booth's multipliers: the quickest that Yosys has.
_SYNTHESIS = """read_liberty -lib -ignore_miss_func cells.lib
read_verilog -lib boxes.v
read_rtlil design.il
hierarchy -check -top \\{top}
proc
flatten
opt_expr
opt_clean
opt -nodffe -nosdff
wreduce
peepopt
opt_clean
booth
alumacc
share
opt
memory -nomap
opt_clean
techmap -map memory.v
opt -fast
memory_map
opt -undriven -fine
techmap -map +/techmap.v -map +/choices/kogge-stone.v
opt -fast
dfflibmap -liberty cells.lib
opt -fast
abc -liberty cells.lib -constr constraints -D {picoseconds} -script +{mapping}
opt_clean
select -module {top}
write_json -selected netlist.json
"""

# For speed. Yosys' own script begins with passes that save area (dc2): they make chains of the
# trees of adders and products, and a third of the clock is lost.
_MAPPING = "strash;dch;map,-B,0.9,{D};topo;buffer,-c;upsize,{D};dnsize,{D}"

_Bits = list[list[str | int]]
"""Names of ports and places in them."""


class Judged(msgspec.Struct, frozen=True):
    """A block, its longest paths, its area by the blocks in it."""

    block: BlockTiming
    paths: list[TimedPath]
    area: dict[str, float]


class _Boxed(msgspec.Struct, frozen=True):
    """What is judged once: the times at its pins, and what is inside of it."""

    box: Box | None = None
    judged: Judged | None = None


class Asic:
    """Judges blocks of one machine in one library.

    Args:
        design: the machine.
        library: the cells.
        sram: what is assumed of memories.
        mhz: the clock that abc sizes for.
        progress: called with what is being done.
    """

    def __init__(
        self,
        design: Design,
        library: Library,
        sram: Sram,
        mhz: float,
        progress: Callable[[str], None],
    ) -> None:
        self._design = design
        self._library = library
        self._sram = sram
        self._mhz = mhz
        self._progress = progress
        self._borders: Borders | None = None
        self._library_digest = cache.digest(library.text)
        self._tool = sta.version()

    def block(self, path: str) -> Judged:
        """The block at ``path``, alone, or the machine.

        Raises:
            DnaError: there is no such block, or Yosys or OpenSTA failed or is not there.
        """

        def make() -> str:
            return msgspec.json.encode(self._time(*self._find(path))).decode()

        return msgspec.json.decode(cache.text(self.key(path), make), type=Judged)

    def key(self, path: str) -> str:
        """Changes with everything that :meth:`block` depends on; itself it takes little time."""
        module, name, closed = self._find(path)
        return self._key("block", module, name, closed)

    def _key(self, kind: str, module: str, name: str, closed: _Bits) -> str:
        stubs = self._design.arrays(OFTEN) - {module}
        return cache.digest(
            "liberty",
            kind,
            _RECIPE,
            yosys.version(),
            self._tool,
            self._script(module),
            memories.TECHMAP,
            repr(self._sram),
            self._library_digest,
            self._design.text(module, frozenset()),
            name,
            json.dumps(closed),
            json.dumps(sorted(stubs & set(self._design.below(module)))),
        )

    def _find(self, path: str) -> tuple[str, str, _Bits]:
        """Module and name of a block, and the bits of its ports where a register stands outside."""
        module = self._design.module_of(path)
        if module == TOP:
            return module, MACHINE, []
        if self._borders is None:
            self._borders = Borders.of(self._design, self._progress)
        closed = self._borders.closed(module, self._design.ports(module))
        return module, path.removeprefix(f"{TOP}."), closed

    def _script(self, module: str) -> str:
        return _SYNTHESIS.format(top=module, picoseconds=round(1e6 / self._mhz), mapping=_MAPPING)

    def _time(self, module: str, name: str, closed: _Bits) -> Judged:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            netlist, gates, stubs = self._map(module, name, closed, folder)
            clock = gates.clock_port()
            self._progress(f"{name}: timing")
            found = [] if clock is None else sta.longest(clock, folder, ENDS)
        outer = self._judged(module, name, netlist, gates, stubs, found)
        inner = [judged for stub in stubs if (judged := self._boxed(stub).judged) is not None]
        block, paths = with_inner(outer.block, outer.paths, [(i.block, i.paths) for i in inner])
        return msgspec.structs.replace(outer, block=block, paths=paths)

    def _map(
        self, module: str, name: str, closed: _Bits, folder: Path
    ) -> tuple[Mapping[str, Any], Gates, frozenset[str]]:
        """Netlist, its gates and what is a box in it; files for OpenSTA are in ``folder``."""
        library = self._library
        stubs, boxes = self._boxes(module)
        for file, content in (
            ("cells.lib", library.text),
            ("boxes.v", memories.DECLARATIONS),
            ("boxes.lib", memories.library(boxes)),
            ("memory.v", memories.TECHMAP),
            ("design.il", self._design.text(module, stubs)),
            ("constraints", f"set_driving_cell {library.buffer.name}\nset_load 10.0\n"),
        ):
            (folder / file).write_text(content)
        self._progress(f"{name}: synthesis")
        yosys.run(self._script(module), folder, lambda step: self._progress(f"{name}: {step}"))
        netlist = json.loads((folder / "netlist.json").read_text())["modules"][module]
        gates = Gates(netlist, library, {kind: box.cell(kind) for kind, box in boxes.items()})
        gates.register_borders(closed)
        gates.buffer()
        (folder / sta.NETLIST).write_text(gates.verilog(sta.MODULE))
        return netlist, gates, stubs

    def _boxes(self, module: str) -> tuple[frozenset[str], dict[str, Box]]:
        """What in a module is judged once: the modules, and all boxes by plain name."""
        stubs = self._design.arrays(OFTEN) - {module}
        while True:
            inside = [stub for stub in self._design.below(module, stubs) if stub in stubs]
            found = {stub: self._boxed(stub).box for stub in inside}
            open_ones = {stub for stub, box in found.items() if box is None}
            if not open_ones:
                break
            stubs -= open_ones
        boxes = {plain(stub): box for stub, box in found.items() if box is not None}
        return frozenset(inside), {**memories.boxes(self._sram), **boxes}

    def _boxed(self, module: str) -> _Boxed:
        """A module as a box, if no logic leads from an input of it to an output."""
        name = module.removeprefix(f"{TOP}.")
        ports = self._design.ports(module)
        closed: _Bits = [[p, i] for p, (_, width) in ports.items() for i in range(width)]

        def make() -> str:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                netlist, gates, stubs = self._map(module, name, closed, folder)
                clock, borders = gates.clock_port(), gates.borders()
                if clock is None or gates.crosses():
                    return msgspec.json.encode(_Boxed()).decode()
                self._progress(f"{name}: timing")
                found = sta.at_pins(clock, folder, {pin: b[2] for pin, b in borders.items()})
                paths = sta.longest(clock, folder, ENDS)
            outside = {pin.partition("/")[0] for pin in borders}
            box = Box(
                "clk", {}, {}, round(sum(gates.area(c) for c in gates.gates if c not in outside), 1)
            )
            for border, (port, place, starts) in borders.items():
                pin = plain(port if ports[port][1] == 1 else f"{port}_{place}")
                (box.setups if starts else box.delays)[pin] = found.get(border, 0.0)
            inside = [p for p in paths if p.start not in outside and p.end not in outside]
            judged = self._judged(module, name, netlist, gates, stubs, inside)
            return msgspec.json.encode(_Boxed(box, judged)).decode()

        kept = cache.text(self._key("box", module, name, closed), make)
        return msgspec.json.decode(kept, type=_Boxed)

    def _judged(
        self,
        module: str,
        name: str,
        netlist: Mapping[str, Any],
        gates: Gates,
        stubs: frozenset[str],
        found: list[sta.StaPath],
    ) -> Judged:
        prefix = "" if module == TOP else f"{name}."
        names = Names(netlist, self._design.registers(module, stubs))
        blocks = {path for path, _ in self._design.paths(module, stubs)}
        told = _Told(gates, names, prefix, {plain(stub) for stub in stubs})
        worst: dict[tuple[str, str], TimedPath] = {}
        for path in found:
            start, end = told.register(path.start), told.register(path.end)
            key = (without_bit(start), without_bit(end))
            if key in worst:
                known = worst[key]
                worst[key] = msgspec.structs.replace(known, endpoints=known.endpoints + 1)
                continue
            through = dict.fromkeys(told.named(path.stages))
            worst[key] = TimedPath(
                of=name,
                block=(prefix + block_of(end.removeprefix(prefix), blocks)).rstrip(".") or name,
                start=start,
                end=end,
                levels=float(sum(1 for cell, _ in path.stages if not gates.is_clocked(cell))),
                ns=path.ns,
                through=tuple(signal for signal in through if signal not in key),
            )
        paths = sorted(worst.values(), key=lambda path: -(path.ns or 0.0))
        ns = paths[0].ns if paths else None
        area = _area(gates, names, blocks)
        return Judged(
            block=BlockTiming(
                name=name,
                levels=paths[0].levels if paths else None,
                ns=ns,
                fmax_mhz=None if not ns else round(1e3 / ns, 2),
                over=sum(1 for path in found if path.ns > 1e3 / self._mhz),
                area={"cells": round(sum(map(gates.area, gates.gates)), 1)},
            ),
            paths=paths[:PATHS],
            area={
                f"{prefix}{block}" if block else name: round(of, 1) for block, of in area.items()
            },
        )


class _Told:
    """What cells of the netlist are called in the sources."""

    def __init__(self, gates: Gates, names: Names, prefix: str, stubs: set[str]) -> None:
        self._gates = gates
        self._stubs = stubs
        self._names = names
        self._prefix = prefix

    def register(self, cell: str) -> str:
        """A register by the signal that it holds, a memory by its name."""
        if cell in self._gates.ports:
            return "a port"
        source = self._gates.sources[cell]
        if self._gates.gates[cell].kind in self._stubs:
            return f"{self._prefix}{source}"
        for pin, bit in self._gates.gates[cell].pins.items():
            if isinstance(bit, int) and self._gates.direction(cell, pin) == "output":
                if cell.startswith("b"):
                    break
                if name := self._names.of(bit):
                    return f"{self._prefix}{name}"
        return f"{self._prefix}{source.removeprefix('$flatten').replace(chr(92), '')}"

    def named(self, stages: list[tuple[str, str]]) -> list[str]:
        """The named signals on a path."""
        found = []
        for cell, pin in stages[1:-1]:
            bit = self._gates.gates[cell].pins.get(pin) if cell in self._gates.gates else None
            if isinstance(bit, int) and (name := self._names.of(bit)):
                found.append(f"{self._prefix}{without_bit(name)}")
        return found


def _area(gates: Gates, names: Names, paths: set[str]) -> dict[str, float]:
    """Area by block, two steps deep."""
    cells = {}
    for cell, gate in gates.gates.items():
        ways: dict[str, list[int]] = {"input": [], "output": []}
        for pin, bit in gate.pins.items():
            if isinstance(bit, int):
                ways[gates.direction(cell, pin)].append(bit)
        cells[cell] = Pins(ways["input"], ways["output"])
    areas: dict[str, float] = defaultdict(float)
    for cell, block in by_block(cells, names, paths).items():
        areas[block] += gates.area(cell)
    return dict(areas)
