"""Options of commands that use a board."""

from __future__ import annotations

import click

from harness.commands.common import PATH

soc_option = click.option(
    "--soc", "folder", type=PATH, required=True, metavar="DIR", help="What `dna soc` wrote."
)
port_option = click.option(
    "--port", metavar="PORT", help="The board's serial port, such as /dev/ttyUSB0."
)
simulated_option = click.option(
    "--simulated", is_flag=True, help="No board: its Verilog in Verilator."
)


def check_one(port: str | None, simulated: bool) -> None:
    """Fail unless there is either a port or the word that there is no board."""
    if simulated == (port is not None):
        raise click.UsageError("give --port PORT, or --simulated")
