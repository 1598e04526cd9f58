"""``dna timing``: how fast a machine can be clocked, where its longest paths are, what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.common import check_writable, config_option, json_option, write_json
from harness.commands.numbers import Count

if TYPE_CHECKING:
    from harness.hardware.timing.result import Timing


@click.command("timing", short_help="The clock of a machine, its longest paths, its area.")
@config_option
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help="levels: LUT levels between registers, seconds a block, minutes a machine.",
)
@click.option(
    "--block",
    "blocks",
    multiple=True,
    metavar="NAME",
    help="Only this one, as core.sequencer; several times for several; `machine` is all of it. "
    "Default: every block of the machine, then all of it.",
)
@click.option(
    "--paths", type=Count("paths", 40), default=5, show_default=True, help="Shown of each block."
)
@json_option
def command(
    config_name: str, target: str, blocks: tuple[str, ...], paths: int, json_file: Path | None
) -> None:
    """Judge how fast the machine can be clocked.

    What was found is kept by a hash of the hardware: a block that did not change takes no time, and
    a run that was interrupted goes on.

    \b
    Example:
      dna timing --config nano --target levels --block core.sequencer
    """  # noqa: D301 (click reads the escape)
    import msgspec

    from harness.hardware.configuration import configuration
    from harness.hardware.timing import run
    from harness.host.terminal import Console

    config = configuration(config_name)
    check_writable(json_file)
    with Console(stderr=True).status(f"timing {config.name}") as status:
        timing = run.levels(config, blocks, status.update)
    write_json(json_file, msgspec.to_builtins(timing))
    _print(timing, paths)


def _print(timing: Timing, shown: int) -> None:
    from harness.host.terminal import Console, Table

    console = Console()
    for block in timing.blocks:
        table = Table("from", "to", title=f"{block.name}: {_levels(block.levels)} levels")
        table.add_columns("levels", "bits", right=True)
        table.add_columns("through")
        for is_open in (False, True):
            of = [p for p in timing.paths if p.of == block.name and p.open == is_open][:shown]
            for path in of:
                table.add_row(
                    path.start,
                    path.end,
                    _levels(path.levels) + (" open" if path.open else ""),
                    str(path.endpoints),
                    " ".join(path.through),
                )
        console.print(table)
    summary = Table("block", title=f"{timing.config}: {timing.target}")
    summary.add_columns("levels", "open", "too long", right=True)
    for block in timing.blocks:
        summary.add_row(
            block.name, _levels(block.levels), _levels(block.open_levels), str(block.over)
        )
    console.print(summary)


def _levels(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
