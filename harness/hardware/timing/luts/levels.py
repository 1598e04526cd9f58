"""Levels of 6-input LUTs between registers: the quick proof, of a block or of the machine.

Each is synthesised flat for UltraScale+ and its longest paths are counted by what
:mod:`harness.hardware.timing.luts.xilinx` says of cells. No path is declared false or to take
several cycles. A block's border counts as a register where one stands there in the machine
(:mod:`harness.hardware.timing.netlist.borders`); what crosses it elsewhere is open, and only its
part inside is counted. What there is often of (the arrays' elements, the lanes) is judged once, and
then a black box with the levels to and from its ports (:class:`Ports`).
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.timing import cache
from harness.hardware.timing.luts import xilinx
from harness.hardware.timing.netlist.blocks import block_of
from harness.hardware.timing.netlist.borders import Borders
from harness.hardware.timing.netlist.design import MACHINE, Design
from harness.hardware.timing.netlist.graph import Arrivals, CellTiming, Names, Netlist, without_bit
from harness.hardware.timing.result import BlockTiming, TimedPath, with_inner
from harness.hardware.verilog import TOP
from sim import yosys

FAMILY = "xcup"
WANTED = 8.0
"""More levels than these are too many."""
PATHS = 40
"""Paths that are kept of each block."""
OFTEN = 32
"""What multiplies and is there so often is judged once."""

# Without shift registers: Yosys would put a delay line's last register into a LUT, too.
_SYNTHESIS = "synth_xilinx -family {family} -uram -nosrl -flatten -noiopad -noclkbuf -top \\{top}"
# The mapper counts as we do, and wires cost nothing.
_COSTS = "read_verilog -lib -specify -overwrite costs.v\nscratchpad -set synth_xilinx.abc9.W 0"
_WRITE = "select -module {top}\nwrite_json -selected netlist.json\ntee -q -o area.json stat -json\n"
_RECIPE = "1"
"""Another one when the same netlist is counted otherwise: what was kept before is not taken."""


_Bits = list[list[str | int]]
"""Names of ports and places in them."""


class Ports(msgspec.Struct, frozen=True):
    """What a block is in the paths of whatever is around it, by port and place of the bit.

    Attributes:
        into: levels from an input to the registers behind it; None: none is behind it.
        out: levels from the registers in front of an output.
        through: input, output, and the levels between them without a register.
    """

    into: dict[str, list[float | None]]
    out: dict[str, list[float | None]]
    through: list[tuple[str, int, str, int, float]]


class Judged(msgspec.Struct, frozen=True):
    """A block, its longest paths, and what it is to others."""

    block: BlockTiming
    paths: list[TimedPath]
    ports: Ports


class Levels:
    """Judges blocks of one machine.

    Args:
        design: the machine.
        progress: called with what is being done.
    """

    def __init__(self, design: Design, progress: Callable[[str], None]) -> None:
        self._design = design
        self._progress = progress
        self._borders: Borders | None = None

    def block(self, path: str) -> Judged:
        """The block at ``path``, alone.

        :data:`~harness.hardware.timing.netlist.design.MACHINE` is all of it.

        Raises:
            DnaError: there is no such block, or Yosys failed.
        """
        module, name, closed = self._find(path)
        return self._judge(module, name, closed)

    def key(self, path: str) -> str:
        """Changes with everything that :meth:`block` depends on; itself it takes little time."""
        return self._key(*self._find(path))

    def _find(self, path: str) -> tuple[str, str, _Bits]:
        """Module and name of a block, and the bits of its ports where a register stands outside."""
        module = self._design.module_of(path)
        if module == TOP:
            return module, MACHINE, []
        if self._borders is None:
            self._borders = Borders.of(self._design, self._progress)
        closed = self._borders.closed(module, self._design.ports(module))
        return module, path.removeprefix(f"{TOP}."), closed

    def _stubs(self, module: str) -> tuple[frozenset[str], list[str]]:
        """What is judged once, and what of it is in ``module``."""
        stubs = self._design.arrays(OFTEN) - {module}
        return stubs, [stub for stub in self._design.below(module, stubs) if stub in stubs]

    def _key(self, module: str, name: str, closed: _Bits) -> str:
        stubs, inside = self._stubs(module)
        return cache.digest(
            "levels",
            _RECIPE,
            yosys.version(),
            _SYNTHESIS,
            _COSTS,
            xilinx.costs_of_cells(),
            self._design.text(module, stubs),
            name,
            json.dumps(closed),
            *(f"box {self._key(stub, stub.removeprefix(f'{TOP}.'), [])}" for stub in inside),
        )

    def _judge(self, module: str, name: str, closed: _Bits) -> Judged:
        def make() -> str:
            stubs, inside = self._stubs(module)
            inner = {stub: self._judge(stub, stub.removeprefix(f"{TOP}."), []) for stub in inside}
            models = {stub: judged.ports for stub, judged in inner.items()}
            text = self._design.text(module, stubs)
            outer = self._count(module, name, text, stubs, models, closed)
            block, paths = with_inner(
                outer.block, outer.paths, [(one.block, one.paths) for one in inner.values()]
            )
            judged = msgspec.structs.replace(outer, block=block, paths=paths)
            return msgspec.json.encode(judged).decode()

        return msgspec.json.decode(cache.text(self._key(module, name, closed), make), type=Judged)

    def _count(
        self,
        module: str,
        name: str,
        text: str,
        stubs: frozenset[str],
        models: Mapping[str, Ports],
        closed: _Bits,
    ) -> Judged:
        self._progress(f"{name}: synthesis")
        memories = any(self._design.modules[m].memories for m in self._design.below(module, stubs))
        call = _SYNTHESIS.format(family=FAMILY, top=module)
        # Reading the libraries of memories takes as long as all the rest of a small block.
        rest = ["prepare:"] if memories else ["prepare:map_memory", "map_ffram:"]
        steps = [f"{call} -run :prepare", _COSTS, *(f"{call} -run {part}" for part in rest)]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "design.il").write_text(text)
            (folder / "costs.v").write_text(xilinx.costs_of_cells())
            script = "\n".join(["read_rtlil design.il", *steps, _WRITE.format(top=module)])
            yosys.run(script, folder, lambda step: self._progress(f"{name}: {step}"))
            netlist = json.loads((folder / "netlist.json").read_text())["modules"][module]
        self._progress(f"{name}: longest paths")
        return _Count(self._design, module, name, netlist, stubs, models, closed).judged()


class _Count:
    """The paths of a netlist."""

    def __init__(
        self,
        design: Design,
        module: str,
        name: str,
        netlist: Mapping[str, Any],
        stubs: frozenset[str],
        models: Mapping[str, Ports],
        closed: _Bits,
    ) -> None:
        self._prefix = "" if module == TOP else f"{name}."
        self._name = name
        self._models = models
        self._closed = {(str(port), int(place)) for port, place in closed}
        self._netlist = Netlist(netlist, self._model)
        self._names = Names(netlist, design.registers(module, stubs))
        self._blocks = {path for path, _ in design.paths(module, stubs)}

    def _model(self, kind: str, cell: Mapping[str, Any]) -> CellTiming:
        if kind in self._models:
            return _black_box(self._models[kind], cell["connections"])
        return xilinx.timing(kind, cell["parameters"], cell["connections"], cell["port_directions"])

    def judged(self) -> Judged:
        """All that is known of the block."""
        netlist = self._netlist
        inputs = {True: {}, False: {}}  # type: dict[bool, dict[int, float]]
        for port, place, bit in netlist.ports("input"):
            inputs[(port, place) in self._closed][bit] = 0.0
        inside = netlist.arrivals(inputs[True])
        entering = netlist.arrivals(inputs[False], registers=False)
        paths = _Paths(self._path)
        ends = Counter[float]()
        for bit, cost, cell, pin in self._ends():
            if (levels := inside.cost(bit)) is not None:
                paths.add(bit, levels + cost, cell, pin, inside, is_open=False)
                ends[levels + cost] += 1
            if (levels := entering.cost(bit)) is not None:
                paths.add(bit, levels + cost, cell, pin, entering, is_open=True)
        for port, place, bit in netlist.ports("output"):
            if (port, place) not in self._closed and (levels := inside.cost(bit)) is not None:
                paths.add(bit, levels, "", port, inside, is_open=True)
            if (levels := entering.cost(bit)) is not None:
                paths.add(bit, levels, "", port, entering, is_open=True)
        found = paths.worst()
        return Judged(
            block=BlockTiming(
                name=self._name,
                levels=max(ends, default=0.0),
                open_levels=max((path.levels for path in found if path.open), default=None),
                over=sum(count for levels, count in ends.items() if levels > WANTED),
            ),
            paths=[
                path
                for way in (False, True)
                for path in [p for p in found if p.open == way][:PATHS]
            ],
            ports=self._ports(),
        )

    def _ends(self) -> Iterator[tuple[int, float, str, str]]:
        """Net, levels behind it, cell and pin where paths end: registers, closed outputs."""
        yield from self._netlist.ends()
        for port, place, bit in self._netlist.ports("output"):
            if (port, place) in self._closed:
                yield bit, 0.0, "", port

    def _path(
        self, bit: int, levels: float, cell: str, pin: str, arrivals: Arrivals, is_open: bool
    ) -> TimedPath:
        nets = arrivals.path(bit)
        named = [self._names.of(net) for net in nets]
        start = self._start_name(nets[0])
        end = self._end_name(cell, pin)
        through = dict.fromkeys(without_bit(name) for name in named[1:] if name)
        through.pop(without_bit(end), None)
        return TimedPath(
            of=self._name,
            block=(self._prefix + block_of(end, self._blocks)).rstrip(".") or self._name,
            start=self._prefix + start,
            end=self._prefix + end,
            levels=levels,
            through=tuple(self._prefix + name for name in through),
            open=is_open,
        )

    def _start_name(self, bit: int) -> str:
        """A register or a port by its signal, what was judged before by instance and port."""
        cell = self._netlist.drivers.get(bit)
        if cell is not None and self._netlist.cells[cell]["type"] in self._models:
            pins = self._netlist.cells[cell]["connections"]
            return f"{cell}.{next(pin for pin, bits in pins.items() if bit in bits)}"
        return self._names.of(bit) or self._cell_name(cell or "?")

    def _end_name(self, cell: str, pin: str) -> str:
        if not cell:
            return pin
        content = self._netlist.cells[cell]
        register = next((bit for bit in content["connections"].get("Q", ())), None)
        if isinstance(register, int) and (name := self._names.of(register)):
            return name
        return f"{self._cell_name(cell)}.{pin}"

    def _cell_name(self, cell: str) -> str:
        """A cell's name, or that of one of its outputs."""
        if not cell.startswith("$") or cell not in self._netlist.cells:
            return cell
        content = self._netlist.cells[cell]
        for pin, bits in content["connections"].items():
            if content["port_directions"][pin] == "output":
                for bit in bits:
                    if isinstance(bit, int) and (name := self._names.of(bit)):
                        return f"{without_bit(name)}({content['type']})"
        return f"{cell.rpartition('$')[0] or cell}({content['type']})"

    def _ports(self) -> Ports:
        netlist = self._netlist
        behind = netlist.levels_behind()
        outside = netlist.arrivals({})
        places = {bit: (port, place) for port, place, bit in netlist.ports("output")}
        through = []
        entering = netlist.arrivals(
            {bit: 0.0 for _, _, bit in netlist.ports("input")}, registers=False
        )
        if any(entering.cost(bit) is not None for bit in places):
            for port, place, bit in netlist.ports("input"):
                reached = netlist.arrivals({bit: 0.0}, registers=False)
                through += [
                    (port, place, *out, levels)
                    for net, out in places.items()
                    if (levels := reached.cost(net)) is not None
                ]
        return Ports(
            into=_by_port(netlist.ports("input"), behind.get),
            out=_by_port(netlist.ports("output"), outside.cost),
            through=through,
        )


