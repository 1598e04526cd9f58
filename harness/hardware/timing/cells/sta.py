"""OpenSTA: the longest paths of a netlist from clock to clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from subprocess import PIPE, STDOUT

import msgspec

from sw.errors import DnaError
from sw.host import children

PROGRAM = "sta"
NETLIST, MODULE = "netlist.v", "block"
LIBRARIES = ("cells.lib", "boxes.lib")
"""Files that it reads, and the module in the netlist."""
_PERIOD = 100.0
"""Nanoseconds of the clock that OpenSTA is told; the slack says what it could be."""
_ERRORS = re.compile(r"^(?:Error|ERROR).*|^Warning: .*(?:not found|no definition).*", re.M)
_STAGE = re.compile(r"^ +-?[\d.]+ +-?[\d.]+ +[v^] (\S+)/(\S+) \(\S+\)", re.M)
_SLACK = re.compile(r"(-?[\d.]+) +slack")
_START = re.compile(r"^Startpoint: (\S+)", re.M)
_END = re.compile(r"^Endpoint: (\S+)", re.M)
_AT_PIN = re.compile(r" r \S+:(-?[\d.]+) f \S+:(-?[\d.]+)")
"""Earliest and latest time of both edges, of which the latest counts."""
_VERSION = re.compile(r"\d[\d.]*")


class StaPath(msgspec.Struct, frozen=True):
    """A path.

    Attributes:
        ns: what it takes, set-up included.
        start, end: its first and last cell.
        stages: cell and pin of what it goes through.
    """

    ns: float
    start: str
    end: str
    stages: list[tuple[str, str]]


def version() -> str:
    """Of the program that is installed.

    Raises:
        DnaError: there is none.
    """
    found = _VERSION.search(_run(["-version"], Path()))
    return found[0] if found else "unknown"


def longest(clock: str, folder: Path, count: int) -> list[StaPath]:
    """The longest path to each of the ``count`` worst registers.

    Args:
        clock: port of the clock.
        folder: with :data:`NETLIST` and :data:`LIBRARIES`.

    Raises:
        DnaError: OpenSTA is not there, or it found a fault in the files.
    """
    command = (
        "report_checks -from [get_clocks clk] -to [get_clocks clk] -format full "
        f"-fields {{net}} -digits 4 -group_count {count} -endpoint_count 1"
    )
    log = _script(clock, folder, [command])
    return [_path(part) for part in re.split(r"^(?=Startpoint:)", log, flags=re.M)[1:]]


def at_pins(clock: str, folder: Path, pins: Mapping[str, bool]) -> dict[str, float]:
    """What the longest path takes in ns, of each of some pins of registers that has one.

    Args:
        clock, folder: as of :func:`longest`.
        pins: ``cell/pin``, and whether paths begin there: then it is the time from the pin to the
            end of a path, set-up included, else that from the clock to the pin.

    Raises:
        DnaError: as of :func:`longest`.
    """
    commands = ["set sta_report_default_digits 4"]
    for pin, starts in pins.items():
        commands += [f'puts "=== {pin}"', f"report_{'required' if starts else 'arrival'} {pin}"]
    found = {}
    for part in re.split(r"^=== ", _script(clock, folder, commands), flags=re.M)[1:]:
        pin = part.split(maxsplit=1)[0]
        times = [float(time) for both in _AT_PIN.findall(part) for time in both]
        if times:
            found[pin] = round(_PERIOD - min(times) if pins[pin] else max(times), 4)
    return found


def _script(clock: str, folder: Path, commands: list[str]) -> str:
    """What OpenSTA says to commands about the netlist in ``folder``."""
    script = [
        *(f"read_liberty {name}" for name in LIBRARIES),
        f"read_verilog {NETLIST}",
        f"link_design {MODULE}",
        f"create_clock -name clk -period {_PERIOD} [get_ports {clock}]",
        *commands,
        "exit",
        "",
    ]
    (folder / "sta.tcl").write_text("\n".join(script))
    log = _run(["-no_splash", "-exit", "sta.tcl"], folder)
    if found := _ERRORS.search(log):
        raise DnaError(f"OpenSTA failed: {found[0]}")
    return log


def _path(text: str) -> StaPath:
    start, end, slack = _START.search(text), _END.search(text), _SLACK.search(text)
    if start is None or end is None or slack is None:
        raise DnaError(f"OpenSTA reports a path that dna cannot read: {text[:200]}")
    return StaPath(
        ns=round(_PERIOD - float(slack[1]), 4),
        start=start[1],
        end=end[1],
        stages=_STAGE.findall(text),
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
