"""Judges the clock of machines by all targets: ``python -m tests.sweeps.timing``.

What is found goes to ``build/timing``, as `dna timing --json` writes it. ``--write`` also holds it
from now on (:mod:`tests.support.held`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from harness.hardware.timing import run
from harness.hardware.timing.cells import liberty
from harness.hardware.timing.cells.asic import Asic
from harness.hardware.timing.cells.memories import Sram
from harness.hardware.timing.luts.levels import Levels
from harness.hardware.timing.netlist import design
from harness.hardware.timing.result import Timing
from hw.config import PRESETS, DnaConfig
from tests import skips
from tests.support import held

TARGETS = ("levels", "osu018", "ecp5")
CELLS_MHZ = 1000.0
IN_CELLS = ("watchdog", "core.weights", "core.store")
"""The blocks that are held in cells: a minute of a processor, all of them take ten."""


def judged(config: DnaConfig, target: str) -> Timing:
    """All blocks and the machine."""
    match target:
        case "levels":
            return run.levels(config, (), _say)
        case "osu018":
            file = skips.OSU018
            return run.cells(config, (), _say, file=file, sram=Sram(), wanted_mhz=CELLS_MHZ)
        case _:
            return run.routed(config, _say)


def hold(config: DnaConfig, target: str) -> None:
    """Hold what was just found."""
    machine = design.elaborate(config, _say)
    judge: Levels | Asic
    blocks: Iterable[str]
    if target == "levels":
        judge, blocks = Levels(machine, _say), machine.blocks
    else:
        judge, blocks = Asic(machine, liberty.read(skips.OSU018), Sram(), CELLS_MHZ, _say), IN_CELLS
    held.write(target, config.name, {name: held.figures(judge, name) for name in blocks})


def _say(text: str) -> None:
    """Progress, where somebody sees it."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


@click.command()
@click.option(
    "--config", "names", multiple=True, type=click.Choice(list(PRESETS)), default=("nano",)
)
@click.option("--target", "targets", multiple=True, type=click.Choice(TARGETS), default=TARGETS)
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/timing"))
@click.option("--write", is_flag=True, help="Hold the figures of the blocks from now on.")
def main(names: tuple[str, ...], targets: tuple[str, ...], output: Path, write: bool) -> None:
    """Judge the machines, each by each target."""
    output.mkdir(parents=True, exist_ok=True)
    for name in names:
        for target in targets:
            start = time.monotonic()
            found = judged(PRESETS[name], target)
            (output / f"{name}.{target}.json").write_bytes(msgspec.json.encode(found))
            whole = found.blocks[-1]
            figure = (
                f"{whole.levels:g} levels"
                if found.fmax_mhz is None
                else f"{found.fmax_mhz:g} MHz ({found.corner})"
            )
            print(f"\r{name}, {target}: {figure}; {time.monotonic() - start:.0f} s")
            if write and target != "ecp5":
                hold(PRESETS[name], target)


if __name__ == "__main__":
    main()
