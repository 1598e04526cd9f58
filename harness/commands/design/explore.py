"""``dna explore``: many configurations for one network, and which of them nothing beats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import (
    PATH,
    check_writable,
    complete_config,
    json_option,
    say_written,
    write_json,
)
from harness.commands.modelled import memories_options
from harness.commands.numbers import CLOCK, WORKERS, Count, Many
from sw.errors import DnaError
from sw.host import files

if TYPE_CHECKING:
    from harness.explore.evaluate import Task
    from harness.explore.results import Row
    from harness.explore.space import Candidate
    from harness.explore.state import State
    from harness.hardware.memory import MemoryChoice
    from harness.host.terminal import Console

NOTHING_RUNS = 1
INTERRUPTED = 130


@click.command("explore", short_help="Sweep configurations: latency against area and energy.")
@click.argument("artifact", type=PATH)
@click.option(
    "--config",
    "base",
    default="f200",
    show_default=True,
    metavar="NAME",
    shell_complete=complete_config,
    help="Where what is not varied comes from: lanes and DRAM in proportion to the arrays, "
    "memories of the same size.",
)
@click.option("--modules", type=Many(Count("modules", 4096)), help="Convolution modules.")
@click.option(
    "--array", type=Many(Count("rows", 4096)), help="Rows, and columns, of a module's array."
)
@click.option(
    "--lanes",
    type=Many(Count("lanes", 4096)),
    help="Channels that post-processing takes per cycle.",
)
@click.option(
    "--depth", type=Many(Count("pixels", 1 << 20)), help="Pixels of an accumulation tile."
)
@click.option("--feature", type=Many(Count("KiB", 1 << 20)), help="KiB of feature memory.")
@click.option("--fifo", type=Many(Count("KiB", 1 << 20)), help="KiB of the weight FIFO.")
@click.option("--dram", type=Many(Count("bytes", 1 << 20)), help="Bytes of DRAM per cycle.")
@click.option(
    "--configs",
    "configs_file",
    type=PATH,
    metavar="FILE",
    help="Instead: a JSON list of objects with the parameters of a machine each.",
)
@click.option(
    "--clock",
    "clocks",
    type=Many(CLOCK),
    show_default="300, or what a timing file proves",
    help="MHz. Assumed; of a configuration that a timing file is about at most what that proves.",
)
@click.option(
    "--timing",
    "timing_files",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="The clock that `dna timing --json FILE` proved of one of the configurations; several "
    "times for several.",
)
@memories_options
@click.option("--workers", type=WORKERS, help="Processes here. Default: all CPUs.")
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Instead: the Dask cluster of this scheduler. Its workers need this version of the "
    "program, and ARTIFACT at the same path. It is trusted with code (docs/simulation.md).",
)
@click.option(
    "--state",
    "state_file",
    type=PATH,
    metavar="FILE",
    help="Keeps what was found, as it is found. Default: ARTIFACT.explore.jsonl.",
)
@click.option("--picture", "picture_file", type=PATH, metavar="FILE", help="Write an SVG.")
@json_option
def command(
    artifact: Path,
    base: str,
    configs_file: Path | None,
    clocks: tuple[float, ...] | None,
    timing_files: tuple[Path, ...],
    memories: list[MemoryChoice],
    workers: int | None,
    scheduler: str | None,
    state_file: Path | None,
    picture_file: Path | None,
    json_file: Path | None,
    **choices: tuple[int, ...] | None,
) -> None:
    """Compile ARTIFACT for many configurations and model each.

    Options with lists are combined in all ways, memories too. A configuration that makes no
    machine, or that the compiler refuses, becomes a row with the reason. The Pareto front is of
    latency (modelled), area and energy (estimated). Whatever ends the command, what it had found is
    in the state file, and the same command goes on from there.

    \b
    Example:
      dna explore resnet50.dna --modules 2,4,8 --array 16,32 --dram 64,128 --picture pareto.svg
    """  # noqa: D301 (click reads the escape)
    from harness.explore import sweep
    from harness.explore.picture import picture
    from harness.explore.results import ranked
    from harness.explore.state import State
    from harness.explore.table import show
    from harness.host.terminal import Console
    from sw import artifact as artifacts

    candidates = _candidates(base, configs_file, choices)
    clocked = sweep.clocks(candidates, timing_files, clocks)
    state_file = state_file or artifact.with_name(f"{artifact.name}.explore.jsonl")
    for path in (state_file, picture_file, json_file):
        check_writable(path)
    network = artifacts.load(artifact)
    tasks = sweep.tasks(artifact, network, candidates, clocked, memories)
    state = State(state_file)
    errors = Console(stderr=True)
    _run(list(tasks.values()), state, workers, scheduler, errors, state_file)

    rows = ranked(sweep.rows(candidates, clocked, memories, tasks, state))
    runs = [row for row in rows if row.refused is None]
    model = network.manifest.model
    show(rows, model)
    write_json(json_file, _figures(rows, model, memories))
    if not runs:
        errors.fail("none of the configurations runs this network")
        raise SystemExit(NOTHING_RUNS)
    if picture_file is not None:
        at = " or ".join(dict.fromkeys(str(row.clock) for row in runs))
        title = f"{model}: {len(runs)} machines, modelled at {at}"
        files.write(picture_file, picture(rows, title))
    say_written(picture_file, json_file, state_file)


def _candidates(
    base: str, configs_file: Path | None, choices: dict[str, tuple[int, ...] | None]
) -> list[Candidate]:
    from harness.explore import space
    from harness.hardware.configuration import configuration

    chosen = {name: values for name, values in choices.items() if values}
    if configs_file is None:
        return space.product(configuration(base), chosen)
    if chosen:
        raise DnaError(f"--configs names the machines; leave out --{next(iter(chosen))}")
    return space.read(configs_file)


def _run(
    tasks: list[Task],
    state: State,
    workers: int | None,
    scheduler: str | None,
    console: Console,
    state_file: Path,
) -> None:
    """Evaluate the tasks whose outcome is not known yet, under a bar."""
    from harness.explore import sweep
    from harness.host import terminal

    todo = sweep.unknown(tasks, state)
    known = len(tasks) - len(todo)
    if known:
        console.print(f"{known} of {len(tasks)} configurations were in {state_file}")
    if not todo:
        return
    try:
        with terminal.counted(console, "exploring", len(todo)) as advance:
            sweep.run(todo, state, workers=workers, scheduler=scheduler, done=lambda: advance(1))
    except KeyboardInterrupt:
        found = len(tasks) - len(sweep.unknown(tasks, state))
        console.print(
            f"interrupted; {found} of {len(tasks)} configurations are in {state_file}, and the "
            "same command goes on"
        )
        raise SystemExit(INTERRUPTED) from None


def _figures(rows: list[Row], model: str, memories: list[MemoryChoice]) -> dict[str, Any]:
    import msgspec

    return {
        "modelled": True,
        "model": model,
        "memories": [
            {"name": memory.name, "latency": memory.latency, "bandwidth": memory.bandwidth}
            for memory in memories
        ],
        "rows": msgspec.to_builtins(rows),
        "front": [row.name for row in rows if row.front],
    }
