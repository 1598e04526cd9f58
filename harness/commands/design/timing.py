"""``dna timing``: how fast a machine can be clocked, where its longest paths are, what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from harness.commands.common import check_writable, config_option, json_option, write_json
from harness.commands.numbers import CLOCK, Count, Quantity
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.hardware.timing.result import TimedPath, Timing

LEVELS, ECP5 = "levels", "ecp5"
DELAY = Quantity("ns", 0, 1000, "time of a memory")


@click.command("timing", short_help="The clock of a machine, its longest paths, its area.")
@config_option
@click.option(
    "--target",
    required=True,
    metavar="TARGET",
    help="levels: LUT levels between registers, seconds a block, minutes a machine. FILE.lib (or "
    ".lib.gz): standard cells, before wires, minutes. ecp5: placed and routed, minutes.",
)
@click.option(
    "--block",
    "blocks",
    multiple=True,
    metavar="NAME",
    help="Only this one, as core.sequencer; several times for several; `machine` is all of it. "
    "Default: every block of the machine, then all of it; with ecp5 all of it.",
)
@click.option(
    "--sram-access",
    type=DELAY,
    default=1.0,
    show_default=True,
    metavar="NS",
    help="With a Liberty file: what a memory is assumed to take from its clock to its output.",
)
@click.option(
    "--sram-setup",
    type=DELAY,
    default=0.2,
    show_default=True,
    metavar="NS",
    help="And how long before the clock its inputs must be there.",
)
@click.option(
    "--for",
    "wanted_mhz",
    type=CLOCK,
    default=1000.0,
    show_default=True,
    metavar="MHZ",
    help="With a Liberty file: the clock for which gates are mapped and sized.",
)
@click.option(
    "--paths", type=Count("paths", 40), default=5, show_default=True, help="Shown of each block."
)
@json_option
def command(
    config_name: str,
    target: str,
    blocks: tuple[str, ...],
    sram_access: float,
    sram_setup: float,
    wanted_mhz: float,
    paths: int,
    json_file: Path | None,
) -> None:
    """Judge how fast the machine can be clocked, and say what the judgement rests on.

    What was found is kept by a hash of the hardware and the recipe: a block that did not change
    takes no time, and a run that was interrupted goes on. The JSON of a Liberty file or of ecp5,
    for the whole machine, is what --timing of report, loadgen, explore and submission takes.

    \b
    Examples:
      dna timing --config nano --target levels --block core.sequencer
      dna timing --config nano --target cells.lib --block machine --json nano.json
      dna timing --config nano --target ecp5 --json nano.json
    """  # noqa: D301 (click reads the escape)
    import msgspec

    from harness.hardware.configuration import configuration
    from harness.hardware.timing import run
    from harness.hardware.timing.cells.memories import Sram
    from harness.host.terminal import Console

    config = configuration(config_name)
    check_writable(json_file)
    _check_options(target)
    with Console(stderr=True).status(f"timing {config.name}") as status:
        if target == LEVELS:
            timing = run.levels(config, blocks, status.update)
        elif target == ECP5:
            timing = run.routed(config, status.update)
        else:
            timing = run.cells(
                config,
                blocks,
                status.update,
                file=Path(target),
                sram=Sram(sram_access, sram_setup),
                wanted_mhz=wanted_mhz,
            )
    write_json(json_file, msgspec.to_builtins(timing))
    _print(timing, paths)


def _check_options(target: str) -> None:
    """Refuse what says nothing about this target."""
    context = click.get_current_context()
    if target not in (LEVELS, ECP5):
        return
    if target == ECP5 and context.params["blocks"]:
        raise DnaError("--block goes with levels or a Liberty file: ecp5 places the whole machine")
    for parameter in context.command.params:
        given = context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        if given and parameter.name in ("sram_access", "sram_setup", "wanted_mhz"):
            raise DnaError(f"{parameter.opts[0]} goes with a Liberty file, not with {target}")


def _print(timing: Timing, shown: int) -> None:
    from harness.host.terminal import Console, Table

    console = Console()
    timed = any(path.ns is not None for path in timing.paths)
    for block in timing.blocks:
        table = Table("from", "to", title=f"{block.name}: the longest paths")
        table.add_columns("levels", *(["ns"] if timed else []), "bits", right=True)
        table.add_columns("through")
        for is_open in (False, True):
            of = [p for p in timing.paths if p.of == block.name and p.open == is_open][:shown]
            for path in of:
                table.add_row(*_row(path, timed))
        console.print(table)
    summary = Table("block", title=f"{timing.config}, {timing.target}")
    kinds = list(dict.fromkeys(kind for block in timing.blocks for kind in block.area))
    figures = ("ns", "MHz") if timed else ("levels", "open", "too long")
    summary.add_columns(*figures, *kinds, right=True)
    for block in timing.blocks:
        values = (
            (block.ns, block.fmax_mhz) if timed else (block.levels, block.open_levels, block.over)
        )
        summary.add_row(
            block.name,
            *("" if value is None else f"{value:g}" for value in values),
            *(f"{block.area[kind]:,.0f}" if kind in block.area else "" for kind in kinds),
        )
    console.print(summary)
    for name, size in timing.area.items():
        if timed and len(timing.blocks) == 1:
            console.print(f"area of {name}: " + ", ".join(f"{v:,.0f} {k}" for k, v in size.items()))
    tools = ", ".join(f"{name} {version}" for name, version in timing.tools.items())
    console.print(f"tools: {tools}; corner: {timing.corner or 'none'}")
    for assumption in timing.assumptions:
        console.print(f"assumed: {assumption}")
    if timing.fmax_mhz is not None:
        console.print(f"{timing.config} holds {timing.fmax_mhz:g} MHz")


def _row(path: TimedPath, timed: bool) -> list[str]:
    return [
        path.start,
        path.end,
        f"{path.levels:g}" + (" open" if path.open else ""),
        *([f"{path.ns:.3f}"] if timed and path.ns is not None else []),
        str(path.endpoints),
        " ".join(path.through),
    ]
