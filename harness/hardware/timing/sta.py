"""OpenSTA: the longest paths of a netlist from clock to clock."""

from __future__ import annotations

import re
from pathlib import Path
from subprocess import PIPE, STDOUT

import msgspec

from sw import children
from sw.errors import DnaError

PROGRAM = "sta"
_PERIOD = 100.0
"""Nanoseconds of the clock that OpenSTA is told; the slack says what it could be."""
_ERRORS = re.compile(r"^(?:Error|ERROR).*|^Warning: .*(?:not found|no definition).*", re.M)
_STAGE = re.compile(r"^ +[\d.]+ +[\d.]+ +[v^] (\S+)/(\S+) \(\S+\)", re.M)
_SLACK = re.compile(r"(-?[\d.]+) +slack")
_START = re.compile(r"^Startpoint: (\S+)", re.M)
_END = re.compile(r"^Endpoint: (\S+)", re.M)
_VERSION = re.compile(r"OpenSTA\s+([\d.]+)")


class StaPath(msgspec.Struct, frozen=True):
    """A path: what it takes with set-up, its first and last cell, and (cell, pin) on the way."""

    ns: float
    start: str
    end: str
    stages: list[tuple[str, str]]


def version() -> str:
    """Of the program that is installed.

    Raises:
        DnaError: there is none.
    """
    found = _VERSION.search(_run(["-version"], Path())) or re.search(
        r"[\d.]+", _run(["-version"], Path())
    )
    return found[1] if found and found.lastindex else found[0] if found else "unknown"


def longest(
    libraries: list[Path], netlist: Path, top: str, clock: str, folder: Path, count: int
) -> list[StaPath]:
    """The longest path to each of the ``count`` worst registers.

    Args:
        libraries: Liberty files.
        netlist: Verilog of one module.
        top: its name.
        clock: its port.
        folder: for the script.

    Raises:
        DnaError: OpenSTA is not there, or it found a fault in the files.
    """
    script = "\n".join(
        [
            *(f"read_liberty {path}" for path in libraries),
            f"read_verilog {netlist}",
            f"link_design {top}",
            f"create_clock -name clk -period {_PERIOD} [get_ports {clock}]",
            "report_checks -from [get_clocks clk] -to [get_clocks clk] -format full "
            f"-fields {{net}} -digits 4 -group_count {count} -endpoint_count 1",
            "exit",
            "",
        ]
    )
    (folder / "sta.tcl").write_text(script)
    log = _run(["-no_splash", "-exit", "sta.tcl"], folder)
    if found := _ERRORS.search(log):
        raise DnaError(f"OpenSTA failed: {found[0]}")
    return [_path(part) for part in re.split(r"^(?=Startpoint:)", log, flags=re.M)[1:]]


def _path(text: str) -> StaPath:
    start, end, slack = _START.search(text), _END.search(text), _SLACK.search(text)
    if start is None or end is None or slack is None:
        raise DnaError(f"OpenSTA reports a path that dna cannot read: {text[:200]}")
    return StaPath(
        ns=round(_PERIOD - float(slack[1]), 4),
        start=start[1],
        end=end[1],
        stages=[(found[1], found[2]) for found in _STAGE.finditer(text)],
    )


def _run(arguments: list[str], folder: Path) -> str:
    try:
        with children.started(
            [PROGRAM, *arguments], cwd=folder, stdout=PIPE, stderr=STDOUT, text=True
        ) as process:
            log, _ = process.communicate()
    except FileNotFoundError as error:
        raise DnaError(
            "OpenSTA is not there, which times a netlist of library cells; install it with "
            "`apt-get install opensta`"
        ) from error
    return str(log)
