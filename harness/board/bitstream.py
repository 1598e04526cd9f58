"""From the SoC's Verilog to a bitstream with open tools: Yosys, nextpnr, ecppack."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from harness.board.boards import Board
from harness.board.soc import TOP
from harness.board.sources import PINS, VERILOG
from harness.hardware import trellis
from harness.hardware.timing import cache
from sim import yosys
from sw.errors import DnaError

_SYNTHESIS = trellis.script(f"read_verilog {VERILOG}", TOP)
_PLL_MARGIN = 0.01
"""How far a clock may be from what is asked of LiteX' PLL."""


class Bitstream(msgspec.Struct, frozen=True):
    """A bitstream and what place and route say of it.

    Attributes:
        content: the file.
        mhz: the highest clock of the SoC's main domain.
        used: cells of each kind, of how many.
    """

    content: bytes
    mhz: float
    used: dict[str, tuple[int, int]]


def build(
    board: Board, folder: Path, clock_hz: int, *, seed: int, progress: Callable[[str], None]
) -> Bitstream:
    """Synthesise, place and route, pack; each of the steps is kept in the user's cache.

    Args:
        board: for which.
        folder: with what :func:`harness.board.sources.write` wrote.
        clock_hz: that is to be reached.
        seed: of placement.
        progress: is told of each step.

    Raises:
        DnaError: nextpnr is not installed, or the SoC does not fit, or misses a clock.
    """
    tool = trellis.version("board")
    text, pins = (folder / VERILOG).read_text(), (folder / PINS).read_text()
    key = cache.digest("soc", yosys.version(), _SYNTHESIS, text)
    netlist = cache.text(
        key, lambda: trellis.synthesise(_SYNTHESIS, VERILOG, text, "synthesis", progress)
    )
    options = (
        f"--{board.chip} --package {board.package} --speed {board.speed} --seed {seed} "
        "--json netlist.json --lpf top.lpf --report report.json --textcfg top.config "
        f"--timing-allow-fail {trellis.PLACE_AND_ROUTE}"
    )
    routed = cache.text(
        cache.digest("soc routed", tool, options, pins, key),
        lambda: _route(netlist, pins, options, progress),
    )
    found = json.loads(routed)
    report = found["report"]
    mhz = _reached(report["fmax"], clock_hz / 1e6)
    if mhz * 1e6 < clock_hz:
        raise DnaError(
            f"place and route reach {mhz:.2f} MHz and not the {clock_hz / 1e6:g} MHz that were "
            "asked for; no bitstream was written. Ask for less with --clock, or try another --seed"
        )
    used = {
        kind: (figures["used"], figures["available"])
        for kind, figures in report["utilization"].items()
        if figures["used"]
    }
    return Bitstream(_pack(found["config"], progress), mhz, used)


def _reached(clocks: dict[str, dict[str, float]], wanted: float) -> float:
    """The highest clock, in MHz, of the domain that is to have ``wanted``.

    nextpnr names a clock by one of its nets, whose name is another one after every synthesis.
    """
    ours, late = [], []
    for name, clock in clocks.items():
        if math.isclose(clock["constraint"], wanted, rel_tol=_PLL_MARGIN):
            ours.append(clock["achieved"])
        elif clock["achieved"] < clock["constraint"]:
            late.append(f"{name}: {clock['achieved']:.2f} of {clock['constraint']:g} MHz")
    if late or not ours:
        what = "; ".join(late) or f"nextpnr says nothing of a clock of {wanted:g} MHz"
        raise DnaError(f"a clock of the SoC is not reached ({what}); no bitstream was written")
    return min(ours)


def _route(netlist: str, pins: str, options: str, progress: Callable[[str], None]) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "netlist.json").write_text(netlist)
        (folder / PINS).write_text(pins)
        trellis.run("nextpnr_ecp5", options.split(), folder, "nextpnr", progress)
        return json.dumps(
            {
                "report": json.loads((folder / "report.json").read_text()),
                "config": (folder / "top.config").read_text(),
            }
        )


def _pack(config: str, progress: Callable[[str], None]) -> bytes:
    progress("packing")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "top.config").write_text(config)
        arguments = ("--compress", "top.config", "top.bit")
        trellis.run("ecppack", arguments, folder, "ecppack", progress)
        return (folder / "top.bit").read_bytes()
