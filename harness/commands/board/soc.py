"""``dna soc``: a machine as a system on chip for a board, to the bitstream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.board.boards import BOARDS
from harness.commands.common import PATH, check_writable, config_option, json_option, write_json
from harness.commands.numbers import CLOCK, Count
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.board.bitstream import Bitstream
    from harness.host.terminal import Table

CLOCK_MHZ = 40.0


@click.command("soc", short_help="Build a machine for a board, to the bitstream.")
@click.option(
    "--board",
    "board_name",
    type=click.Choice(list(BOARDS)),
    default=next(iter(BOARDS)),
    show_default=True,
    help="The board.",
)
@config_option
@click.option("-o", "--output", type=PATH, required=True, metavar="DIR", help="Where to write.")
@click.option(
    "--clock",
    "clock_mhz",
    type=CLOCK,
    default=CLOCK_MHZ,
    show_default=True,
    metavar="MHZ",
    help="Of the whole SoC; place and route must reach it.",
)
@click.option("--seed", type=Count("seed"), default=1, show_default=True, help="Of placement.")
@click.option("--simulation", is_flag=True, help="Only what a simulation needs, no bitstream.")
@json_option
def command(
    board_name: str,
    config_name: str,
    output: Path,
    clock_mhz: float,
    seed: int,
    simulation: bool,
    json_file: Path | None,
) -> None:
    """Write top.v, top.lpf and soc.json to DIR, and the bitstream BOARD.bit.

    The SoC has no processor: LiteDRAM's controller of the board's SDRAM, the machine, and a serial
    port over which the host reads and writes both (`dna board`). It is placed and routed with open
    tools; one that misses its clock is not written as a bitstream, and the exit code is 2.

    \b
    Example:
      dna soc --board ulx3s --config nano -o build/ulx3s
    """  # noqa: D301 (click reads the escape)
    from harness.board import sources
    from harness.board.bitstream import build
    from harness.board.boards import find
    from harness.hardware.configuration import configuration
    from harness.host.terminal import Console
    from sw.host import files

    board, config = find(board_name), configuration(config_name)
    clock_hz = round(clock_mhz * 1e6)
    check_writable(json_file)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DnaError(f"cannot make the directory {output}: {error.strerror}") from error
    console = Console()
    with Console(stderr=True).status(f"{config.name} on {board.title}") as status:
        description = sources.write(board, config, clock_hz, output, status.update)
        bitstream = None
        if not simulation:
            bitstream = build(board, output, clock_hz, seed=seed, progress=status.update)
            files.write(output / f"{board.name}.bit", bitstream.content)
    console.print(f"{config.name} on {board.title}; Verilog {description.verilog[:16]}")
    if bitstream is not None:
        console.print(_table(bitstream))
        console.print(
            f"placed and routed at speed grade {board.speed}: {bitstream.mhz:.2f} MHz, it runs at "
            f"{clock_mhz:g}; not run on a board by us"
        )
    write_json(
        json_file,
        {
            "board": board.name,
            "config": config.name,
            "macs": config.macs,
            "verilog": description.verilog,
            "clock_mhz": clock_mhz,
            "routed_mhz": None if bitstream is None else bitstream.mhz,
            "used": None if bitstream is None else bitstream.used,
        },
    )


def _table(bitstream: Bitstream) -> Table:
    from harness.host.terminal import Table

    table = Table("cells")
    table.add_columns("used", "of", "share", right=True)
    for kind, (used, available) in bitstream.used.items():
        table.add_row(kind, f"{used:,}", f"{available:,}", f"{used / available:.0%}")
    return table
