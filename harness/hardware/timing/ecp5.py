"""The clock of a machine placed and routed on a Lattice ECP5: Yosys and nextpnr, wires included.

The machine stands alone (``--out-of-context``): its ports are not placed on pins, and paths from
and to them are not timed.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware import trellis
from harness.hardware.timing import cache
from harness.hardware.timing.netlist.blocks import Pins, block_of, by_block
from harness.hardware.timing.netlist.design import MACHINE, Design
from harness.hardware.timing.netlist.graph import Names
from harness.hardware.timing.products import of_luts
from harness.hardware.timing.result import BlockTiming, TimedPath
from harness.hardware.verilog import TOP
from sim import yosys
from sw.errors import DnaError

DEVICE, SPEED = "um5g-85k", 8
CORNER = f"LFE5UM5G-85F, speed grade {SPEED}"
_WANTED_MHZ = 100
"""What nextpnr is asked for; it stops at what it reaches."""
_MULTIPLIERS = 156
"""Of 18 x 18 bits that the device has."""
_OPTIONS = (
    f"--{DEVICE} --speed {SPEED} --out-of-context --freq {_WANTED_MHZ} --timing-allow-fail "
    f"--seed 1 {trellis.PLACE_AND_ROUTE} --json netlist.json --report report.json"
)
_KINDS = {
    "LUT4": "LUT4",
    "TRELLIS_FF": "FF",
    "MULT18X18D": "MULT18",
    "DP16KD": "EBR",
    "TRELLIS_DPR16X4": "DPR16X4",
    "CCU2C": "CCU2C",
}
"""Cells that are counted, and what they are called."""


class Routed(msgspec.Struct, frozen=True):
    """The machine, its critical path, what it takes by block."""

    block: BlockTiming
    paths: list[TimedPath]
    area: dict[str, dict[str, float]]


def version() -> str:
    """Of nextpnr.

    Raises:
        DnaError: it is not installed.
    """
    return trellis.version("timing")


def routed(design: Design, progress: Callable[[str], None]) -> Routed:
    """Synthesise, place and route the machine; each of the two steps is kept.

    Raises:
        DnaError: nextpnr is not installed, or the machine does not fit.
    """
    tool = version()
    text = design.text(TOP)
    soft = [f"{TOP}/{product.cell}" for product in of_luts(design, _MULTIPLIERS)]
    script = trellis.script("read_rtlil design.il", rf"\{TOP}", soft)
    key = cache.digest("ecp5", yosys.version(), script, text)
    netlist = cache.text(
        key,
        lambda: trellis.synthesise(script, "design.il", text, "synthesis for ECP5", progress),
    )
    report = cache.text(
        cache.digest("nextpnr", tool, _OPTIONS, key), lambda: _route(netlist, progress)
    )
    return _read(design, json.loads(netlist)["modules"][TOP], json.loads(report))


def _route(netlist: str, progress: Callable[[str], None]) -> str:
    progress("placing")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "netlist.json").write_text(netlist)
        trellis.run("nextpnr_ecp5", _OPTIONS.split(), folder, f"nextpnr for {CORNER}", progress)
        return (folder / "report.json").read_text()


def _read(design: Design, netlist: Mapping[str, Any], report: Mapping[str, Any]) -> Routed:
    paths = {path for path, _ in design.paths(TOP)}
    names = Names(netlist, design.registers(TOP))
    clocks = {name: float(figures["achieved"]) for name, figures in report["fmax"].items()}
    if not clocks:
        raise DnaError("nextpnr found no path between two registers")
    fmax = min(clocks.values())
    return Routed(
        block=BlockTiming(
            name=MACHINE,
            ns=round(1e3 / fmax, 4),
            fmax_mhz=round(fmax, 2),
            area={
                kind.removeprefix("TRELLIS_"): float(figures["used"])
                for kind, figures in report["utilization"].items()
                if figures["used"]
            },
        ),
        paths=[
            _path(path["path"], paths)
            for path in report["critical_paths"]
            if path["from"].startswith("posedge") and path["to"].startswith("posedge")
        ],
        area=_area(netlist, names, paths),
    )


def _path(steps: list[Mapping[str, Any]], paths: set[str]) -> TimedPath:
    """A path of nextpnr's: its signals are its nets, its levels those of them that take time."""
    nets = [str(step["net"]) for step in steps if step["type"] == "routing"]
    start, end = _signal(steps[0]["from"]["cell"]), _signal(steps[-1]["to"]["cell"])
    return TimedPath(
        of=MACHINE,
        block=block_of(end, paths) or MACHINE,
        start=_signal(nets[0]).removeprefix("\\") if nets else start,
        end=end,
        levels=float(sum(step["type"] == "routing" and step["delay"] > 0 for step in steps)),
        ns=round(sum(float(step["delay"]) for step in steps), 4),
        through=tuple(dict.fromkeys(_signal(net) for net in nets[1:] if _readable(net))),
    )


def _signal(name: str) -> str:
    """What is readable of a name that the tools have made longer."""
    return re.split(r"_(?:TRELLIS_FF|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|DP16KD)_", name)[0]


def _readable(net: str) -> bool:
    return not net.startswith("$")


def _area(netlist: Mapping[str, Any], names: Names, paths: set[str]) -> dict[str, dict[str, float]]:
    cells = {}
    for name, cell in netlist["cells"].items():
        ways: dict[str, list[int]] = {"input": [], "output": []}
        for pin, bits in cell["connections"].items():
            way = cell["port_directions"][pin]
            ways.setdefault(way, []).extend(bit for bit in bits if isinstance(bit, int))
        cells[name] = Pins(ways["input"], ways["output"])
    of = by_block(cells, names, paths)
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for name, cell in netlist["cells"].items():
        if cell["type"] in _KINDS:
            found[of[name] or MACHINE][_KINDS[cell["type"]]] += 1
    return {
        block: {kind: float(count) for kind, count in kinds.items()}
        for block, kinds in sorted(found.items())
    }
