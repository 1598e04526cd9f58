"""The clock in a library of standard cells: Yosys and abc map, OpenSTA times, before wires.

Each block is mapped and sized for the corner at which it is timed. Wires have no length, the clock
no skew. Memories are SRAM, of which :class:`~harness.hardware.timing.memories.Sram` says what is
assumed. No path is declared false or to take several cycles. abc leaves nets of high fan-out as
they are: trees of buffers are put in afterwards (:mod:`harness.hardware.timing.gates`). What there
is often of is judged once, and then a cell with the times at its pins.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.timing import cache, memories, sta
from harness.hardware.timing.blocks import Pins, block_of, by_block
from harness.hardware.timing.borders import Borders
from harness.hardware.timing.design import MACHINE, Design
from harness.hardware.timing.gates import Gates
from harness.hardware.timing.graph import Names, without_bit
from harness.hardware.timing.liberty import Library
from harness.hardware.timing.memories import Sram
from harness.hardware.timing.result import BlockTiming, TimedPath
from harness.hardware.verilog import TOP
from sim import yosys

PATHS = 40
"""Paths that are kept of each block."""
ENDS = 1000
"""Ends of paths that OpenSTA reports, the worst first."""
_RECIPE = "1"
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
abc -liberty cells.lib -constr constraints -D {picoseconds}
opt_clean
select -module {top}
write_json -selected netlist.json
"""


class Judged(msgspec.Struct, frozen=True):
    """A block, its longest paths, its area by the blocks in it."""

    block: BlockTiming
    paths: list[TimedPath]
    area: dict[str, float]


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
        return cache.digest(
            "liberty",
            _RECIPE,
            yosys.version(),
            sta.version(),
            self._script(module),
            memories.TECHMAP,
            repr(self._sram),
            self._library_digest,
            self._design.text(module),
            name,
            json.dumps(closed),
        )

    def _find(self, path: str) -> tuple[str, str, list[list[str | int]]]:
        """Module and name of a block, and the bits of its ports where a register stands outside."""
        module = self._design.module_of(path)
        if module == TOP:
            return module, MACHINE, []
        if self._borders is None:
            self._borders = Borders.of(self._design, self._progress)
        closed = self._borders.closed(module, self._design.ports(module))
        return module, path.removeprefix(f"{TOP}."), closed

    def _script(self, module: str) -> str:
        return _SYNTHESIS.format(top=module, picoseconds=round(1e6 / self._mhz))

    def _time(self, module: str, name: str, closed: list[list[str | int]]) -> Judged:
        library = self._library
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for file, content in (
                ("cells.lib", library.text),
                ("boxes.v", memories.DECLARATIONS),
                ("boxes.lib", memories.library(memories.boxes(self._sram))),
                ("memory.v", memories.TECHMAP),
                ("design.il", self._design.text(module)),
                ("constraints", f"set_driving_cell {library.buffer.name}\nset_load 10.0\n"),
            ):
                (folder / file).write_text(content)
            self._progress(f"{name}: synthesis")
            yosys.run(self._script(module), folder, lambda step: self._progress(f"{name}: {step}"))
            netlist = json.loads((folder / "netlist.json").read_text())["modules"][module]
            others = {kind: box.cell(kind) for kind, box in memories.boxes(self._sram).items()}
            gates = Gates(netlist, library, others)
            gates.register_borders(closed)
            gates.buffer()
            (folder / "netlist.v").write_text(gates.verilog("block"))
            clock = gates.clock_port()
            self._progress(f"{name}: timing")
            found = (
                []
                if clock is None
                else sta.longest(
                    [Path("cells.lib"), Path("boxes.lib")],
                    Path("netlist.v"),
                    "block",
                    clock,
                    folder,
                    ENDS,
                )
            )
        return self._judged(module, name, netlist, gates, found)

    def _judged(
        self,
        module: str,
        name: str,
        netlist: Mapping[str, Any],
        gates: Gates,
        found: list[sta.StaPath],
    ) -> Judged:
        prefix = "" if module == TOP else f"{name}."
        names = Names(netlist, self._design.registers(module))
        blocks = {path for path, _ in self._design.paths(module)}
        told = _Told(gates, names, prefix)
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
                block=prefix + block_of(end.removeprefix(prefix), blocks) or name,
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

    def __init__(self, gates: Gates, names: Names, prefix: str) -> None:
        self._gates = gates
        self._names = names
        self._prefix = prefix

    def register(self, cell: str) -> str:
        """A register by the signal that it holds, a memory by its name."""
        if cell in self._gates.ports:
            return "a port"
        source = self._gates.sources[cell]
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