class _Paths:
    """The longest path between each two signals."""

    def __init__(self, describe: Callable[..., TimedPath]) -> None:
        self._describe = describe
        self._found: dict[tuple[str, str, bool], TimedPath] = {}

    def add(
        self, bit: int, levels: float, cell: str, pin: str, arrivals: Arrivals, *, is_open: bool
    ) -> None:
        """One more, if it has any levels."""
        if levels < 1:
            return
        path = self._describe(bit, levels, cell, pin, arrivals, is_open)
        key = (without_bit(path.start), without_bit(path.end), is_open)
        known = self._found.get(key)
        count = 1 if known is None else known.endpoints + 1
        best = path if known is None or known.levels < levels else known
        self._found[key] = msgspec.structs.replace(best, endpoints=count)

    def worst(self) -> list[TimedPath]:
        """All, the longest first."""
        return sorted(self._found.values(), key=lambda path: -path.levels)


def _by_port(
    ports: Iterator[tuple[str, int, int]], levels: Callable[[int], float | None]
) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {}
    for port, place, bit in ports:
        of = found.setdefault(port, [])
        of += [None] * (place - len(of))
        of.append(levels(bit))
    return found


def _black_box(ports: Ports, connections: Mapping[str, list[int | str]]) -> CellTiming:
    """An instance of what was judged before."""
    ends = tuple(
        (connections[port][place], levels, port)
        for port, bits in ports.into.items()
        for place, levels in enumerate(bits)
        if levels is not None and port in connections
    )
    starts = tuple(
        (connections[port][place], levels)
        for port, bits in ports.out.items()
        for place, levels in enumerate(bits)
        if levels is not None and port in connections
    )
    arcs = tuple(
        ((connections[into][i],), connections[out][o], levels)
        for into, i, out, o, levels in ports.through
        if into in connections and out in connections
    )
    return CellTiming(starts=starts, ends=ends, arcs=arcs)
